import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { install, type InstallOptions } from '../../src/install/install.js';
import type { Sidecar } from '../../src/install/sidecar.js';
import { repair } from '../../src/install/repair.js';
import { uninstall } from '../../src/install/uninstall.js';
import { createLogger } from '../../src/telemetry/logger.js';
import {
  chooseAddresses,
  type CoreDnsCluster,
  MISSING_IMAGE,
  startCollector,
  startCoreDnsCluster,
} from '../support/coredns-cluster.js';
import type { Part } from '../support/process.js';
import { runProgram } from '../support/program.js';
import { waitUntil } from '../support/wait-until.js';

const NAMESPACE = 'istio-discovery';
const RECORD = 'istio-discovery-cluster-dns';
const TAP_PORT = 6000;
const HTTP_PORT = 8080;
const STARTING_MS = 120_000;
/** For what never comes. */
const SHORT_MS = 3_000;
/** For what must not come, and then for a rollout that must. */
const PATIENT_MS = 8_000;

const addresses = chooseAddresses();
const COREFILE = `.:53 {
    bind ${addresses.dns}
    errors
    hosts {
        192.0.2.1 kubernetes.default.svc.cluster.local
        fallthrough
    }
    reload 2s 1s
    forward . 192.0.2.53
}
`;
const NO_RELOAD = COREFILE.replace('    reload 2s 1s\n', '');
const TAP = `dnstap tcp://${addresses.collector}:${TAP_PORT} full`;
const SOCKET_TAP = 'dnstap unix:///run/istio-discovery/dnstap.sock full';

const SIDECAR: Sidecar = {
  container: {
    name: 'istio-discovery',
    image: 'example.com/istio-discovery:1',
    // As the chart has what is not set.
    env: [{ name: 'ISTIO_DISCOVERY_OBSERVATION_CLUSTER_DOMAINS', value: '[]' }],
  },
  volumes: [],
};

let cluster: CoreDnsCluster;
let collector: Part | undefined;
let bare: object;
let bareStrategy: string;

beforeAll(async () => {
  cluster = await startCoreDnsCluster(COREFILE, addresses);
  await createCollectorObjects();
  bare = await podTemplate();
  bareStrategy = withoutCounter(await deployment(STRATEGY));
}, STARTING_MS);

beforeEach(async () => {
  await runCollector();
});

function options(fields: Partial<InstallOptions> = {}): InstallOptions {
  return {
    client: cluster.client,
    namespace: NAMESPACE,
    owner: 'istio-discovery',
    clusterDomains: ['cluster.local'],
    service: 'istio-discovery-collector',
    ports: { collector: HTTP_PORT, sidecar: 8054 },
    timeoutMs: 20_000,
    log: createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now }),
    signal: new AbortController().signal,
    mode: 'collector',
    sidecar: SIDECAR,
    ...fields,
  };
}

/** No kubelet runs in our namespace: the pod is said to be ready, whatever listens there. */
async function createCollectorObjects(): Promise<void> {
  const labels = { app: 'collector' };
  const metadata = { name: 'istio-discovery-collector', namespace: NAMESPACE };
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: addresses.collector, selector: labels, ports: [{ name: 'dnstap', port: TAP_PORT }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, labels },
      spec: { nodeName: 'node', containers: [{ name: 'collector', image: 'example.com/istio-discovery:1' }] },
    },
  ];
  await cluster.server.kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const { collector: podIP } = addresses;
  const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [{ type: 'Ready', status: 'True' }] };
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
  await cluster.server.kubectl(['-n', NAMESPACE, 'patch', 'pod', metadata.name, ...patch]);
}

async function runCollector(): Promise<void> {
  if (collector?.isRunning() === true) return;
  const { collector: address } = addresses;
  collector = await startCollector({ endpoint: `tcp://${address}:${TAP_PORT}`, http: `${address}:${HTTP_PORT}` });
}

async function stopCollector(): Promise<void> {
  await collector?.stop();
  collector = undefined;
}

interface Template {
  readonly metadata: { readonly annotations?: object };
  readonly spec: {
    readonly containers: readonly { readonly name: string; readonly image: string }[];
    readonly initContainers?: readonly { readonly name: string; readonly image: string }[];
  };
}

async function podTemplate(): Promise<Template> {
  return JSON.parse(await deployment('{.spec.template}')) as Template;
}

async function deployment(path: string): Promise<string> {
  return cluster.server.kubectl(['-n', 'kube-system', 'get', 'deployment', 'coredns', '-o', `jsonpath=${path}`]);
}

const STRATEGY = '{.spec.strategy} {.metadata.annotations}';

async function record(): Promise<string> {
  return cluster.server.kubectl(['-n', NAMESPACE, 'get', 'configmap', RECORD, '--ignore-not-found', '-o', 'name']);
}

async function expectAsBefore(corefile = COREFILE): Promise<void> {
  expect(await cluster.corefile()).toBe(corefile);
  expect(await podTemplate()).toEqual(bare);
  expect(withoutCounter(await deployment(STRATEGY))).toBe(bareStrategy);
  expect(await record()).toBe('');
}

/** Without the annotation in which the Deployment controller counts. */
function withoutCounter(text: string): string {
  return text.replace(/"deployment\.kubernetes\.io\/revision":"\d+"/, '');
}

/** The dnstap lines of the Corefile. */
async function taps(): Promise<readonly string[]> {
  return (await cluster.corefile())
    .split('\n')
    .filter((line) => line.includes('dnstap ') && !line.includes('#'))
    .map((line) => line.trim());
}

describe('a first installation that comes to no good', () => {
  it('puts everything back when CoreDNS cannot reach the receiver', async () => {
    await stopCollector();
    await expect(install(options({ timeoutMs: SHORT_MS }))).rejects.toMatchObject({
      code: 'INSTALL_ERR_NOT_VERIFIED',
      exitCode: 3,
    });
    await expectAsBefore();
  });

  it('puts everything back when the receiver says nothing', async () => {
    await stopCollector();
    const silent = await startSilentReceiver();
    try {
      await expect(install(options({ timeoutMs: SHORT_MS }))).rejects.toMatchObject({
        code: 'INSTALL_ERR_NOT_VERIFIED',
      });
      expect(silent.greeted()).toBe(true); // CoreDNS did say READY
      await expectAsBefore();
    } finally {
      await silent.close();
    }
  });

  it('puts everything back when look-ups fail meanwhile', async () => {
    await stopCollector();
    // In a process of its own, as the Job runs it.
    const program = ['install', '--kubeconfig', cluster.server.kubeconfigFile, '-n', NAMESPACE];
    const outcome = runProgram(...program).catch((err: unknown) => err);
    await waitUntil(async () => (await taps()).length > 0, { what: 'the line' });
    await cluster.killCoreDns();
    expect(await outcome).toMatchObject({
      message: expect.stringContaining('INSTALL_ERR_DNS_FAILED'),
      cause: { code: 3 },
    });
    await expectAsBefore();
    await restartCoreDns();
  });
});

async function restartCoreDns(): Promise<void> {
  await cluster.server.kubectl(['-n', 'kube-system', 'delete', 'pods', '-l', 'k8s-app=kube-dns', '--wait=false']);
  await cluster.server.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=30s']);
}

/** Accepts connections and never answers. */
async function startSilentReceiver(): Promise<{ greeted(): boolean; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  let bytes = 0;
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined).on('data', (piece: Buffer) => (bytes += piece.length)));
  });
  await once(server.listen(TAP_PORT, addresses.collector), 'listening');
  return {
    greeted: () => bytes > 0,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('an installation', () => {
  it('is the same when it is done twice', async () => {
    await install(options());
    expect(await taps()).toEqual([TAP]);
    const corefile = await cluster.corefile();
    await install(options());
    expect(await cluster.corefile()).toBe(corefile);
    expect(await podTemplate()).toEqual(bare);
  });

  it('becomes one of another mode', async () => {
    await install(options({ mode: 'sidecar' }));
    expect(await taps()).toEqual([SOCKET_TAP]);
    const { containers, initContainers } = (await podTemplate()).spec;
    expect(containers.map(({ name }) => name)).toEqual(['coredns']);
    // Its own resolv.conf is that of the node.
    const env = [{ name: 'ISTIO_DISCOVERY_OBSERVATION_CLUSTER_DOMAINS', value: '["cluster.local"]' }];
    const sidecar = { name: 'istio-discovery', restartPolicy: 'Always', env };
    expect(initContainers).toEqual([expect.objectContaining(sidecar)]);
  });

  it('keeps the sidecar that works when another one does not start', async () => {
    const before = await podTemplate();
    const sidecar = { ...SIDECAR, container: { ...SIDECAR.container, image: MISSING_IMAGE } };
    const outcome = install(options({ mode: 'sidecar', sidecar, timeoutMs: SHORT_MS })).catch((err: unknown) => err);
    await waitUntil(async () => (await deployment('{.status.unavailableReplicas}')) !== '', { what: 'the new pod' });
    expect(await deployment('{.status.availableReplicas}')).toBe('2'); // though the Deployment allows one to be missing
    expect(await outcome).toMatchObject({ code: 'INSTALL_ERR_NOT_VERIFIED' });
    expect(withoutCounter(await deployment(STRATEGY))).toBe(bareStrategy);
    expect(await podTemplate()).toEqual(before);
    expect(await taps()).toEqual([SOCKET_TAP]);
    await install(options({ mode: 'sidecar' })); // which sees that all are connected
  });

  it('becomes one of the first mode again', async () => {
    await install(options());
    expect(await taps()).toEqual([TAP]);
    expect(await podTemplate()).toEqual(bare);
  });

  it('is removed byte for byte', async () => {
    await uninstall(options());
    await expectAsBefore();
    await uninstall(options());
    await expectAsBefore();
  });
});

it('puts an ordinary container last where a kubelet knows no native sidecars', async () => {
  await cluster.setKubeletVersion('v1.28.9');
  await install(options({ mode: 'sidecar' }));
  const { containers, initContainers = [] } = (await podTemplate()).spec;
  expect(initContainers).toEqual([]);
  expect(containers.map(({ name }) => name)).toEqual(['coredns', 'istio-discovery']);
  await uninstall(options());
  await expectAsBefore();
  await cluster.setKubeletVersion('v1.36.0');
});

it('restarts a CoreDNS that has no reload', async () => {
  await cluster.writeCorefile(NO_RELOAD);
  await restartCoreDns();
  await install(options({ timeoutMs: PATIENT_MS }));
  expect(await taps()).toEqual([TAP]);
  await uninstall(options({ timeoutMs: PATIENT_MS }));
  await expectAsBefore(NO_RELOAD);
  await cluster.writeCorefile(COREFILE);
  await restartCoreDns();
});

it('restarts a CoreDNS that a bad Corefile has made deaf', async () => {
  await install(options());
  const good = await cluster.corefile();
  await cluster.writeCorefile(good.replace('errors', 'errors\n    nonsense'));
  await waitUntil(() => cluster.logs().every((log) => log.includes('nonsense')), { what: 'that CoreDNS refuses it' });
  await cluster.writeCorefile(good);
  await waitUntil(() => cluster.logs().every((log) => log.includes('close of closed channel')), {
    what: 'the end of its reloading',
  });
  await install(options({ timeoutMs: PATIENT_MS }));
  await uninstall(options());
  await expectAsBefore();
});

it('does not take anything back while a repair is under way, which would put it back', async () => {
  await install(options());
  await createRunningInstaller();
  const ending = uninstall(options());
  const recorded = ['-n', NAMESPACE, 'get', 'configmap', RECORD, '-o', 'jsonpath={.data.record\\.json}'];
  await waitUntil(async () => (await cluster.server.kubectl(recorded)).includes('"verified": false'));
  await delay(1000);
  expect(await taps()).toEqual([TAP]);
  await cluster.server.kubectl(['-n', NAMESPACE, 'delete', 'pod', 'repair', '--now']);
  await ending;
  await expectAsBefore();
});

async function createRunningInstaller(): Promise<void> {
  const labels = { 'app.kubernetes.io/name': 'istio-discovery', 'app.kubernetes.io/component': 'installer' };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'repair', namespace: NAMESPACE, labels },
    spec: { containers: [{ name: 'installer', image: 'example.com/istio-discovery:1' }] },
  };
  await cluster.server.kubectl(['create', '-f', '-'], JSON.stringify(pod));
  const patch = ['--subresource=status', '--type=merge', '-p', '{"status":{"phase":"Running"}}'];
  await cluster.server.kubectl(['-n', NAMESPACE, 'patch', 'pod', 'repair', ...patch]);
}

describe('repair', () => {
  const HOUR = 3_600_000;
  let now = Date.UTC(2026, 0, 31);
  const repairAt = async (atMs: number): Promise<void> => repair(options(), () => atMs);

  it('does nothing where nothing is installed, or is as it was left', async () => {
    await repairAt(now);
    await expectAsBefore();
    await install(options());
    const before = await cluster.corefile();
    await repairAt(now);
    expect(await cluster.corefile()).toBe(before);
  });

  it('uses no attempt up while the Corefile has a mistake in it', async () => {
    const before = await cluster.corefile();
    const mistaken = COREFILE.replace('errors', 'errors }');
    await cluster.writeCorefile(mistaken);
    await repairAt(now);
    expect(await cluster.corefile()).toBe(mistaken);
    const recorded = ['-n', NAMESPACE, 'get', 'configmap', RECORD, '-o', 'jsonpath={.data.record\\.json}'];
    expect(JSON.parse(await cluster.server.kubectl(recorded))).not.toHaveProperty('repairs');
    await cluster.writeCorefile(before);
  });

  it('puts right what somebody else has taken back', async () => {
    await cluster.writeCorefile(COREFILE);
    await repairAt(now);
    expect(await taps()).toEqual([TAP]);
  });

  it('waits before it does so again, and gives up after the fifth time', async () => {
    await cluster.writeCorefile(COREFILE);
    await repairAt(now + HOUR / 60);
    expect(await taps()).toEqual([]);
    for (const attempt of [2, 3, 4, 5, 6]) {
      await cluster.writeCorefile(COREFILE);
      await repairAt((now += 3 * HOUR));
      expect([attempt, await taps()]).toEqual([attempt, attempt <= 5 ? [TAP] : []]);
    }
  });

  it('begins anew when a person has run the installation', async () => {
    await install(options());
    await cluster.writeCorefile(COREFILE);
    await repairAt(now + 1);
    expect(await taps()).toEqual([TAP]);
  });

  it('leaves what it found when it does not help', async () => {
    await stopCollector();
    await cluster.writeCorefile(COREFILE);
    const failed = repair(options({ timeoutMs: SHORT_MS }), () => now + HOUR);
    await expect(failed).rejects.toMatchObject({ code: 'INSTALL_ERR_NOT_VERIFIED' });
    expect(await cluster.corefile()).toBe(COREFILE);
    expect(await record()).not.toBe(''); // the installation, and that it was tried
    await uninstall(options());
    await expectAsBefore();
  });
});
