import { cp, rm } from 'node:fs/promises';
import type { HostStore } from '../../src/host/host-store.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { createObject } from '../../src/kubernetes/objects.js';
import { forEachInFlight } from '../../src/reconciler/in-flight.js';
import { hostname } from '../istio/hostname.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { startLiveReconciler, type LiveReconciler } from './live-reconciler.js';

/* Entries that go while no reconciler runs, on a real API server: `onDeleted: ignore` and the next one's first look. */

let server: KubeApiserver;
let store: HostStore;
let live: LiveReconciler;

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds' });
}, 120_000);

beforeEach(async () => {
  store = await openEmbeddedStore(createTemporaryDirectory().file('store'));
  await start();
});

afterEach(async () => {
  await live.close();
  await store.close();
});

afterAll(async () => {
  await server.stop();
});

async function start(): Promise<void> {
  live = await startLiveReconciler({ kubeconfigFile: server.kubeconfigFile, onDeleted: 'ignore', store });
}

async function entries(): Promise<readonly string[]> {
  const jsonpath = 'jsonpath={range .items[*]}{.metadata.namespace} {.spec.hosts[0]}{"\\n"}{end}';
  const text = await server.kubectl(['get', 'serviceentries', '--all-namespaces', '-o', jsonpath]);
  return text.split('\n').filter((line) => line !== '');
}

async function waitForEntries(...wanted: readonly string[]): Promise<void> {
  await waitUntil(async () => (await entries()).join() === wanted.join(), { what: wanted.join(), timeoutMs: 40_000 });
}

async function learn(namespace: string, ...hosts: readonly string[]): Promise<void> {
  for (const host of hosts) await live.lookUp(host, namespace);
  await waitUntil(
    async () => (await store.seenEntries()).entries.filter(({ host }) => hosts.includes(host)).length === hosts.length,
  );
}

/** Waits until the reconciler knows, and has kept, that the cluster came as far as this object. */
async function waitForVersion(object: readonly string[]): Promise<void> {
  const version = Number(await server.kubectl(['get', ...object, '-o', 'jsonpath={.metadata.resourceVersion}']));
  await waitUntil(async () => {
    live.skip(10_000);
    return Number((await store.seenEntries()).cluster?.version) >= version;
  });
}

async function stateOf(host: string): Promise<string | undefined> {
  return (await store.get(hostname(host)))?.state;
}

/** More than an API server writes when it starts: after a backup is put back, what it tells of is not what it told of before. */
async function writeAway(): Promise<void> {
  const client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
  const resource = { group: '', version: 'v1', plural: 'configmaps' };
  const objects = Array.from({ length: 500 }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `of-another-time-${index}`, namespace: 'old' },
  }));
  await forEachInFlight(
    objects,
    16,
    async (object) => void (await createObject({ client, resource, object, fieldManager: 'test' })),
  );
  await client.close();
}

function lost(): readonly string[] {
  return live.runs.flatMap(({ lost: entriesOfRun }) => entriesOfRun.map(({ host, reason }) => `${host} ${reason}`));
}

it('takes an entry that somebody deleted meanwhile for a wish, and one that went with its namespace not', async () => {
  await server.kubectl(['create', 'namespace', 'shop']);
  await server.kubectl(['create', 'namespace', 'going']);
  await learn('shop', 'a.example.com', 'b.example.com');
  await learn('going', 'c.example.com');
  await live.close();

  await server.kubectl(['delete', 'serviceentry', 'learned-a.example.com', '--namespace=shop']);
  await server.kubectl(['delete', 'namespace', 'going', '--wait=false']);
  await server.kubectl(['delete', 'serviceentries', '--all', '--namespace=going']);
  // What a controller does that does not run here.
  const finalized = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'going' }, spec: { finalizers: [] } };
  await server.kubectl(['replace', '--raw', '/api/v1/namespaces/going/finalize', '-f', '-'], JSON.stringify(finalized));
  await server.kubectl(['create', 'namespace', 'going']);

  await start();
  await waitForEntries('going c.example.com', 'shop b.example.com');
  expect(lost()).toEqual(['c.example.com namespace-gone']);
  live.skip(10_000);
  await waitUntil(async () => (await stateOf('a.example.com')) === 'ignored');
  live.skip(3_600_000);
  const runs = live.runs.length;
  await waitUntil(() => live.runs.length > runs + 3);
  expect(await entries()).toEqual(['going c.example.com', 'shop b.example.com']);
}, 60_000);

it('writes again what a restored backup of the cluster lacks, also where it runs on meanwhile', async () => {
  await server.kubectl(['create', 'namespace', 'old']);
  await learn('old', 'd.example.com', 'e.example.com', 'f.example.com');
  const before = await entries();
  const stopCluster = async (): Promise<void> => {
    await server.kill('SIGKILL');
    await server.etcd.kill('SIGKILL');
  };
  const startCluster = async (): Promise<void> => {
    await server.etcd.restart();
    await server.restart();
  };
  const backup = createTemporaryDirectory().file('backup');
  await server.etcd.kill('SIGKILL');
  await cp(server.etcd.dataDirectory, backup, { recursive: true });
  await server.etcd.restart();
  await writeAway();
  await learn('old', 'g.example.com');
  await waitForVersion(['serviceentry', 'learned-g.example.com', '--namespace=old']);
  await stopCluster();
  await rm(server.etcd.dataDirectory, { recursive: true });
  await cp(backup, server.etcd.dataDirectory, { recursive: true });
  await startCluster();
  await waitForEntries(...[...before, 'old g.example.com'].sort());
  live.skip(60_000);
  const runs = live.runs.length;
  await waitUntil(() => live.runs.length > runs + 3);
  expect(await stateOf('g.example.com')).toBe('applied');
  expect(lost()).toContain('g.example.com cluster-went-back');
}, 120_000);
