import fc from 'fast-check';
import { believe } from '../../src/host/believe.js';
import { hostsOverCap, type HostCaps } from '../../src/host/caps.js';
import type { HostRecord } from '../../src/host/host-record.js';
import { beliefSettings, hostRecord, SEEN_MS, usedBy } from './records.js';

const FREE: HostCaps = { all: 1000, domain: 1000, namespace: 1000, workload: 1000 };
const at = { nowMs: SEEN_MS + 1000, watched: [] };

function over(records: readonly HostRecord[], caps: Partial<HostCaps>): readonly string[] {
  return [...hostsOverCap(records, { ...FREE, ...caps })].map(({ hostname }) => hostname).sort();
}

const seenAt = (order: number) => ({ firstSeenMs: SEEN_MS + order });

it('who came first stays, whatever the order of the list', () => {
  const records = [3, 1, 2].map((order) => hostRecord(`h${order}.example.com`, seenAt(order)));
  expect(over(records, { domain: 2 })).toEqual(['h3.example.com']);
  expect(over(records, { all: 1 })).toEqual(['h2.example.com', 'h3.example.com']);
});

it('counts the names of each owner of a shared suffix apart', () => {
  const records = ['a.one.s3.amazonaws.com', 'b.one.s3.amazonaws.com', 'a.two.s3.amazonaws.com'].map((name) =>
    hostRecord(name),
  );
  expect(over(records, { domain: 1 })).toEqual(['b.one.s3.amazonaws.com']);
});

it('never takes the place of a host that has an entry or that a person decided on', () => {
  const decision = { kind: 'approve', by: 'ana', why: '', atMs: SEEN_MS } as const;
  const records = [
    hostRecord('early.example.com', seenAt(1)),
    hostRecord('used.example.com', { ...seenAt(5), state: 'applied' }),
    hostRecord('wanted.example.com', { ...seenAt(6), decisions: [decision] }),
  ];
  expect(over(records, { domain: 2 })).toEqual(['early.example.com']);
  expect(over(records, { domain: 1 })).toEqual(['early.example.com']);
});

it('a flood from one pod, however long, costs nobody else a host, and not the hosts that others use too', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 }), fc.boolean(), (flooded, isWaiting) => {
      const flooder = isWaiting
        ? {
            pending: [
              { client: '10.244.0.66', slotMs: SEEN_MS, firstSeenMs: SEEN_MS, lastSeenMs: SEEN_MS, lookups: 1 },
            ],
          }
        : { workloads: [usedBy('shop', 'Pod', 'flooder')] };
      const flood = Array.from({ length: flooded }, (_, index) =>
        hostRecord(`h.d${index}.example`, { ...flooder, ...seenAt(index) }),
      );
      const shared = { workloads: [...(flooder.workloads ?? []), usedBy('web', 'Deployment', 'web')] };
      const others = [
        hostRecord('web.example.com', { workloads: [usedBy('web', 'Deployment', 'web')], ...seenAt(1000) }),
        hostRecord('both.example.com', { ...flooder, ...shared, ...seenAt(1001) }),
      ];
      const names = over([...flood, ...others], { workload: 10, namespace: 20, all: 50 });
      expect(names).toHaveLength(Math.max(0, flooded - (isWaiting ? 20 : 10)));
      expect(names.filter((name) => !name.endsWith('.example'))).toEqual([]);
    }),
  );
});

it('a node or an address that may stand for many workloads has as many hosts as a namespace', () => {
  const node = { ...usedBy('', 'Node', 'node-1'), attribution: 'node' as const };
  const records = Array.from({ length: 30 }, (_, index) =>
    hostRecord(`h.d${index}.example`, {
      workloads: [node, ...(index < 25 ? [] : [usedBy('shop', 'Pod', 'web')])],
      ...seenAt(index),
    }),
  );
  expect(over(records, { workload: 5, namespace: 20 })).toHaveLength(5);
});

it('many pods of one namespace have no more than the namespace', () => {
  const records = Array.from({ length: 30 }, (_, index) =>
    hostRecord(`h.d${index}.example`, { workloads: [usedBy('shop', 'Pod', `p${index}`)], ...seenAt(index) }),
  );
  expect(over(records, { namespace: 20 })).toHaveLength(10);
});

it('what is over is quarantined and flagged, and goes on when there is room again', () => {
  const records = [1, 2].map((order) => hostRecord(`h${order}.example.com`, seenAt(order)));
  const full = beliefSettings({ caps: { ...FREE, domain: 1 } });
  const first = believe(records, full, at);
  expect(first.records[1]).toMatchObject({ state: 'quarantined', reason: 'over-cap', flags: [{ name: 'over-cap' }] });
  expect(believe(first.records, full, at).transitions).toEqual([]);
  const { records: after, flags } = believe(first.records, beliefSettings({ policy: 'approve' }), at);
  expect(after.map(({ state }) => state)).toEqual(['approved', 'eligible']);
  expect(after[1]?.transitions.map(({ reason }) => reason)).toEqual([
    'positive-answer',
    'over-cap',
    'below-cap',
    'stable',
  ]);
  expect(flags).toEqual([expect.objectContaining({ hostname: 'h2.example.com', flag: 'over-cap', holds: false })]);
});

it('a host that comes back finds its place only where there is room', () => {
  const records = [
    hostRecord('used.example.com', { state: 'applied' }),
    hostRecord('back.example.com', { state: 'retired', reason: 'unused' }),
  ];
  const settings = beliefSettings({ caps: { ...FREE, domain: 1 } });
  const steps = [];
  for (let run = 0, known: readonly HostRecord[] = records; run < 3; run++) {
    const { records: after, transitions } = believe(known, settings, at);
    steps.push(...transitions.map(({ to }) => to));
    known = after;
  }
  expect(steps).toEqual(['candidate', 'quarantined']);
});

it('nothing quarantined goes anywhere by rule, policy or time', () => {
  const record = hostRecord('*.t.example.com', { state: 'quarantined', reason: 'tunnel-like' });
  for (const policy of ['observe', 'learn', 'approve', 'frozen'] as const) {
    expect(believe([record], beliefSettings({ policy }), at).transitions).toEqual([]);
  }
});
