import { networkInterfaces } from 'node:os';
import { dirname } from 'node:path';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { inspectRedis } from '../../src/host/inspect-redis.js';
import { insertTap } from '../../src/install/corefile/insert-tap.js';
import { sha256 } from '../../src/install/dns-changes.js';
import type { DoctorReport } from '../../src/install/doctor.js';
import { examine } from '../../src/install/examine.js';
import { recordName } from '../../src/install/record.js';
import { askByUdp } from '../../src/dnstap-ts/test/interop/dns-client.js';
import { ROOT, runCommand } from '../support/command.js';
import { startCoreDns } from '../support/coredns.js';
import { freePort } from '../support/free-port.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { partPath } from '../support/parts.js';
import { createPodNetwork } from '../support/pods.js';
import { acceptsTcp, answersHttp } from '../support/probe.js';
import { startPart, type Part } from '../support/process.js';
import { startRedis } from '../support/redis.js';
import { runProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { applyPlatform, platformDirectory, removePlatform } from './platform.js';

const NAMESPACE = 'istio-discovery';

let server: KubeApiserver;
let client: KubernetesClient;

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds' });
  client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
  await server.kubectl(['create', 'namespace', NAMESPACE]);
}, 120_000);

afterAll(async () => {
  await client.close();
  await server.stop();
});

function codes({ findings }: DoctorReport): readonly string[] {
  return findings.map(({ code, severity }) => `${severity} ${code}`);
}

describe('the doctor in a real API server', () => {
  it.each(['eks', 'kind', 'node-local-dns', 'openshift', 'rke2'])(
    'finds for %s the same as in files',
    async (platform) => {
      await applyPlatform(server, platform);
      try {
        const live = await examine({ from: { client }, namespace: NAMESPACE });
        const offline = await examine({ from: { directory: platformDirectory(platform) }, namespace: NAMESPACE });
        // The definitions of Istio are installed, which files do not tell.
        const expected = codes(offline).map((code) =>
          code === 'warning istio-absent' ? 'note istio-elsewhere' : code,
        );
        expect(codes(live).toSorted()).toEqual(expected.toSorted());
        const { clusterIp: _, ...dns } = live.dns; // of the test's own range
        expect(offline.dns).toMatchObject(dns);
        expect(live).toMatchObject({ verdict: offline.verdict, arrival: { state: 'absent' } });
        expect(live.rights?.every(({ allowed }) => allowed)).toBe(true);
      } finally {
        await removePlatform(server, platform);
      }
    },
  );

  it.each(['aks', 'k3s', 'node-local-dns'])('prints for %s commands after which the tap is there', async (platform) => {
    await applyPlatform(server, platform);
    try {
      const endpoint = 'tcp://192.0.2.7:6000';
      const diagnose = (): Promise<DoctorReport> => examine({ from: { client }, namespace: NAMESPACE, endpoint });
      const { corefile, steps } = await diagnose();
      expect(corefile?.blocks[0]?.taps).toEqual([]);
      for (const command of steps?.commands ?? []) await runWithKubectl(command);
      const after = await diagnose();
      const isOurs = platform === 'node-local-dns'; // the others have it in a file of its own, without comments around it
      expect(after.corefile?.blocks.map(({ taps }) => taps)).toEqual([[{ endpoint, full: true, ours: isOurs }]]);
      // What an operator had beside it is still there.
      expect(after.findings.some(({ code }) => code === 'block-in-import')).toBe(platform === 'aks');
    } finally {
      await removePlatform(server, platform);
      await server.kubectl(['-n', 'kube-system', 'delete', 'configmap', 'coredns-custom', '--ignore-not-found']);
    }
  });
});

describe('install and uninstall where the Corefile is not ours to change', () => {
  const at = (): readonly string[] => ['--kubeconfig', server.kubeconfigFile, '-n', NAMESPACE];
  const corefile = async (): Promise<string> =>
    server.kubectl(['-n', 'kube-system', 'get', 'configmap', 'coredns', '-o', 'jsonpath={.data.Corefile}']);

  it('changes nothing, and there is nothing to put back', async () => {
    await applyPlatform(server, 'k3s');
    try {
      const before = await corefile();
      await expect(runProgram('install', ...at())).rejects.toMatchObject({ cause: { code: 3 } });
      await runProgram('uninstall', ...at()); // or Helm could not remove a release whose Job was refused
      expect(await corefile()).toBe(before);
    } finally {
      await removePlatform(server, 'k3s');
    }
  });

  it('puts back what was changed before it became an add-on', async () => {
    await applyPlatform(server, 'eks');
    try {
      const original = await corefile();
      await pretendInstalled(original);
      expect(await corefile()).not.toBe(original);
      await runProgram('uninstall', ...at());
      expect(await corefile()).toBe(original);
    } finally {
      await removePlatform(server, 'eks');
    }
  });

  async function pretendInstalled(original: string): Promise<void> {
    const endpoint = 'tcp://192.0.2.7:6000';
    const insertion = insertTap(original, { endpoint, version: '1.11.4' });
    if ('refused' in insertion) throw new Error(insertion.refused);
    const place = { namespace: 'kube-system', deployment: 'coredns', configMap: 'coredns', key: 'Corefile' };
    const record = { mode: 'collector', endpoint, ...place, written: sha256(insertion.text), verified: true };
    const data = { Corefile: original, 'record.json': JSON.stringify(record) };
    const metadata = { name: recordName('istio-discovery'), namespace: NAMESPACE };
    await server.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }),
    );
    await patch('configmap', { data: { Corefile: insertion.text } });
    // No controller says that the Deployment is rolled out.
    const status = { observedGeneration: 9, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };
    await patch('deployment', { status }, '--subresource=status');
  }

  async function patch(kind: string, fields: object, ...flags: readonly string[]): Promise<void> {
    const change = ['--type=merge', '-p', JSON.stringify(fields), ...flags];
    await server.kubectl(['-n', 'kube-system', 'patch', kind, 'coredns', ...change]);
  }
});

describe('the doctor on a cluster of kubeadm', () => {
  beforeAll(async () => applyPlatform(server, 'kubeadm'));

  it('says which rights are missing, and what it could not read', async () => {
    const kubeconfig = await createReader();
    const reader = KubernetesClient.load({ kubeconfig });
    try {
      const report = await examine({ from: { client: reader }, namespace: NAMESPACE });
      expect(report).toMatchObject({ verdict: 'impossible', dns: { kind: 'coredns', workload: 'Deployment/coredns' } });
      expect(report.rights?.some(({ allowed }) => allowed)).toBe(false);
      expect(report.findings).toContainEqual({
        code: 'right-missing',
        severity: 'problem',
        text: 'patch configmaps in kube-system: a right is missing',
      });
      const unread = report.findings.filter(({ code }) => code === 'not-read').map(({ text }) => text.split(':')[0]);
      expect(unread).toContain('Node');
      expect(unread).toContain('Deployment in istio-system');
      expect(codes(report)).not.toContain('warning istio-absent'); // it was not read
    } finally {
      await reader.close();
    }
    await expect(runProgram('doctor', '--kubeconfig', kubeconfig)).rejects.toMatchObject({
      cause: { code: 1 },
    });
  });

  it('says that ServiceEntries are not known', async () => {
    const crd = 'serviceentries.networking.istio.io';
    const definition = await server.kubectl(['get', 'crd', crd, '-o', 'json']);
    await server.kubectl(['delete', 'crd', crd]);
    const report = await waitUntil(
      async () => {
        const each = await examine({ from: { client }, namespace: NAMESPACE });
        return codes(each).includes('warning crds-absent') && each;
      },
      { what: 'the end of the definition' },
    );
    expect(report.istio).toBeDefined();
    await server.kubectl(['create', '-f', '-'], definition);
  });

  it('says from outside whether queries arrive, and why not', async () => {
    const address = await addressOfThisMachine();
    const [tapPort, httpPort] = [await freePort(), await freePort()];
    await createCollectorPod(address, httpPort);
    const endpoint = `tcp://${address}:${tapPort}`;
    const diagnose = (): Promise<DoctorReport> => examine({ from: { client }, namespace: NAMESPACE, endpoint });

    expect(await diagnose()).toMatchObject({ verdict: 'broken', arrival: { state: 'unreadable' } });

    // Where the API server cannot reach them, the store may know better.
    const collectors = [{ name: 'collector', connections: 1, batches: 3, secondsSinceReport: 7 }];
    const known = { kind: 'redis', reachable: true, persistence: 'append-only file' } as const;
    const stored = await examine({ from: { client }, namespace: NAMESPACE, endpoint, store: { ...known, collectors } });
    expect(stored.arrival).toMatchObject({ state: 'arriving', collectors: [{ pod: 'collector', connections: 1 }] });
    const ended = { ...known, collectors: collectors.map((each) => ({ ...each, secondsSinceReport: 600 })) };
    const gone = await examine({ from: { client }, namespace: NAMESPACE, endpoint, store: ended });
    expect(gone.arrival).toMatchObject({ state: 'unreadable', collectors: [] });

    await startCollector({ endpoint, httpAddress: `${address}:${httpPort}` });
    const alone = await diagnose();
    expect(alone).toMatchObject({ verdict: 'broken', arrival: { state: 'alone' } });
    expect(codes(alone)).toEqual(expect.arrayContaining(['problem tap-absent', 'problem collector-alone']));

    await patchCorefile(endpoint);
    expect(codes(await diagnose())).toEqual(expect.arrayContaining(['problem collector-alone', 'note reload-pending']));
    const dnsPort = await freePort();
    const line = `dnstap ${endpoint} full`;
    await startCoreDns({
      corefile: `.:${dnsPort} {\n  ${line}\n  template IN A . {\n    answer "{{ .Name }} 60 IN A 192.0.2.1"\n  }\n}\n`,
      ready: async () => acceptsTcp('127.0.0.1', dnsPort),
    });
    await waitUntil(async () => (await diagnose()).arrival?.state === 'silent', { what: 'a connection' });
    expect(await diagnose()).toMatchObject({ verdict: 'unverified' });
    await askByUdp(dnsPort, 'www.example.com');
    await waitUntil(async () => (await diagnose()).arrival?.state === 'arriving', { what: 'a query' });
    expect(await diagnose()).toMatchObject({
      verdict: 'installed',
      plan: [],
      arrival: { collectors: [{ pod: 'istio-discovery/collector', connections: 1, responses: 1 }] },
    });

    await server.kubectl(['-n', NAMESPACE, 'delete', 'pod', 'collector', '--grace-period=0', '--force']);
    expect(await diagnose()).toMatchObject({ arrival: { state: 'absent' } });
    await createSidecarPod(address, httpPort);
    expect((await diagnose()).arrival).toMatchObject({
      state: 'arriving',
      collectors: [{ pod: 'kube-system/coredns-0', connections: 1, responses: 1 }],
    });
  });
});

describe('inspectRedis', () => {
  it.each([
    ['append-only file', []],
    ['snapshots', ['--appendonly', 'no', '--save', '3600 1']],
    ['none', ['--appendonly', 'no']],
  ])('tells of persistence: %s', async (persistence, args) => {
    const redis = await startRedis({ args: [...args, '--maxmemory-policy', 'allkeys-lru'] });
    const inspection = await inspectRedis({ url: redis.url });
    expect(inspection).toEqual({ persistence, evictionPolicy: 'allkeys-lru' });
    await redis.stop();
  });

  it('tells nothing of snapshots where it may not ask', async () => {
    const redis = await startRedis({ args: ['--appendonly', 'no', '--rename-command', 'CONFIG', ''] });
    expect(await inspectRedis({ url: redis.url })).toEqual({ evictionPolicy: 'noeviction' });
    await redis.stop();
  });

  it('fails when there is none', async () => {
    const inspection = inspectRedis({ url: `redis://127.0.0.1:${await freePort()}` });
    await expect(inspection).rejects.toMatchObject({ code: 'HOST_STORE_UNAVAILABLE' });
  });
});

/** A command as a person would paste it. */
async function runWithKubectl(command: string): Promise<void> {
  const directory = dirname(await partPath('kubectl'));
  const environment = { KUBECONFIG: server.kubeconfigFile, PATH: `${directory}:${process.env['PATH']}` };
  await runCommand('sh', ['-c', command], { environment });
}

/** The kubeconfig of an account that may read kube-system and nothing else. */
async function createReader(): Promise<string> {
  await server.kubectl(['-n', 'default', 'create', 'serviceaccount', 'reader']);
  const resources = 'configmaps,services,deployments.apps,daemonsets.apps';
  await server.kubectl(['-n', 'kube-system', 'create', 'role', 'reader', '--verb=get,list', `--resource=${resources}`]);
  const subject = '--serviceaccount=default:reader';
  await server.kubectl(['-n', 'kube-system', 'create', 'rolebinding', 'reader', '--role=reader', subject]);
  await server.kubectl(['create', 'namespace', 'openshift-dns']).catch(() => undefined); // it may be there
  return server.kubeconfigOf('reader', 'default');
}

/** The API server sends nothing to a loopback address. */
async function addressOfThisMachine(): Promise<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const found = addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  return found ?? (await createPodNetwork()).dnsAddress;
}

async function createCollectorPod(address: string, httpPort: number): Promise<void> {
  const labels = { 'app.kubernetes.io/name': 'istio-discovery', 'app.kubernetes.io/component': 'collector' };
  const ports = [{ name: 'http', containerPort: httpPort }];
  const probe = { httpGet: { path: '/livez', port: 'http' } };
  const containers = [{ name: 'collector', image: 'test', ports, livenessProbe: probe }];
  await createPod({ metadata: { name: 'collector', namespace: NAMESPACE, labels }, spec: { containers } }, address);
}

/** A CoreDNS with our native sidecar. */
async function createSidecarPod(address: string, httpPort: number): Promise<void> {
  const livenessProbe = { httpGet: { path: '/livez', port: httpPort } };
  const sidecar = { name: 'istio-discovery', image: 'test', restartPolicy: 'Always', livenessProbe };
  const spec = { containers: [{ name: 'coredns', image: 'test' }], initContainers: [sidecar] };
  const metadata = { name: 'coredns-0', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
  await createPod({ metadata, spec }, address);
}

interface TestPod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: object };
  readonly spec: object;
}

/** No kubelet is there to report its address. */
async function createPod({ metadata, spec }: TestPod, address: string): Promise<void> {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, nodeName: 'node' } };
  await server.kubectl(['apply', '-f', '-'], JSON.stringify(pod));
  const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }] };
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
  await server.kubectl(['-n', metadata.namespace, 'patch', 'pod', metadata.name, ...patch]);
}

async function startCollector({ endpoint, httpAddress }: { endpoint: string; httpAddress: string }): Promise<Part> {
  const store = `embedded://${createTemporaryDirectory().file('store')}`;
  return startPart({
    name: 'collector',
    command: process.execPath,
    args: [`${ROOT}/dist/main.js`, 'collect', '--dnstap', endpoint, '--store', store, '--http-address', httpAddress],
    ready: async () => answersHttp(`http://${httpAddress}/livez`),
  });
}

async function patchCorefile(endpoint: string): Promise<void> {
  const get = ['-n', 'kube-system', 'get', 'configmap', 'coredns', '-o', 'json'];
  const configMap = JSON.parse(await server.kubectl(get)) as { data: { Corefile: string } }; // a ConfigMap of kubeadm
  const inserted = insertTap(configMap.data.Corefile, { endpoint, version: '1.11.3' });
  if ('refused' in inserted) throw new Error(inserted.refused);
  const patch = ['--type=merge', '-p', JSON.stringify({ data: { Corefile: inserted.text } })];
  await server.kubectl(['-n', 'kube-system', 'patch', 'configmap', 'coredns', ...patch]);
}
