import fc from 'fast-check';
import type { Hostname } from '../../src/dns/hostname.js';
import type { HostRecord } from '../../src/host/host-record.js';
import type { HostStore, RecordBatch } from '../../src/host/host-store.js';
import type { Observation } from '../../src/observation/observation.js';

const NOON_MS = Date.UTC(2026, 0, 1, 12);
const WWW = 'www.example.com' as Hostname; // valid by hand

export function observation(fields: Partial<Observation> = {}): Observation {
  return {
    hostname: WWW,
    client: '10.244.0.7',
    addresses: ['192.0.2.1'],
    ttlSeconds: { min: 30, max: 60 },
    cnames: [],
    firstObservedAtMs: NOON_MS,
    lastObservedAtMs: NOON_MS + 100,
    lookups: 1,
    origin: 'dnstap',
    ...fields,
  };
}

export function batch(sequence: number, observations: readonly Observation[], source = 'collector-1'): RecordBatch {
  return { source, sequence, observations, rejections: [] };
}

async function all(store: HostStore): Promise<HostRecord[]> {
  const records: HostRecord[] = [];
  for await (const record of store.list()) records.push(record);
  return records;
}

/** What every HostStore does. `open` gives an empty store; the suite closes it. */
export function describeHostStore(name: string, open: () => Promise<HostStore>): void {
  const withStore = async (use: (store: HostStore) => Promise<void>): Promise<void> => {
    const store = await open();
    try {
      await use(store);
    } finally {
      await store.close();
    }
  };

  describe(name, () => {
    it('gives back what was recorded, as a candidate with its evidence waiting', () =>
      withStore(async (store) => {
        await store.record(
          batch(1, [observation({ cnames: ['edge.example.net'], pod: { namespace: 'shop', name: 'web-0' } })]),
        );
        expect(await store.get(WWW)).toEqual({
          hostname: WWW,
          state: 'candidate',
          reason: 'positive-answer',
          transitions: [{ state: 'candidate', reason: 'positive-answer', atMs: NOON_MS }],
          firstSeenMs: NOON_MS,
          lastSeenMs: NOON_MS + 100,
          lookups: 1,
          addresses: ['192.0.2.1'],
          ttlSeconds: { min: 30, max: 60 },
          cnames: ['edge.example.net'],
          workloads: [],
          pending: [
            {
              client: '10.244.0.7',
              slotMs: NOON_MS,
              pod: { namespace: 'shop', name: 'web-0' },
              firstSeenMs: NOON_MS,
              lastSeenMs: NOON_MS + 100,
              lookups: 1,
            },
          ],
        });
        expect(await store.get('other.example.com' as Hostname)).toBeUndefined(); // valid by hand
      }));

    it('records a batch once, however often it is sent', () =>
      withStore(async (store) => {
        const first: RecordBatch = {
          ...batch(1, [observation()]),
          rejections: [{ reason: 'nxdomain', responses: 3, examples: ['b.example.com', 'a.example.com'] }],
        };
        await store.record(first);
        const once = [await all(store), await store.rejections()];
        await store.record(first);
        expect([await all(store), await store.rejections()]).toEqual(once);
        expect(once[1]).toEqual([{ reason: 'nxdomain', responses: 3, examples: ['a.example.com', 'b.example.com'] }]);
      }));

    it('lists hosts in order of their names, more than a page', () =>
      withStore(async (store) => {
        const names = Array.from({ length: 1203 }, (_, index) => `h${index}.example.com` as Hostname); // valid by hand
        await store.record(
          batch(
            1,
            names.map((hostname) => observation({ hostname })),
          ),
        );
        expect((await all(store)).map(({ hostname }) => hostname)).toEqual(names.toSorted());
      }));

    it('keeps the evidence of a host apart from that of a host whose name begins alike', () =>
      withStore(async (store) => {
        const names = ['a.example.com', 'a.example.com-x.example.com', 'a.example.co', 'a-b.example.com'] as Hostname[]; // valid by hand
        await store.record(
          batch(
            1,
            names.map((hostname, index) => observation({ hostname, client: `10.244.0.${index}` })),
          ),
        );
        for (const record of await all(store)) {
          expect(record.pending.map(({ client }) => client)).toEqual([`10.244.0.${names.indexOf(record.hostname)}`]);
        }
      }));

    it('moves pending evidence to its workload, and what is no longer pending is passed over', () =>
      withStore(async (store) => {
        const later = observation({
          firstObservedAtMs: NOON_MS + 10_000,
          lastObservedAtMs: NOON_MS + 10_001,
          lookups: 2,
        });
        await store.record(batch(1, [observation(), later]));
        const workload = { namespace: 'shop', kind: 'Deployment', name: 'web' };
        const attributions = [0, 10_000].map((offset) => ({
          hostname: WWW,
          evidence: { client: '10.244.0.7', slotMs: NOON_MS + offset },
          workload,
          attribution: 'exact' as const,
        }));
        await store.attribute(attributions);
        await store.attribute(attributions);
        const record = await store.get(WWW);
        expect(record?.pending).toEqual([]);
        expect(record?.workloads).toEqual([
          { workload, attribution: 'exact', firstSeenMs: NOON_MS, lastSeenMs: NOON_MS + 10_001, lookups: 3 },
        ]);
        expect(record?.lookups).toBe(3);
      }));

    it('moves a host along its life only from the state named, and keeps the first step and the latest', () =>
      withStore(async (store) => {
        await store.record(batch(1, [observation()]));
        const step = { hostname: WWW, from: 'candidate', to: 'eligible', reason: 'stable', atMs: NOON_MS + 1 } as const;
        await store.transition([step]);
        await store.transition([{ ...step, reason: 'again' }]);
        expect((await store.get(WWW))?.transitions.map(({ reason }) => reason)).toEqual(['positive-answer', 'stable']);
        for (let i = 0; i < 40; i++) {
          const [from, to] = i % 2 === 0 ? (['eligible', 'ignored'] as const) : (['ignored', 'eligible'] as const);
          await store.transition([{ hostname: WWW, from, to, reason: `step ${i}`, atMs: NOON_MS + 2 + i }]);
        }
        const record = await store.get(WWW);
        expect(record?.state).toBe('eligible');
        expect(record?.transitions).toHaveLength(32);
        expect(record?.transitions[0]?.reason).toBe('positive-answer');
        expect(record?.transitions.at(-1)?.reason).toBe('step 39');
      }));

    it('keeps the newest addresses and a bounded number of pending rows', () =>
      withStore(async (store) => {
        const many = Array.from({ length: 1000 }, (_, index) =>
          observation({
            addresses: [`192.0.2.${index % 200}`],
            firstObservedAtMs: NOON_MS + index * 10_000,
            lastObservedAtMs: NOON_MS + index * 10_000,
          }),
        );
        for (const [index, one] of many.entries()) await store.record(batch(index + 1, [one]));
        const record = await store.get(WWW);
        expect(record?.addresses).toHaveLength(16);
        expect(record?.addresses).toContain('192.0.2.199');
        expect(record?.lookups).toBe(1000);
        expect(record?.pending.length).toBeLessThan(300);
        expect(record?.pending.reduce((sum, { lookups }) => sum + lookups, 0)).toBe(1000);
      }));

    it('comes to the same state by any order, grouping and repetition of batches', async () => {
      const arbitrary = fc.record({
        hostname: fc.constantFrom(...(['a.example.com', 'b.example.net'] as Hostname[])), // valid by hand
        client: fc.constantFrom('10.244.0.7', '10.244.0.8', '2001:db8::7'),
        addresses: fc.uniqueArray(fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1'), { minLength: 1 }),
        ttl: fc.integer({ min: 0, max: 3600 }),
        cnames: fc.constantFrom([], ['x.example.net'], ['y.example.net', 'z.example.net']),
        slot: fc.integer({ min: 0, max: 3 }),
        offset: fc.integer({ min: 0, max: 9_999 }),
        lookups: fc.integer({ min: 1, max: 9 }),
        source: fc.constantFrom('one', 'two'),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(arbitrary, { minLength: 1, maxLength: 12 }),
          fc.infiniteStream(fc.nat()),
          async (facts, random) => {
            const batches = facts.map((fact, index) => {
              const atMs = NOON_MS + fact.slot * 10_000 + fact.offset;
              const one = observation({
                hostname: fact.hostname,
                client: fact.client,
                addresses: fact.addresses.toSorted(),
                ttlSeconds: { min: fact.ttl, max: fact.ttl },
                cnames: fact.cnames,
                firstObservedAtMs: atMs,
                lastObservedAtMs: atMs,
                lookups: fact.lookups,
              });
              return batch(index + 1, [one], fact.source);
            });
            const shuffled = [...batches, ...batches]
              .map((one) => ({ one, key: random.next().value as number })) // an infinite stream
              .sort((a, b) => a.key - b.key)
              .map(({ one }) => one);
            const states: HostRecord[][] = [];
            for (const sequence of [batches, shuffled]) {
              await withStore(async (store) => {
                for (const one of sequence) await store.record(one);
                states.push(await all(store));
              });
            }
            expect(states[1]).toEqual(states[0]);
          },
        ),
        { numRuns: 25 },
      );
    });
  });
}
