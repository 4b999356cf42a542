import fc from 'fast-check';
import type { Hostname } from '../../src/dns/hostname.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { DECISION_KINDS, HOST_STATES, type HostRecord } from '../../src/host/host-record.js';
import type { HostStore } from '../../src/host/host-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { MAX_ADDRESSES } from '../../src/observation/observation.js';
import { shareRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { batch, observation } from './host-store.contract.js';

const NOON_MS = Date.UTC(2026, 0, 1, 12);
const SLOT_MS = 10_000;
const HOSTS = ['api.example.com', 'www.example.com', 'www.example.net'] as Hostname[]; // valid by hand
const CLIENTS = ['10.244.0.7', '2001:db8::7'];
/** More than are kept. */
const ADDRESSES = Array.from({ length: 14 }, (_, n) => [
  `192.0.2.${n + 1}`,
  `2001:db8::${(n + 1).toString(16)}`,
]).flat();
const WORKLOADS = ['web', 'job'].map((name) => ({ namespace: 'shop', kind: 'Deployment', name }));

const host = fc.constantFrom(...HOSTS);
const slot = fc.integer({ min: 0, max: 2 });
const atMs = fc.integer({ min: NOON_MS, max: NOON_MS + 1000 });

const look = fc.record({
  hostname: host,
  client: fc.constantFrom(...CLIENTS),
  addresses: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { minLength: 1, maxLength: MAX_ADDRESSES }),
  cnames: fc.constantFrom([], ['x.example.net'], ['y.example.net', 'z.example.net']),
  slot,
  offset: fc.integer({ min: 0, max: SLOT_MS - 1 }),
  day: fc.integer({ min: 0, max: 2 }),
  lookups: fc.integer({ min: 1, max: 9 }),
});

/** What somebody asks of a store: two collectors, a reconciler and a person. */
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('record' as const), source: fc.constantFrom('one', 'two'), looks: fc.array(look, { minLength: 1, maxLength: 4 }) }) }, // prettier-ignore
  fc.record({ do: fc.constant('attribute' as const), hostname: host, client: fc.constantFrom(...CLIENTS), slot, workload: fc.constantFrom(...WORKLOADS) }), // prettier-ignore
  fc.record({ do: fc.constant('transition' as const), hostname: host, from: fc.constantFrom(...HOST_STATES), to: fc.constantFrom(...HOST_STATES), atMs }), // prettier-ignore
  fc.record({ do: fc.constant('decide' as const), hostname: host, kind: fc.constantFrom(...DECISION_KINDS), atMs }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
type Call = (store: HostStore) => Promise<unknown>;

/** The calls, with sequences as each collector counts them. */
function toCalls(operations: readonly Operation[]): readonly Call[] {
  const sequences = new Map<string, number>();
  return operations.map((one): Call => {
    if (one.do === 'record') {
      const sequence = (sequences.get(one.source) ?? 0) + 1;
      sequences.set(one.source, sequence);
      const recorded = batch(sequence, one.looks.map(toObservation), one.source);
      return (store) => store.record(recorded);
    }
    if (one.do === 'attribute') {
      const { hostname, client, workload } = one;
      const evidence = { client, slotMs: NOON_MS + one.slot * SLOT_MS };
      return (store) => store.attribute([{ hostname, evidence, workload, attribution: 'exact' }]);
    }
    if (one.do === 'transition') {
      const { hostname, from, to, atMs: changedMs } = one;
      return (store) => store.transition([{ hostname, from, to, reason: 'stable', atMs: changedMs }]);
    }
    const { hostname, kind, atMs: decidedMs } = one;
    return (store) => store.decide({ hostname, kind, by: 'alice', why: '', atMs: decidedMs });
  });
}

function toObservation(one: typeof look extends fc.Arbitrary<infer T> ? T : never) {
  const seenMs = NOON_MS + one.day * 86_400_000 + one.slot * SLOT_MS + one.offset;
  const { hostname, client, addresses, cnames, lookups } = one;
  const times = { firstObservedAtMs: seenMs, lastObservedAtMs: seenMs };
  return observation({ hostname, client, addresses: addresses.toSorted(), cnames, lookups, ...times });
}

async function stateOf(store: HostStore): Promise<unknown> {
  const records: HostRecord[] = [];
  for await (const record of store.list()) records.push(record);
  const each = await Promise.all(HOSTS.map((hostname) => store.get(hostname)));
  expect(records).toEqual(each.filter((record) => record !== undefined));
  return [records, await store.sources(), await store.rejections()];
}

const server = shareRedis();
const directory = createTemporaryDirectory();

let opened = 0;

async function withStores(use: (stores: readonly HostStore[]) => Promise<void>): Promise<void> {
  await server.admin.flushall();
  opened += 1;
  const stores = [openRedisStore({ url: server.url }), await openEmbeddedStore(directory.file(`store-${opened}`))];
  try {
    await use(stores);
  } finally {
    for (const store of stores) await store.close();
  }
}

it('both stores come to the same state by any sequence of calls', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 20 }), async (operations) => {
      const calls = toCalls(operations);
      await withStores(async ([redis, embedded]) => {
        if (redis === undefined || embedded === undefined) throw new Error('two stores');
        for (const call of calls) expect(await call(redis)).toEqual(await call(embedded));
        expect(await stateOf(redis)).toEqual(await stateOf(embedded));
      });
    }),
    { numRuns: 60 },
  );
});

it('each store comes to the same state when batches are retried at any time and come in any order', async () => {
  const records = fc.array(
    operation.filter((one) => one.do === 'record'),
    { minLength: 1, maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(
      records,
      fc.array(operation, { maxLength: 6 }),
      fc.infiniteStream(fc.nat()),
      async (first, then, random) => {
        const recorded = toCalls(first);
        const others = toCalls(then.filter((one) => one.do !== 'record'));
        // Twice and in any order, and once more among what others do afterwards.
        const shuffled = [...recorded, ...recorded].map((call) => [random.next().value as number, call] as const).sort(([a], [b]) => a - b); // prettier-ignore
        const states: unknown[] = [];
        for (const sequence of [
          [...recorded, ...others],
          [...shuffled.map(([, call]) => call), ...others.flatMap((call, index) => [call, recorded[index % recorded.length] ?? call])], // prettier-ignore
        ]) {
          await withStores(async (stores) => {
            for (const store of stores) for (const call of sequence) await call(store);
            states.push(await Promise.all(stores.map(stateOf)));
          });
        }
        expect(states[1]).toEqual(states[0]);
      },
    ),
    { numRuns: 25 },
  );
});
