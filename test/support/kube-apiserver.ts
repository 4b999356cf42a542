import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { runCommand } from './command.js';
import { startEtcd, type Etcd } from './etcd.js';
import { freePort } from './free-port.js';
import { partPath } from './parts.js';
import { answersHttps } from './probe.js';
import { partMethods, startPart, type Part } from './process.js';
import { createTemporaryDirectory, type TemporaryDirectory } from './temporary-directory.js';

/** @see startKubeApiserver */
export interface KubeApiserverOptions {
  /** Istio's custom resource definitions to install; none unless told. */
  readonly crds?: 'istio-crds' | 'istio-crds-1.22';
  /**
   * Whether a pod needs its ServiceAccount, which only a controller makes. Off unless told, so that tests without
   * kube-controller-manager can make pods.
   */
  readonly serviceAccounts?: boolean;
  /** Address to listen on; another one than 127.0.0.1 for a cluster with nodes, whose pods find it at the Service `kubernetes`. */
  readonly host?: string;
  /** The range of the cluster's Services; SERVICE_CIDR unless told. */
  readonly serviceCidr?: string;
}

/** A Kubernetes API server that runs, with its etcd. */
export interface KubeApiserver extends Part {
  readonly etcd: Etcd;
  readonly url: string;
  /** The certificate to trust. */
  readonly caFile: string;
  /** The token of an administrator (group system:masters). */
  readonly token: string;
  /** A kubeconfig of that administrator, context `test`. */
  readonly kubeconfigFile: string;
  /** The private key that signs the tokens of ServiceAccounts. */
  readonly serviceAccountKeyFile: string;
  /** Runs kubectl as that administrator and returns what it printed. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** Writes a kubeconfig of a ServiceAccount, with its rights and no others. Returns its path. */
  readonly kubeconfigOf: (serviceAccount: string, namespace: string) => Promise<string>;
}

/** The range of the cluster's Services. */
export const SERVICE_CIDR = '10.96.0.0/16';

const LOOPBACK = '127.0.0.1';

interface Credentials {
  readonly token: string;
  readonly tokensFile: string;
  readonly privateKeyFile: string;
  readonly publicKeyFile: string;
}

/** Starts an etcd and a Kubernetes API server on free ports. */
export async function startKubeApiserver(options: KubeApiserverOptions = {}): Promise<KubeApiserver> {
  const directory = createTemporaryDirectory();
  const etcd = await startEtcd();
  const port = await freePort();
  const { host = LOOPBACK, serviceCidr = SERVICE_CIDR } = options;
  const url = `https://${host}:${port}`;
  const credentials = writeCredentials(directory);
  const process = await startPart({
    name: 'kube-apiserver',
    command: await partPath('kube-apiserver'),
    args: [
      ...serverArguments({ directory, host, port, serviceCidr, credentials }),
      `--etcd-servers=${etcd.url}`,
      ...(options.serviceAccounts === true ? [] : ['--disable-admission-plugins=ServiceAccount']),
    ],
    directory,
    ready: async () => answersHttps(`${url}/readyz`),
    // It would wait up to a minute for its watchers to go; all that it knows is in etcd.
    stopTimeoutMs: 500,
  });
  const caFile = directory.file('certificates/apiserver.crt');
  const kubeconfigFile = directory.file('kubeconfig');
  writeFileSync(kubeconfigFile, kubeconfig({ url, caFile, token: credentials.token }), { mode: 0o600 });
  const kubectlPath = await partPath('kubectl');
  const server: KubeApiserver = {
    ...partMethods(process),
    stop: async () => {
      await process.stop();
      await etcd.stop();
    },
    etcd,
    url,
    caFile,
    kubeconfigFile,
    token: credentials.token,
    serviceAccountKeyFile: credentials.privateKeyFile,
    kubectl: async (args, input = '') => {
      const environment = { KUBECONFIG: kubeconfigFile, KUBECACHEDIR: directory.file('kubectl-cache') };
      return (await runCommand(kubectlPath, args, { input, environment })).stdout;
    },
    kubeconfigOf: async (serviceAccount, namespace) => {
      const accountToken = await server.kubectl(['create', 'token', serviceAccount, '-n', namespace]);
      const file = directory.file(`kubeconfig-${namespace}-${serviceAccount}`);
      writeFileSync(file, kubeconfig({ url, caFile, token: accountToken.trim() }), { mode: 0o600 });
      return file;
    },
  };
  if (options.crds !== undefined) await applyCrds(server, await partPath(options.crds));
  return server;
}

interface ServerOptions {
  readonly directory: TemporaryDirectory;
  readonly host: string;
  readonly port: number;
  readonly serviceCidr: string;
  readonly credentials: Credentials;
}

function serverArguments({ directory, host, port, serviceCidr, credentials }: ServerOptions): readonly string[] {
  const { tokensFile, privateKeyFile, publicKeyFile } = credentials;
  return [
    `--bind-address=${host}`,
    `--secure-port=${port}`,
    // It makes its own certificate there; a loopback address can be no endpoint of the Service `kubernetes`.
    `--cert-dir=${directory.file('certificates')}`,
    `--advertise-address=${host}`,
    ...(host === LOOPBACK ? ['--endpoint-reconciler-type=none'] : []),
    '--allow-privileged=true',
    '--kubelet-preferred-address-types=InternalIP',
    `--service-cluster-ip-range=${serviceCidr}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${publicKeyFile}`,
    `--service-account-signing-key-file=${privateKeyFile}`,
    `--token-auth-file=${tokensFile}`,
    '--authorization-mode=RBAC',
  ];
}

function writeCredentials(directory: TemporaryDirectory): Credentials {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const token = randomBytes(16).toString('hex');
  const write = (name: string, content: string): string => {
    writeFileSync(directory.file(name), content, { mode: 0o600 });
    return directory.file(name);
  };
  return {
    token,
    tokensFile: write('tokens.csv', `${token},administrator,administrator,"system:masters"\n`),
    privateKeyFile: write('service-account.key', privateKey),
    publicKeyFile: write('service-account.pub', publicKey),
  };
}

/** JSON is YAML, and needs no care about quoting. */
function kubeconfig({ url, caFile, token }: { url: string; caFile: string; token: string }): string {
  const certificate = readFileSync(caFile).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': certificate } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}

async function applyCrds(server: KubeApiserver, file: string): Promise<void> {
  await server.kubectl(['apply', '--server-side', '-f', file]);
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=30s', '-f', file]);
}
