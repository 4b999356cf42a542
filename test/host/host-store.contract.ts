import fc from 'fast-check';
import type { Hostname } from '../../src/dns/hostname.js';
import type { BlindReason } from '../../src/host/blind-window.js';
import { hasFlag, isWildcard, type HostFlagName, type HostRecord } from '../../src/host/host-record.js';
import { formatRule, parseRule, type HostRule } from '../../src/host/host-rule.js';
import type { HostStore, RecordBatch, StoreLimits } from '../../src/host/host-store.js';
import type { SourceReport } from '../../src/host/source.js';
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
export function describeHostStore(name: string, open: (limits?: StoreLimits) => Promise<HostStore>): void {
  const withStore = async (use: (store: HostStore) => Promise<void>, limits?: StoreLimits): Promise<void> => {
    const store = await open(limits);
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
          batch(1, [
            observation({
              cnames: ['edge.example.net'],
              askedAs: 'www.shop.svc.cluster.local',
              pod: { namespace: 'shop', name: 'web-0' },
            }),
          ]),
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
          askedAs: 'www.shop.svc.cluster.local',
          days: [{ dayMs: Date.UTC(2026, 0, 1), lookups: 1 }],
          flags: [],
          ports: [],
          decisions: [],
          children: [],
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
        const names = Array.from({ length: 1203 }, (_, index) => `h${index}.d${index % 7}.example` as Hostname); // valid by hand
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

    it('keeps the workloads of a host that everybody uses, also when a parent takes them over', () =>
      withStore(async (store) => {
        const clients = Array.from({ length: 40 }, (_, n) => `10.244.1.${n}`);
        const workloadOf = (n: number) => ({
          namespace: `team-${String(n).padStart(2, '0')}`,
          kind: 'Deployment',
          name: 'web',
        });
        const look = (hostname: Hostname) => clients.map((client) => observation({ hostname, client }));
        const evidenceOf = (client: string) => ({ client, slotMs: observation().firstObservedAtMs });
        const attribute = (hostname: Hostname) =>
          store.attribute(
            clients.map((client, n) => ({ hostname, evidence: evidenceOf(client), workload: workloadOf(n), attribution: 'exact' })), // prettier-ignore
          );
        const child = 'x.tunnel.example.com' as Hostname; // valid by hand
        const row = '*.tunnel.example.com' as Hostname; // as rows of parents are named
        for (const sequence of [1, 2]) {
          await store.record(batch(sequence, look(child)));
          await attribute(child);
        }
        const expected = clients.map((_, n) => [workloadOf(n), 2 * observation().lookups]);
        const found = async (hostname: Hostname) =>
          (await store.get(hostname))?.workloads.map(({ workload, lookups }) => [workload, lookups]);
        expect(await found(child)).toEqual(expected);
        await store.quarantine([{ hostname: row, children: [child], atMs: 1 }]);
        expect(await found(child)).toBeUndefined();
        expect(await found(row)).toEqual(expected);
      }));

    it('drops pending evidence that is no use of its host, once', () =>
      withStore(async (store) => {
        await store.record(batch(1, [observation(), observation({ client: '10.244.0.8' })]));
        const dismissed = { hostname: WWW, evidence: { client: '10.244.0.7', slotMs: NOON_MS } };
        await store.dismiss([dismissed, dismissed]);
        await store.attribute([
          { ...dismissed, workload: { namespace: 'shop', kind: 'Pod', name: 'web' }, attribution: 'exact' },
        ]);
        const record = await store.get(WWW);
        expect(record?.pending.map(({ client }) => client)).toEqual(['10.244.0.8']);
        expect(record?.workloads).toEqual([]);
      }));

    it('counts what was not learnt and is of no batch, with the examples of batches', () =>
      withStore(async (store) => {
        const rejection = {
          reason: 'search-conflict',
          responses: 2,
          examples: ['b.example.com', 'a.example.com'],
        } as const;
        await store.record({
          ...batch(1, []),
          rejections: [{ ...rejection, responses: 1, examples: ['c.example.com'] }],
        });
        await store.countRejections([rejection]);
        await store.countRejections([rejection]);
        const examples = ['a.example.com', 'b.example.com', 'c.example.com'];
        expect(await store.rejections()).toEqual([{ ...rejection, responses: 5, examples }]);
        expect(await store.sources()).toHaveLength(1);
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

    it('counts look-ups by day, and keeps the latest days that had any', () =>
      withStore(async (store) => {
        const dayMs = 86_400_000;
        const days = Array.from({ length: 40 }, (_, index) => index * 3);
        for (const [index, day] of days.toReversed().entries()) {
          const atMs = NOON_MS + day * dayMs;
          const one = observation({ firstObservedAtMs: atMs, lastObservedAtMs: atMs, lookups: 2 });
          await store.record(batch(index + 1, [one, { ...one, client: '10.244.0.8' }]));
        }
        expect((await store.get(WWW))?.days).toEqual(
          days.slice(-32).map((day) => ({ dayMs: Date.UTC(2026, 0, 1) + day * dayMs, lookups: 4 })),
        );
      }));

    it('keeps a decision once, and moves the host by the latest', () =>
      withStore(async (store) => {
        await store.record(batch(1, [observation()]));
        const decision = { hostname: WWW, by: 'ana', why: 'billing\nneeds it', atMs: NOON_MS + 10 };
        const { hostname: _, ...kept } = decision;
        const approved = await store.decide({ ...decision, kind: 'approve' });
        expect(approved).toMatchObject({ state: 'approved', reason: 'person: approve' });
        expect(approved?.decisions).toEqual([{ kind: 'approve', ...kept }]);
        expect(await store.decide({ ...decision, kind: 'approve' })).toEqual(approved);
        const ignored = await store.decide({ ...decision, kind: 'ignore', atMs: NOON_MS + 20 });
        expect(ignored?.state).toBe('ignored');
        const late = await store.decide({ ...decision, kind: 'approve', atMs: NOON_MS + 15 });
        expect(late?.state).toBe('ignored');
        const noted = await store.decide({ ...decision, kind: 'note', atMs: NOON_MS + 30 });
        expect(noted?.state).toBe('ignored');
        const back = await store.decide({ ...decision, kind: 'unignore', atMs: NOON_MS + 25 });
        expect(back?.state).toBe('candidate');
        expect(back?.decisions.map(({ kind }) => kind)).toEqual(['approve', 'approve', 'ignore', 'unignore', 'note']);
        expect(back?.transitions.map(({ state }) => state)).toEqual(['candidate', 'approved', 'ignored', 'candidate']);
        expect(await store.get(WWW)).toEqual(back);
        for (let i = 0; i < 40; i++) await store.decide({ ...decision, kind: 'note', atMs: NOON_MS + 100 + i });
        expect((await store.get(WWW))?.decisions).toHaveLength(32);
      }));

    it('knows nothing of a decision about a host that it does not know, except about a wildcard', () =>
      withStore(async (store) => {
        const decision = { kind: 'approve', by: 'ana', why: '', atMs: NOON_MS } as const;
        expect(await store.decide({ ...decision, hostname: WWW })).toBeUndefined();
        const wildcard = '*.example.com' as Hostname; // valid by hand
        expect(await store.decide({ ...decision, hostname: wildcard })).toMatchObject({
          state: 'approved',
          lookups: 0,
        });
        expect((await all(store)).filter(isWildcard).map(({ hostname }) => hostname)).toEqual([wildcard]);
      }));

    it('makes a wildcard known once, as a candidate', () =>
      withStore(async (store) => {
        const hostname = '*.example.com' as Hostname; // valid by hand
        await store.propose([{ hostname, reason: 'children', atMs: NOON_MS }]);
        const first = await store.get(hostname);
        expect(first).toMatchObject({ state: 'candidate', reason: 'children', firstSeenMs: NOON_MS });
        await store.propose([{ hostname, reason: 'again', atMs: NOON_MS + 1 }]);
        expect(await store.get(hostname)).toEqual(first);
      }));

    it('sets and ends flags by the latest change, and keeps when', () =>
      withStore(async (store) => {
        await store.record(batch(1, [observation()]));
        const change = (flag: HostFlagName, holds: boolean, atMs: number) => ({ hostname: WWW, flag, holds, atMs });
        await store.setFlags([
          change('over-cap', true, 5),
          change('masked', true, 10),
          { ...change('masked', true, 1), hostname: 'other.example.com' as Hostname }, // valid by hand
        ]);
        await store.setFlags([change('masked', true, 20), change('masked', false, 8)]);
        const holding = await store.get(WWW);
        expect(holding?.flags).toEqual([
          { name: 'masked', sinceMs: 10 },
          { name: 'over-cap', sinceMs: 5 },
        ]);
        expect(holding && hasFlag(holding, 'masked')).toBe(true);
        await store.setFlags([change('masked', false, 30), change('echoed', false, 30)]);
        const ended = await store.get(WWW);
        expect(ended && hasFlag(ended, 'masked')).toBe(false);
        expect(ended?.flags[0]).toEqual({ name: 'masked', sinceMs: 10, untilMs: 30 });
        await store.setFlags([change('masked', true, 25)]);
        await store.setFlags([change('masked', true, 40)]);
        expect((await store.get(WWW))?.flags[0]).toEqual({ name: 'masked', sinceMs: 40 });
      }));

    it('keeps what is known about ports, each once', () =>
      withStore(async (store) => {
        await store.record(batch(1, [observation()]));
        const port = (number: number, protocol: string, reason: string) => ({
          hostname: WWW,
          number,
          protocol,
          reason,
        });
        await store.notePorts([port(8443, 'TLS', 'b'), port(80, 'HTTP', 'https-record')]);
        await store.notePorts([port(8443, 'TLS', 'a'), port(8443, 'TLS', 'c')]);
        expect((await store.get(WWW))?.ports).toEqual([
          { number: 80, protocol: 'HTTP', reason: 'https-record' },
          { number: 8443, protocol: 'TLS', reason: 'a' },
        ]);
      }));

    it('keeps the life of each source, and which of its batches have come', () =>
      withStore(async (store) => {
        const report: SourceReport = {
          source: 'collector-1',
          kind: 'dnstap',
          name: 'coredns-0',
          fromMs: NOON_MS,
          untilMs: NOON_MS + 20_000,
          connections: 1,
          lost: 0,
        };
        expect(await store.reportSource(report)).toEqual({
          ...report,
          batches: 0,
          highestSequence: 0,
          missingBatches: 0,
        });
        await store.reportSource({ ...report, untilMs: NOON_MS + 10_000, connections: 0 });
        for (const sequence of [1, 2, 4, 4]) await store.record(batch(sequence, [observation()]));
        await store.record(batch(1, [observation()], 'quiet'));
        expect(await store.reportSource(report)).toMatchObject({ batches: 3, missingBatches: 1 });
        expect(await store.sources()).toEqual([
          { ...report, batches: 3, highestSequence: 4, missingBatches: 1 },
          expect.objectContaining({ source: 'quiet', fromMs: 0, untilMs: 0, batches: 1 }),
        ]);
        await store.reportSource({ ...report, source: 'later', fromMs: NOON_MS * 2, untilMs: NOON_MS * 2 });
        expect((await store.sources()).map(({ source }) => source)).toEqual(['later', 'quiet']);
      }));

    it('keeps blind windows by source and reason; those that touch become one', () =>
      withStore(async (store) => {
        const window = (source: string, fromMs: number, untilMs: number, reason: BlindReason = 'not-connected') =>
          store.recordBlindWindow({ source, reason, fromMs, untilMs });
        await window('one', 10, 20);
        await window('two', 10, 20);
        await window('one', 30, 40);
        await window('one', 15, 30);
        await window('one', 50, 60);
        await window('one', 12, 13, 'dropped');
        expect(await store.blindWindows()).toEqual([
          { source: 'one', reason: 'dropped', fromMs: 12, untilMs: 13 },
          { source: 'one', reason: 'not-connected', fromMs: 10, untilMs: 40 },
          { source: 'one', reason: 'not-connected', fromMs: 50, untilMs: 60 },
          { source: 'two', reason: 'not-connected', fromMs: 10, untilMs: 20 },
        ]);
      }));

    it('keeps rules in their order, and loses no change of two who change them at once', () =>
      withStore(async (store) => {
        expect(await store.rules()).toEqual({ version: 0, rules: [] });
        const lines = ['ignore *.ads.example.net', 'allow domain:example.com', 'port db.example.com 5432/TLS'];
        const rules = lines.map(parseRule).filter((rule): rule is HostRule => !('problem' in rule));
        expect(await store.setRules(rules, 0)).toBe(true);
        expect(await store.rules()).toEqual({ version: 1, rules });
        expect(await store.setRules([], 0)).toBe(false);
        expect(await store.setRules(rules.slice(1), 1)).toBe(true);
        expect((await store.rules()).rules.map(formatRule)).toEqual(lines.slice(1));
      }));

    it('keeps deletions that wait until they end', () =>
      withStore(async (store) => {
        const deletion = (namespace: string, name: string, plans = 1) => {
          return { namespace, name, reason: 'host-unwanted', sinceMs: NOON_MS, plans };
        };
        expect(await store.awaitedDeletions()).toEqual([]);
        await store.awaitDeletions([deletion('web', 'learned-b'), deletion('shop', 'learned-a.example.com')]);
        await store.awaitDeletions([deletion('web', 'learned-b', 2)]);
        expect(await store.awaitedDeletions()).toEqual([
          deletion('shop', 'learned-a.example.com'),
          deletion('web', 'learned-b', 2),
        ]);
        await store.endDeletions([
          { namespace: 'web', name: 'learned-b' },
          { namespace: 'web', name: 'never-there' },
        ]);
        expect(await store.awaitedDeletions()).toEqual([deletion('shop', 'learned-a.example.com')]);
        await store.awaitDeletions([]);
        await store.endDeletions([]);
      }));

    it('keeps which entries were seen, and how the cluster was', () =>
      withStore(async (store) => {
        expect(await store.seenEntries()).toEqual({ entries: [] });
        const b = { namespace: 'web', name: 'learned-b', host: 'b.example.com' };
        const a = { namespace: 'shop', name: 'learned-a', host: 'a.example.com', namespaceUid: 'one' };
        const cluster = { version: '17', atMs: NOON_MS };
        await store.noteSeen({ cluster, seen: [b, a], gone: [] });
        expect(await store.seenEntries()).toEqual({ cluster, entries: [a, b] });
        const missing = { ...b, missingSinceMs: NOON_MS };
        await store.noteSeen({ seen: [missing], gone: [a, { namespace: 'web', name: 'never-there' }] });
        expect(await store.seenEntries()).toEqual({ cluster, entries: [missing] });
        await store.noteSeen({ seen: [], gone: [] });
      }));

    it('counts what a domain has too many of in one quarantined row, and takes nothing from the others', () =>
      withStore(
        async (store) => {
          const names = ['a.example.com', 'b.x.example.com', 'c.example.com', 'd.example.com'] as Hostname[]; // valid by hand
          const flood = batch(
            1,
            names.map((hostname, index) => observation({ hostname, client: `10.244.0.${index}`, lookups: index + 1 })),
          );
          await store.record(flood);
          await store.record(flood);
          await store.record(batch(2, [observation({ hostname: names[0] as Hostname, lookups: 10 })]));
          await store.record(batch(3, [observation({ hostname: 'a.example.net' as Hostname })])); // valid by hand
          const records = await all(store);
          expect(records.map(({ hostname, lookups }) => [hostname, lookups])).toEqual([
            ['*.example.com', 7],
            ['a.example.com', 11],
            ['a.example.net', 1],
            ['b.x.example.com', 2],
          ]);
          expect(records[0]).toMatchObject({
            state: 'quarantined',
            reason: 'over-cap',
            children: ['c.example.com', 'd.example.com'],
          });
          expect(records[0]?.pending.map(({ client }) => client)).toEqual(['10.244.0.2', '10.244.0.3']);
          expect(await store.get('c.example.com' as Hostname)).toBeUndefined(); // valid by hand
        },
        { maxHostsPerDomain: 2, maxHosts: 1000 },
      ));

    it('keeps no more hosts than it may, and counts the rest', () =>
      withStore(
        async (store) => {
          const names = Array.from({ length: 300 }, (_, index) => `h.d${index}.example` as Hostname); // valid by hand
          await store.record(
            batch(
              1,
              names.map((hostname) => observation({ hostname })),
            ),
          );
          const { hosts, overflow } = await store.statistics();
          expect(hosts).toBeLessThanOrEqual(128);
          expect(hosts + overflow.lookups).toBe(300);
          expect(overflow.examples).toHaveLength(8);
          await store.record(
            batch(
              2,
              (await all(store)).map(({ hostname }) => observation({ hostname })),
            ),
          );
          expect((await store.statistics()).hosts).toBe(hosts);
        },
        { maxHostsPerDomain: 10, maxHosts: 64 },
      ));

    it('quarantines a parent: children that no one needs go, new ones only count, others stay', () =>
      withStore(async (store) => {
        const host = (name: string): Hostname => `${name}.t.example.com` as Hostname; // valid by hand
        const names = ['a', 'b.c', 'known', 'used'].map(host);
        await store.record(
          batch(
            1,
            names.map((hostname, index) => observation({ hostname, client: `10.244.0.${index}`, lookups: 2 })),
          ),
        );
        const workload = { namespace: 'shop', kind: 'Deployment', name: 'web' };
        const evidence = { client: '10.244.0.1', slotMs: NOON_MS };
        await store.attribute([{ hostname: host('b.c'), evidence, workload, attribution: 'exact' }]);
        await store.decide({ hostname: host('known'), kind: 'note', by: 'ana', why: 'mine', atMs: NOON_MS });
        await store.transition([
          { hostname: host('used'), from: 'candidate', to: 'approved', reason: 'policy-learn', atMs: NOON_MS },
        ]);
        const quarantine = { hostname: '*.t.example.com' as Hostname, children: names, atMs: NOON_MS + 5 }; // valid by hand
        await store.quarantine([quarantine]);
        await store.quarantine([quarantine]);
        await store.record(batch(2, [observation({ hostname: host('new') }), observation({ hostname: host('used') })]));
        await store.record(batch(3, [observation({ hostname: 't.example.com' as Hostname })])); // valid by hand
        const records = await all(store);
        expect(records.map(({ hostname, lookups }) => [hostname, lookups])).toEqual([
          ['*.t.example.com', 5],
          ['known.t.example.com', 2],
          ['t.example.com', 1],
          ['used.t.example.com', 3],
        ]);
        expect((await store.statistics()).hosts).toBe(records.length);
        expect(records[0]).toMatchObject({
          state: 'quarantined',
          reason: 'tunnel-like',
          flags: [{ name: 'tunnel-like', sinceMs: NOON_MS + 5 }],
          children: [host('a'), host('b.c'), host('new')],
          workloads: [{ workload, attribution: 'exact', lookups: 2 }],
        });
        expect(records[0]?.pending.map(({ client, lookups }) => [client, lookups])).toEqual([
          ['10.244.0.0', 2],
          ['10.244.0.7', 1],
        ]);
        await store.decide({ hostname: quarantine.hostname, kind: 'unignore', by: 'ana', why: '', atMs: NOON_MS + 9 });
        await store.record(batch(4, [observation({ hostname: host('new') })]));
        expect(await store.get(host('new'))).toMatchObject({ state: 'candidate', lookups: 1 });
      }));

    it('forgets a host that was not looked up since, and makes room for another', () =>
      withStore(
        async (store) => {
          const names = ['a.example.com', 'b.example.com', 'c.example.com'] as Hostname[]; // valid by hand
          await store.record(
            batch(
              1,
              names.slice(0, 2).map((hostname) => observation({ hostname })),
            ),
          );
          const before = await all(store);
          await store.decide({ hostname: names[1] as Hostname, kind: 'note', by: 'ana', why: '', atMs: NOON_MS });
          await store.forget(before.map((record) => ({ ...record, lastSeenMs: record.lastSeenMs - 1 })));
          expect(await all(store)).toHaveLength(2);
          await store.forget(before);
          await store.forget(before);
          expect((await all(store)).map(({ hostname }) => hostname)).toEqual(['b.example.com']);
          expect((await store.statistics()).hosts).toBe(1);
          await store.record(
            batch(
              2,
              names.map((hostname) => observation({ hostname, client: '10.244.0.9' })),
            ),
          );
          const after = await all(store);
          expect(after.map(({ hostname, lookups }) => [hostname, lookups])).toEqual([
            ['*.example.com', 1],
            ['a.example.com', 1],
            ['b.example.com', 2],
          ]);
          expect(after[1]?.pending.map(({ client }) => client)).toEqual(['10.244.0.9']);
        },
        { maxHostsPerDomain: 2, maxHosts: 1000 },
      ));

    it('takes a row of a parent from a collector that saw a tunnel, quarantined', () =>
      withStore(async (store) => {
        const hostname = '*.t.example.com' as Hostname; // valid by hand
        await store.record(
          batch(1, [observation({ hostname, lookups: 400 }), observation({ hostname, client: '10.244.0.8' })]),
        );
        expect(await store.get(hostname)).toMatchObject({
          state: 'quarantined',
          reason: 'tunnel-like',
          lookups: 401,
          children: [],
          ttlSeconds: { min: 30, max: 60 },
          pending: [{ client: '10.244.0.7' }, { client: '10.244.0.8' }],
        });
      }));

    it('comes to the same counts by any order and repetition of batches, also where there are too many hosts', async () => {
      const arbitrary = fc.record({
        hostname: fc.constantFrom(...(['a', 'b', 'c', 'd.e'].map((label) => `${label}.example.com`) as Hostname[])), // valid by hand
        lookups: fc.integer({ min: 1, max: 9 }),
        source: fc.constantFrom('one', 'two'),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(arbitrary, { minLength: 1, maxLength: 12 }),
          fc.infiniteStream(fc.nat()),
          async (facts, random) => {
            const batches = facts.map(({ source, ...fact }, index) => batch(index + 1, [observation(fact)], source));
            const shuffled = [...batches, ...batches]
              .map((one) => ({ one, key: random.next().value as number })) // an infinite stream
              .sort((a, b) => a.key - b.key)
              .map(({ one }) => one);
            const states: unknown[] = [];
            for (const sequence of [batches, shuffled]) {
              await withStore(
                async (store) => {
                  for (const one of sequence) await store.record(one);
                  const records = await all(store);
                  const hosts = records.filter((record) => !isWildcard(record)).length;
                  states.push([hosts, records.reduce((sum, { lookups }) => sum + lookups, 0)]);
                },
                { maxHostsPerDomain: 2, maxHosts: 1000 },
              );
            }
            expect(states[1]).toEqual(states[0]);
          },
        ),
        { numRuns: 15 },
      );
    });

    it('tells how much it holds', () =>
      withStore(async (store) => {
        await store.record(batch(1, [observation(), observation({ hostname: 'a.example.net' as Hostname })])); // valid by hand
        expect(await store.statistics()).toMatchObject({ hosts: 2, schema: expect.any(Number) });
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
        alias: fc.constantFrom({}, { askedAs: 'a.shop.svc.cluster.local' }),
        day: fc.integer({ min: 0, max: 2 }),
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
              const atMs = NOON_MS + fact.day * 86_400_000 + fact.slot * 10_000 + fact.offset;
              const one = observation({
                hostname: fact.hostname,
                client: fact.client,
                addresses: fact.addresses.toSorted(),
                ttlSeconds: { min: fact.ttl, max: fact.ttl },
                cnames: fact.cnames,
                ...fact.alias,
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
