import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandOptions, ROOT, runCommand } from '../support/command.js';
import { IMAGES } from '../support/container-images.js';
import { startOneNodeCluster, type OneNodeCluster } from '../support/one-node-cluster.js';
import { partPath } from '../support/parts.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

/** The cluster that the tests install into: CoreDNS as kubeadm makes it, and clients. */
export async function startClusterWithClients(): Promise<OneNodeCluster> {
  const cluster = await startOneNodeCluster(['coredns', 'coredns-1.11', 'redis', 'busybox', 'node', 'istio-discovery']);
  const { kubectl } = cluster;
  await kubectl(['apply', '-f', '-'], readFileSync(join(ROOT, 'test/cluster/cluster-dns.yaml'), 'utf8'));
  await kubectl(['apply', '-f', '-'], readFileSync(join(ROOT, 'test/cluster/clients.yaml'), 'utf8'));
  for (let number = 1; number <= VOLUMES; number += 1) {
    await kubectl(['create', '-f', '-'], JSON.stringify(volume(cluster, `volume-${number}`)));
  }
  await kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s']);
  return cluster;
}

/** One for each installation: a volume that was used is not used again. */
const VOLUMES = 3;

/** A volume for Redis: the cluster has nothing that would make one. */
function volume({ node }: OneNodeCluster, name: string): object {
  const path = node.directory.file(name);
  mkdirSync(path);
  chmodSync(path, 0o777);
  const hostname = { key: 'kubernetes.io/hostname', operator: 'In', values: [node.name] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [hostname] }] } },
    },
  };
}

const IMAGE = [
  '--image',
  IMAGES['istio-discovery'],
  '--set',
  'redis.bundled.image.repository=localhost/redis',
  '--set',
  'redis.bundled.image.tag=7.0-bookworm',
];

/** Runs deploy.sh as an operator would; `install` options are added unless it is to uninstall. */
export async function createDeploy(cluster: OneNodeCluster): Promise<(...args: readonly string[]) => Promise<string>> {
  const options = await operatorsShell(cluster);
  return async (...args) => {
    const image = args.includes('--uninstall') ? [] : IMAGE;
    const command = [join(ROOT, 'deploy.sh'), '--yes', ...image, ...args];
    const { stdout, stderr } = await runCommand('/bin/sh', command, options);
    return `${stdout}${stderr}`;
  };
}

/** Runs a command line as an operator would, in a directory of its own. */
export async function createShell(cluster: OneNodeCluster): Promise<(command: string) => Promise<string>> {
  const options = await operatorsShell(cluster);
  return async (command) => (await runCommand('/bin/sh', ['-c', command], options)).stdout;
}

async function operatorsShell({ apiServer }: OneNodeCluster): Promise<CommandOptions> {
  const directory = createTemporaryDirectory();
  for (const part of ['kubectl', 'helm'] as const) symlinkSync(await partPath(part), directory.file(part));
  const environment = {
    PATH: `${directory.path}:/usr/bin:/bin`,
    HOME: directory.path,
    KUBECONFIG: apiServer.kubeconfigFile,
  };
  return { environment, workingDirectory: directory.path, timeoutMs: 600_000 };
}

const OBJECT_KINDS = 'all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets';

interface Comparable {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: object;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** What the Deployment controller and the API server count by themselves. */
const COUNTED_KINDS = new Set(['Pod', 'ReplicaSet', 'EndpointSlice', 'Endpoints']);
const COUNTER = 'deployment.kubernetes.io/revision';

/** Every object of kube-system as it was written: without what only counts how often it was. */
export async function kubeSystemObjects({ kubectl }: OneNodeCluster): Promise<readonly object[]> {
  const { items } = JSON.parse(await kubectl(['-n', 'kube-system', 'get', OBJECT_KINDS, '-o', 'json'])) as {
    items: readonly Comparable[];
  };
  return items
    .filter(({ kind }) => !COUNTED_KINDS.has(kind))
    .map((object) => {
      const { name, labels, annotations = {} } = object.metadata;
      const kept = Object.entries(annotations).filter(([key]) => key !== COUNTER);
      return { ...object, metadata: { name, labels, annotations: Object.fromEntries(kept) }, status: undefined };
    });
}

/** Runs a command of the installed program in a pod of its own; returns what it printed. */
export async function runInstalled({ kubectl }: OneNodeCluster, command: readonly string[]): Promise<string> {
  const at = ['-n', 'istio-discovery', 'exec', 'deployment/istio-discovery-reconciler', '--'];
  return kubectl([...at, 'node', '/app/dist/bundle/main.js', ...command]);
}

/** The hosts that workloads are known to use, by the installed program itself: `namespace/kind/name host`. */
export async function knownUses(cluster: OneNodeCluster): Promise<readonly string[]> {
  const hosts = JSON.parse(await runInstalled(cluster, ['hosts', '-o', 'json'])) as readonly {
    readonly hostname: string;
    readonly workloads: readonly { readonly namespace: string; readonly kind: string; readonly name: string }[];
  }[];
  return hosts
    .flatMap(({ hostname, workloads }) =>
      workloads.map(({ namespace, kind, name }) => `${namespace}/${kind}/${name} ${hostname}`),
    )
    .sort();
}

/** `namespace/host` of each ServiceEntry. */
export async function serviceEntries({ kubectl }: OneNodeCluster): Promise<readonly string[]> {
  const path = '{range .items[*]}{.metadata.namespace}/{.spec.hosts[0]}{"\\n"}{end}';
  const text = await kubectl(['get', 'serviceentries', '-A', '-o', `jsonpath=${path}`]);
  return text.split('\n').filter(Boolean).sort();
}
