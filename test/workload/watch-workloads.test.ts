import { KubernetesClient } from '../../src/kubernetes/client.js';
import { attributeEvidence } from '../../src/workload/attribute-evidence.js';
import { PodIndex } from '../../src/workload/pod-index.js';
import { WorkloadWatch } from '../../src/workload/watch-workloads.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { createRunningPod } from '../support/running-pod.js';
import { waitUntil } from '../support/wait-until.js';

let server: KubeApiserver;
let client: KubernetesClient;
let index: PodIndex;
let watch: WorkloadWatch;
let stop: AbortController;
let running: Promise<void>;
const errors: string[] = [];

beforeAll(async () => {
  server = await startKubeApiserver();
  client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
  await create(controlled('apps/v1', 'ReplicaSet', 'web-5d4f', { kind: 'Deployment', name: 'web' }));
  await createRunningPod(server, {
    namespace: 'default',
    name: 'web-5d4f-abcde',
    podIp: '192.0.2.1',
    ownerReferences: [await reference('ReplicaSet', 'web-5d4f')],
  });
  index = new PodIndex();
  watch = new WorkloadWatch({
    client,
    index,
    now: Date.now,
    onError: (kind, error) => errors.push(`${kind} ${error.code}`),
  });
  stop = new AbortController();
  running = watch.run(stop.signal);
  await waitUntil(() => watch.isCurrent());
}, 120_000);

afterAll(async () => {
  stop.abort();
  await running;
  await client.close();
  await server.stop();
});

async function create(object: object): Promise<void> {
  await server.kubectl(['create', '-f', '-'], JSON.stringify(object));
}

/** An object that a controller of that name would have made. */
function controlled(apiVersion: string, kind: string, name: string, owner: { kind: string; name: string }): object {
  const uid = '11111111-1111-1111-1111-111111111111';
  const ownerReferences = [{ apiVersion: 'apps/v1', ...owner, uid, controller: true }];
  const labels = { app: name };
  const template = {
    metadata: { labels },
    spec: {
      restartPolicy: kind === 'Job' ? 'Never' : 'Always',
      containers: [{ name: 'main', image: 'example.com/a:1' }],
    },
  };
  const spec = kind === 'Job' ? { template } : { replicas: 0, selector: { matchLabels: labels }, template };
  return { apiVersion, kind, metadata: { namespace: 'default', name, labels, ownerReferences }, spec };
}

async function reference(kind: string, name: string): Promise<object> {
  const uid = await server.kubectl(['get', kind, name, '-o', 'jsonpath={.metadata.uid}']);
  return { apiVersion: 'apps/v1', kind, name, uid, controller: true };
}

function workloadOf(client: string, atMs = Date.now()): unknown {
  const slotMs = Math.floor(atMs / 10_000) * 10_000;
  const evidence = { client, slotMs, firstSeenMs: atMs, lastSeenMs: atMs, lookups: 1 };
  const found = attributeEvidence({
    hostname: 'www.example.com',
    evidence,
    index,
    nowMs: atMs + 60_000,
    graceMs: 10_000,
  });
  return typeof found === 'string' || 'asked' in found
    ? JSON.stringify(found)
    : `${found.attribution} ${found.workload.kind}/${found.workload.name}`;
}

describe('WorkloadWatch', () => {
  it('knows the pods that were there before, and their Deployment', async () => {
    await waitUntil(() => workloadOf('192.0.2.1') === 'exact Deployment/web');
    expect(workloadOf('192.0.2.1')).toBe('exact Deployment/web');
  });

  it('hears of a pod of a CronJob that comes later', async () => {
    await create(controlled('batch/v1', 'Job', 'report-1', { kind: 'CronJob', name: 'report' }));
    const ownerReferences = [await reference('Job', 'report-1')];
    await createRunningPod(server, { namespace: 'default', name: 'report-1-x', podIp: '192.0.2.2', ownerReferences });
    await waitUntil(() => workloadOf('192.0.2.2') === 'exact CronJob/report');
    expect(workloadOf('192.0.2.2')).toBe('exact CronJob/report');
  });

  it('knows when a CronJob runs', async () => {
    const pod = { restartPolicy: 'Never', containers: [{ name: 'main', image: 'example.com/a:1' }] };
    const jobTemplate = { spec: { template: { spec: pod } } };
    const spec = { schedule: '30 2 * * *', timeZone: 'Asia/Tokyo', jobTemplate };
    await create({ apiVersion: 'batch/v1', kind: 'CronJob', metadata: { namespace: 'default', name: 'backup' }, spec });
    const cronJob = { namespace: 'default', name: 'backup' };
    const twoDaysMs = 2 * 86_400_000;
    await waitUntil(() => index.schedules.twoPeriodsMs(cronJob, Date.now()) !== undefined);
    expect(index.schedules.twoPeriodsMs(cronJob, Date.now())).toBe(twoDaysMs);
    await server.kubectl(['delete', 'cronjob', 'backup']);
    await waitUntil(() => index.schedules.twoPeriodsMs(cronJob, Date.now()) === undefined);
  });

  it('takes the address of a host-network pod for its node', async () => {
    const address = '192.0.2.200';
    await createRunningPod(server, {
      namespace: 'default',
      name: 'agent',
      podIp: address,
      hostIp: address,
      hostNetwork: true,
    });
    await waitUntil(() => workloadOf(address) === 'node Node/node');
    expect(workloadOf(address)).toBe('node Node/node');
  });

  it('still knows a pod that is gone, at the time when it was there, also across a restart of the API server', async () => {
    await createRunningPod(server, { namespace: 'default', name: 'brief', podIp: '192.0.2.3' });
    await waitUntil(() => workloadOf('192.0.2.3') === 'exact Pod/brief');
    const thenMs = Date.now();
    await server.restart();
    await server.kubectl(['delete', 'pod', 'brief', '--force', '--grace-period=0', '--wait=false']);
    await waitUntil(() => index.size().endedPods >= 1 && watch.isCurrent(), { timeoutMs: 60_000 });
    expect(workloadOf('192.0.2.3', thenMs)).toBe('exact Pod/brief');
    expect(workloadOf('192.0.2.3', Date.now() + 60_000)).toBe('unknown Address/192.0.2.3');
  }, 120_000);
});
