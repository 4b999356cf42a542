import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import type { HostPolicy } from '../../src/host/lifecycle.js';
import { EVIDENCE_SLOT_MS, type Observation } from '../../src/observation/observation.js';
import { DirectorySink } from '../../src/reconciler/directory-sink.js';
import { ReconcileLoop } from '../../src/reconciler/loop.js';
import { reconcileOnce, type ReconcileInput, type ReconcileStatus } from '../../src/reconciler/reconcile-once.js';
import type { ServiceEntrySink } from '../../src/reconciler/sink.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { PodIndex } from '../../src/workload/pod-index.js';
import { rules } from '../host/records.js';
import { hostname } from '../istio/hostname.js';
import { lookUpOf } from '../observation/look-up.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { knowPod as knowPodIn } from './known-pod.js';

const START_MS = 100 * EVIDENCE_SLOT_MS;
const POD_ADDRESS = '192.0.2.10';

let store: HostStore;
let directory: string;
let index: PodIndex;
let sequence: number;

beforeEach(async () => {
  store = await openEmbeddedStore(createTemporaryDirectory().file('store'));
  directory = createTemporaryDirectory().file('entries');
  index = new PodIndex();
  sequence = 0;
});

afterEach(async () => {
  await store.close();
});

function knowPod(namespace = 'shop', address = POD_ADDRESS): void {
  knowPodIn(index, { namespace, address, startedMs: START_MS - 60_000 });
}

async function lookUp(host: string, change: Partial<Observation> = {}): Promise<void> {
  const observation: Observation = { ...lookUpOf(host, POD_ADDRESS, START_MS), ...change };
  sequence += 1;
  await store.record({ source: 'test', sequence, observations: [observation], rejections: [] });
}

interface Change {
  readonly policy?: HostPolicy;
  readonly sink?: ServiceEntrySink;
  readonly graceMs?: number;
  readonly wildcardChildren?: number;
  readonly maxDeletions?: number;
  readonly deleteAfterMs?: number;
  readonly deleteAfterPlans?: number;
  readonly onDeleted?: 'restore' | 'ignore';
}

function input(change: Change = {}) {
  const { policy = 'learn', sink = new DirectorySink(directory), graceMs = 0, onDeleted = 'restore' } = change;
  const { wildcardChildren = 0, maxDeletions = 100, deleteAfterMs = 0, deleteAfterPlans = 1 } = change;
  const owner = 'main';
  return {
    store,
    sink,
    index,
    settings: {
      owner,
      exportTo: ['.'],
      defaultNamespace: 'istio-system',
      apiVersion: 'networking.istio.io/v1' as const,
      lifecycle: {
        policy,
        stabilityMs: 0,
        expiryMs: 86_400_000,
        retireMs: 3_600_000,
        rules: [],
        caps: { all: 100, domain: 100, namespace: 100, workload: 100 },
        wildcardChildren,
      },
      policy: { owner, maxChanges: 100, maxDeletions, maxDeletionShare: 1, deleteAfterMs, deleteAfterPlans },
      graceMs,
      onDeleted,
    },
  } satisfies Omit<ReconcileInput, 'nowMs' | 'signal'>;
}

async function run(change: Change = {}, nowMs = START_MS + 1000): Promise<ReconcileStatus> {
  return reconcileOnce({ ...input(change), nowMs, signal: new AbortController().signal });
}

function files(): readonly string[] {
  return readdirSync(directory).sort();
}

async function stateOf(host: string): Promise<string | undefined> {
  return (await store.get(hostname(host)))?.state;
}

describe('reconcileOnce', () => {
  it('writes an entry in the namespace of the pod that looked the host up', async () => {
    knowPod();
    await lookUp('api.example.com');
    const status = await run();
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
    expect(status).toMatchObject({ hosts: { approved: 1 }, waiting: 0, refused: [], result: { failures: [] } });
    const record = await store.get(hostname('api.example.com'));
    expect(record).toMatchObject({
      state: 'applied',
      pending: [],
      workloads: [{ workload: { namespace: 'shop', kind: 'Pod', name: 'web-0' }, attribution: 'exact' }],
    });
    expect(record?.transitions.map(({ state }) => state)).toEqual(['candidate', 'eligible', 'approved', 'applied']);
  });

  it('writes an entry in the default namespace when the client is no known pod', async () => {
    await lookUp('api.example.com');
    await run();
    expect(files()).toEqual(['istio-system.learned-api.example.com.yaml']);
  });

  it('writes one entry in each namespace', async () => {
    knowPod();
    knowPod('web', '192.0.2.11');
    await lookUp('api.example.com');
    await lookUp('api.example.com', { client: '192.0.2.11' });
    await run();
    expect(files()).toEqual(['shop.learned-api.example.com.yaml', 'web.learned-api.example.com.yaml']);
  });

  it('waits for the pod to become known, as long as that may still be', async () => {
    await lookUp('api.example.com');
    await expect(run({ graceMs: 5000 })).resolves.toMatchObject({ waiting: 1 });
    expect(files()).toEqual([]);
    knowPod();
    await expect(run({ graceMs: 5000 })).resolves.toMatchObject({ waiting: 0 });
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
  });

  it('changes nothing the second time', async () => {
    knowPod();
    await lookUp('api.example.com');
    await run();
    const before = await store.get(hostname('api.example.com'));
    const { plan, result } = await run();
    expect([plan.create, plan.update, plan.delete]).toEqual([[], [], []]);
    expect(result).toEqual({ created: [], updated: [], deleted: [], failures: [] });
    expect(await store.get(hostname('api.example.com'))).toEqual(before);
  });

  it.each<[HostPolicy, string]>([
    ['observe', 'eligible'],
    ['approve', 'eligible'],
    ['frozen', 'candidate'],
  ])('writes nothing under %s', async (policy, state) => {
    knowPod();
    await lookUp('api.example.com');
    await run({ policy });
    expect(files()).toEqual([]);
    expect(await stateOf('api.example.com')).toBe(state);
  });

  it('changes nothing under observe, also where entries were written before', async () => {
    knowPod();
    await lookUp('api.example.com');
    await run();
    const decision = { kind: 'ignore', by: 'test', why: '', atMs: START_MS + 2000 } as const;
    await store.decide({ ...decision, hostname: hostname('api.example.com') });
    await run({ policy: 'observe' });
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
    await run();
    expect(files()).toEqual([]);
  });

  it('writes where rules of the store say, and forgets them with the rules', async () => {
    knowPod();
    await lookUp('api.example.com');
    await lookUp('ads.example.com');
    const lines = ['ignore ads.example.com', 'namespace api.example.com web', 'port api.example.com 8443/TLS'];
    await store.setRules(rules(...lines), 0);
    await run();
    expect(files()).toEqual(['web.learned-api.example.com.yaml']);
    expect(readFileSync(join(directory, files()[0] ?? ''), 'utf8')).toContain('number: 8443');
    expect(await store.get(hostname('ads.example.com'))).toMatchObject({
      state: 'ignored',
      reason: 'rule: ignore ads.example.com',
    });
    await store.setRules([], 1);
    for (let i = 0; i < 3; i++) await run();
    expect(await stateOf('ads.example.com')).toBe('applied');
    expect(files()).toContain('shop.learned-api.example.com.yaml');
  });

  it('takes the entries of a host away when it has long been silent, if somebody watched', async () => {
    knowPod();
    await lookUp('api.example.com');
    await run();
    const day = 86_400_000;
    await run({}, START_MS + 10 * day);
    expect(await stateOf('api.example.com')).toBe('applied');
    const report = {
      source: 'one',
      kind: 'dnstap',
      name: 'coredns-0',
      fromMs: START_MS,
      connections: 1,
      lost: 0,
    } as const;
    await store.reportSource({ ...report, untilMs: START_MS + 20 * day });
    await run({ maxDeletions: 0 }, START_MS + 20 * day);
    expect(await stateOf('api.example.com')).toBe('retired');
    await run({ maxDeletions: 0 }, START_MS + 40 * day);
    expect(await stateOf('api.example.com')).toBe('retired'); // its entry is still to go
    await run({}, START_MS + 40 * day + 1000);
    expect(files()).toEqual([]);
    await run({}, START_MS + 40 * day + 2000);
    expect(await stateOf('api.example.com')).toBeUndefined();
  });

  it('writes a wildcard where its children are used, once a person approved it', async () => {
    knowPod();
    for (const name of ['a', 'b', 'c']) await lookUp(`${name}.example.com`);
    await run({ wildcardChildren: 3 });
    await run({ wildcardChildren: 3 });
    const wildcard = hostname('*.example.com');
    expect(await store.get(wildcard)).toMatchObject({ state: 'eligible', reason: 'stable-children' });
    expect(files()).not.toContain('shop.learned.wildcard.example.com.yaml');
    await store.decide({ hostname: wildcard, kind: 'approve', by: 'ana', why: '', atMs: START_MS });
    await run({ wildcardChildren: 3 });
    expect(files()).toContain('shop.learned.wildcard.example.com.yaml');
    await run({ wildcardChildren: 3 });
    expect((await store.get(hostname('a.example.com')))?.flags).toMatchObject([{ name: 'wildcard-child' }]);
  });

  it('writes nothing of a tunnel, and keeps one row of it', async () => {
    knowPod();
    const data = (index: number): string => createHash('sha256').update(String(index)).digest('hex').slice(0, 48);
    for (let i = 0; i < 60; i++) await lookUp(`${data(i)}.t.example.com`);
    await lookUp('api.example.com');
    await run();
    await lookUp(`${data(100)}.t.example.com`);
    await run();
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
    const names = [];
    for await (const record of store.list()) names.push(`${record.state} ${record.hostname} ${record.lookups}`);
    expect(names).toEqual(['quarantined *.t.example.com 61', 'applied api.example.com 1']);
  });

  it('loses no other host to a namespace that is none', async () => {
    knowPod();
    await lookUp('api.example.com');
    const pod = { namespace: 'Not a namespace', name: 'x' };
    await lookUp('evil.example.com', { client: '192.0.2.99', pod });
    const { refused } = await run();
    expect(refused).toEqual([
      { hostname: 'evil.example.com', namespace: 'Not a namespace', code: 'ISTIO_ERR_NAMESPACE' },
    ]);
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
  });

  it('goes on with the wait of a deletion after a restart, and begins anew when it was not called for', async () => {
    const patience = { deleteAfterMs: 60_000, deleteAfterPlans: 3 };
    const atMs = START_MS + 1000;
    knowPod();
    await lookUp('api.example.com');
    await run();
    const decide = async (kind: 'ignore' | 'approve', decidedMs: number): Promise<void> => {
      await store.decide({ hostname: hostname('api.example.com'), kind, by: 'ana', why: '', atMs: decidedMs });
    };
    await decide('ignore', atMs);
    await run(patience, atMs);
    await run(patience, atMs + 10_000);
    await decide('approve', atMs + 20_000);
    await run(patience, atMs + 20_000);
    expect(await store.awaitedDeletions()).toEqual([]);

    await decide('ignore', atMs + 30_000);
    for (const laterMs of [30_000, 89_999]) await run(patience, atMs + laterMs); // each as a process of its own
    expect(await store.awaitedDeletions()).toMatchObject([
      { namespace: 'shop', name: 'learned-api.example.com', sinceMs: atMs + 30_000, plans: 2 },
    ]);
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
    await run(patience, atMs + 90_000);
    expect(files()).toEqual([]);
    await run(patience, atMs + 91_000);
    expect(await store.awaitedDeletions()).toEqual([]);
  });

  it('deletes nothing when the store is empty', async () => {
    knowPod();
    await lookUp('api.example.com');
    await run();
    await store.close();
    store = await openEmbeddedStore(createTemporaryDirectory().file('other'));
    await run();
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
  });

  it('plans nothing when it cannot read the target, but learns', async () => {
    knowPod();
    await lookUp('api.example.com');
    const fault = new Error('of the read');
    const sink: ServiceEntrySink = {
      read: async () => {
        throw fault;
      },
      apply: async () => {
        throw new Error('applied without a read');
      },
    };
    await expect(run({ sink })).rejects.toBe(fault);
    expect(await store.get(hostname('api.example.com'))).toMatchObject({ state: 'approved', pending: [] });
  });

  it('does not call a host applied whose entry was not written', async () => {
    knowPod();
    await lookUp('api.example.com');
    await run({ sink: refusing() });
    expect(await stateOf('api.example.com')).toBe('approved');
  });
});

describe('ReconcileLoop', () => {
  it('runs again by itself, at once when it is woken, and only where it may', async () => {
    knowPod();
    let mayRun = false;
    let asked = 0;
    const log = createLogger({ level: 'error', format: 'json', stream: process.stderr, now: Date.now });
    const loop = new ReconcileLoop({
      input: input(),
      intervalMs: 3_600_000,
      now: () => START_MS + 1000,
      log,
      mayRun: () => {
        asked += 1;
        return mayRun;
      },
    });
    const stop = new AbortController();
    const running = loop.run(stop.signal);
    await lookUp('api.example.com');
    await waitUntil(() => asked === 1);
    loop.wake();
    await waitUntil(() => asked === 2);
    expect(loop.status).toBeUndefined();
    mayRun = true;
    loop.wake();
    await waitUntil(() => loop.status !== undefined);
    expect(files()).toEqual(['shop.learned-api.example.com.yaml']);
    stop.abort();
    await running;
    expect(loop.fault).toBeUndefined();
  });
});

/** A target that takes nothing. */
function refusing(): ServiceEntrySink {
  return {
    read: async () => ({ entries: [] }),
    apply: async ({ create }) => ({
      created: [],
      updated: [],
      deleted: [],
      failures: create.map(({ entry: { metadata, spec } }) => ({
        namespace: metadata.namespace,
        name: metadata.name,
        host: spec.hosts[0] ?? '',
        code: 'TEST_ERR_REFUSED',
        message: 'refused',
      })),
    }),
  };
}
