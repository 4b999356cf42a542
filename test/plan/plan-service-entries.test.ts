import * as fc from 'fast-check';
import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import { FIELD_MANAGER } from '../../src/istio/ownership.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import type { PlanPolicy } from '../../src/plan/service-entry-plan.js';
import { hostname } from '../istio/hostname.js';
import { carryOut, foreign, keyOf, plan, policy, summary, wanted, withMetadata } from './situation.js';

const a = wanted('a.example.com');
const b = wanted('b.example.com');

describe('planServiceEntries', () => {
  it('creates what is missing, keeps what is right and updates what differs', () => {
    const narrow = { ...b, spec: { ...b.spec, ports: b.spec.ports?.slice(0, 1) ?? [] } };
    expect(summary({ current: [narrow, a], desired: [b, a, wanted('c.example.com')] })).toEqual([
      'create shop/learned-c.example.com wanted',
      'update shop/learned-b.example.com spec-differs',
      'keep shop/learned-a.example.com unchanged',
    ]);
  });

  it('updates an entry of another API version', () => {
    const old = { ...a, apiVersion: 'networking.istio.io/v1beta1' };
    expect(summary({ current: [old], desired: [a] })).toEqual([
      'update shop/learned-a.example.com api-version-differs',
    ]);
  });

  it('leaves labels alone that others added to our entry', () => {
    const labelled = withMetadata(a, { labels: { ...a.metadata.labels, team: 'red' } });
    expect(summary({ current: [labelled], desired: [a] })).toEqual(['keep shop/learned-a.example.com unchanged']);
  });

  it('sorts whatever the order of its input', () => {
    const desired = [wanted('b.example.com', 'web'), b, a];
    expect(plan({ desired })).toEqual(plan({ desired: [...desired].reverse() }));
    expect(summary({ desired })).toEqual([
      'create shop/learned-a.example.com wanted',
      'create shop/learned-b.example.com wanted',
      'create web/learned-b.example.com wanted',
    ]);
  });

  it('skips what is wanted twice', () => {
    expect(summary({ desired: [a, a] })).toEqual([
      'create shop/learned-a.example.com wanted',
      'skip shop/learned-a.example.com duplicate',
    ]);
  });

  it('skips what its validation warns of', () => {
    const open = { ...a, spec: { ...a.spec, ports: [{ name: 'tcp-443', number: 443, protocol: 'TCP' }] } };
    expect(summary({ desired: [open] })).toEqual(['skip shop/learned-a.example.com invalid']);
    expect(plan({ desired: [open] }).skipped[0]?.because).toEqual(['port-tcp-without-addresses']);
  });

  it('skips namespaces that are missing, if it knows the namespaces', () => {
    expect(summary({ desired: [a], namespaces: new Set(['web']) })).toEqual([
      'skip shop/learned-a.example.com namespace-missing',
    ]);
    expect(plan({ desired: [a], namespaces: new Set(['shop']) }).create).toHaveLength(1);
  });

  it('waits for an entry of ours that is being deleted', () => {
    const going = withMetadata(a, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    expect(summary({ current: [going], desired: [a] })).toEqual(['skip shop/learned-a.example.com being-deleted']);
  });
});

describe('planServiceEntries beside entries of others', () => {
  it.each<[string, ServiceEntry, string]>([
    ['in the namespace', foreign(['a.example.com']), 'host-in-namespace'],
    [
      'in the namespace, exported to nobody',
      foreign(['a.example.com'], 'shop', { exportTo: ['~'] }),
      'host-in-namespace',
    ],
    ['in the namespace, among others', foreign(['z.example.com', 'a.example.com']), 'host-in-namespace'],
    ['in the namespace, in upper case', foreign(['A.Example.com']), 'host-in-namespace'],
    ['in the namespace, with a trailing dot', foreign(['a.example.com.']), 'host-in-namespace'],
    ['exported to all by default', foreign(['a.example.com'], 'istio-system'), 'covered-by-foreign-entry'],
    ['exported to all', foreign(['a.example.com'], 'ops', { exportTo: ['*'] }), 'covered-by-foreign-entry'],
    [
      'exported to the namespace',
      foreign(['a.example.com'], 'ops', { exportTo: ['.', 'shop'] }),
      'covered-by-foreign-entry',
    ],
    ['as a wildcard', foreign(['*.example.com']), 'covered-by-foreign-entry'],
    ['as a wildcard further up', foreign(['*.com'], 'ops'), 'covered-by-foreign-entry'],
    ['as a partial wildcard', foreign(['*ample.com'], 'ops'), 'covered-by-foreign-entry'],
  ])('writes no entry for a host that a foreign one declares %s', (_what, entry, reason) => {
    const { create, skipped } = plan({ current: [entry], desired: [a] });
    expect(create).toEqual([]);
    expect(skipped).toMatchObject([{ reason, because: [`${entry.metadata.namespace}/${entry.metadata.name}`] }]);
  });

  it.each<[string, ServiceEntry]>([
    ['for another host', foreign(['b.example.com'])],
    ['that its own namespace only sees', foreign(['a.example.com'], 'ops', { exportTo: ['.'] })],
    ['that other namespaces see', foreign(['a.example.com'], 'ops', { exportTo: ['web'] })],
    ['that nobody sees', foreign(['a.example.com'], 'ops', { exportTo: ['~'] })],
    ['with a wildcard below the host', foreign(['*.a.example.com'])],
    ['with a wildcard beside the host', foreign(['*.b.example.com'])],
    ['with a wildcard that its namespace only sees', foreign(['*.example.com'], 'ops', { exportTo: ['.'] })],
  ])('writes an entry beside a foreign one %s', (_what, entry) => {
    expect(plan({ current: [entry], desired: [a] }).create).toHaveLength(1);
  });

  it('does not take a wildcard for its apex', () => {
    expect(plan({ current: [foreign(['*.example.com'])], desired: [wanted('example.com')] }).create).toHaveLength(1);
  });

  it('obeys the default exportTo of the mesh', () => {
    const entry = foreign(['a.example.com'], 'ops');
    const local = { ...policy, defaultExportTo: ['.'] };
    expect(plan({ current: [entry], desired: [a], policy: local }).create).toHaveLength(1);
  });

  it('looks at all who would see an entry that is exported further', () => {
    const entry = foreign(['a.example.com'], 'ops', { exportTo: ['web'] });
    const mesh = wanted('a.example.com', 'shop', ['*']);
    const some = wanted('a.example.com', 'shop', ['api', 'web']);
    expect(plan({ current: [entry], desired: [mesh] }).skipped[0]?.reason).toBe('covered-by-foreign-entry');
    expect(plan({ current: [entry], desired: [some] }).skipped[0]?.reason).toBe('covered-by-foreign-entry');
  });

  it('takes entries of another installation for foreign', () => {
    const other = buildServiceEntry({ hostname: hostname('a.example.com'), namespace: 'shop', owner: 'other' });
    expect(summary({ current: [other], desired: [a] })).toEqual(['skip shop/learned-a.example.com host-in-namespace']);
  });

  it('never touches a foreign object that has our name', () => {
    const namesake = withMetadata(foreign(['b.example.com']), { name: a.metadata.name });
    expect(summary({ current: [namesake], desired: [a] })).toEqual(['skip shop/learned-a.example.com name-taken']);
  });

  it('writes no second entry of ours for a host under a new name', () => {
    const renamed = withMetadata(a, { name: 'earlier-a.example.com' });
    expect(summary({ current: [renamed], desired: [a] })).toEqual([
      'keep shop/earlier-a.example.com no-decision',
      'skip shop/learned-a.example.com host-in-namespace',
    ]);
  });

  it('gives way to a foreign entry for the same host that came later', () => {
    expect(summary({ current: [a, foreign(['a.example.com'])], desired: [a] })).toEqual([
      'delete shop/learned-a.example.com foreign-entry-in-namespace',
    ]);
    expect(summary({ current: [a, foreign(['a.example.com'], 'ops')], desired: [a] })).toEqual([
      'delete shop/learned-a.example.com shadows-foreign-entry',
    ]);
  });

  it('keeps its entry beside a wildcard that came later: an exact host harms no wildcard', () => {
    expect(summary({ current: [a, foreign(['*.example.com'])], desired: [a] })).toEqual([
      'keep shop/learned-a.example.com beside-foreign-entry',
    ]);
  });

  it('leaves an entry of ours alone that somebody edited', () => {
    const managedFields = [
      { manager: FIELD_MANAGER, fieldsV1: { 'f:spec': {} } },
      { manager: 'kubectl-edit', fieldsV1: { 'f:spec': { 'f:exportTo': {} } } },
    ];
    const edited = { ...withMetadata(a, { managedFields }), spec: { ...a.spec, exportTo: ['*'] } };
    const expected = ['skip shop/learned-a.example.com edited-by-others'];
    expect(summary({ current: [edited], desired: [a] })).toEqual(expected);
    expect(summary({ current: [edited], unwanted: ['a.example.com'] })).toEqual(expected);
    expect(plan({ current: [edited], desired: [a] }).skipped[0]?.because).toEqual(['kubectl-edit']);
  });
});

describe('planServiceEntries and deletion', () => {
  it('deletes only what was decided against', () => {
    expect(summary({ current: [a, b], unwanted: ['a.example.com'] })).toEqual([
      'delete shop/learned-a.example.com host-unwanted',
      'keep shop/learned-b.example.com no-decision',
    ]);
  });

  it('deletes nothing because a store is empty', () => {
    expect(plan({ current: [a, b] }).delete).toEqual([]);
  });

  it('never deletes what others own', () => {
    const other = buildServiceEntry({ hostname: hostname('a.example.com'), namespace: 'shop', owner: 'other' });
    const current = [other, foreign(['a.example.com'], 'web')];
    expect(summary({ current, unwanted: ['a.example.com'] })).toEqual([]);
  });

  it('does not delete what is still wanted', () => {
    expect(plan({ current: [a], desired: [a], unwanted: ['a.example.com'] }).delete).toEqual([]);
  });

  it('deletes few at a time', () => {
    const limited = { ...policy, maxDeletions: 1 };
    expect(summary({ current: [b, a], unwanted: ['a.example.com', 'b.example.com'], policy: limited })).toEqual([
      'delete shop/learned-a.example.com host-unwanted',
      'skip shop/learned-b.example.com deletion-limit',
    ]);
  });

  it('deletes none when too large a share is to go', () => {
    const limited = { ...policy, maxDeletions: 1, maxDeletionShare: 0.5 };
    expect(summary({ current: [b, a], unwanted: ['a.example.com', 'b.example.com'], policy: limited })).toEqual([
      'skip shop/learned-a.example.com deletion-share',
      'skip shop/learned-b.example.com deletion-share',
    ]);
  });
});

describe('planServiceEntries and the limit of changes', () => {
  it('creates first, then updates, then deletes', () => {
    const c = wanted('c.example.com');
    const narrow = { ...b, spec: { ...b.spec, exportTo: ['*'] } };
    const input = { current: [narrow, c], desired: [a, b], unwanted: ['c.example.com'] };
    expect(summary({ ...input, policy: { ...policy, maxChanges: 2 } })).toEqual([
      'create shop/learned-a.example.com wanted',
      'update shop/learned-b.example.com spec-differs',
      'skip shop/learned-c.example.com change-limit',
    ]);
    expect(summary({ ...input, policy: { ...policy, maxChanges: 1 } })).toEqual([
      'create shop/learned-a.example.com wanted',
      'skip shop/learned-b.example.com change-limit',
      'skip shop/learned-c.example.com change-limit',
    ]);
  });
});

const HOSTS = ['a.example.com', 'b.example.com', 'x.a.example.com', 'example.net'];
const NAMESPACES = ['shop', 'web', 'ops'];
const anyWanted = fc
  .record({
    host: fc.constantFrom(...HOSTS),
    namespace: fc.constantFrom(...NAMESPACES),
    exportTo: fc.constantFrom(['.'], ['*'], ['.', 'web']),
  })
  .map(({ host, namespace, exportTo }) => wanted(host, namespace, exportTo));
const anyForeign = fc
  .record({
    host: fc.constantFrom(...HOSTS, '*.example.com', '*.net'),
    namespace: fc.constantFrom(...NAMESPACES),
    exportTo: fc.constantFrom([], ['.'], ['*'], ['~'], ['shop']),
  })
  .map(({ host, namespace, exportTo }) => foreign([host], namespace, { exportTo }));
interface Situation {
  readonly desired: readonly ServiceEntry[];
  readonly current: readonly ServiceEntry[];
  readonly unwanted: readonly string[];
}

const situation: fc.Arbitrary<Situation> = fc.record({
  desired: fc.array(anyWanted, { maxLength: 8 }),
  current: fc
    .array(fc.oneof(anyWanted, anyForeign), { maxLength: 12 })
    .map((entries) => [...new Map(entries.map((entry) => [keyOf(entry), entry])).values()]),
  unwanted: fc.uniqueArray(fc.constantFrom(...HOSTS)),
});

describe('every plan', () => {
  it('leads to a plan without changes once it was carried out; what another entry covers goes once that is there', () => {
    fc.assert(
      fc.property(situation, (input) => {
        const first = plan(input);
        const after = carryOut(input.current, first);
        const second = plan({ ...input, current: after });
        expect([second.create, second.update]).toEqual([[], []]);
        expect(second.delete.filter(({ reason }) => reason !== 'covered-by-own-entry')).toEqual([]);
        const third = plan({ ...input, current: carryOut(after, second) });
        expect([third.create, third.update, third.delete]).toEqual([[], [], []]);
      }),
      { numRuns: 1000 },
    );
  });

  it('arrives in small steps where it arrives in large ones', () => {
    const walk = (input: Situation, steps: number, limits: PlanPolicy): readonly ServiceEntry[] => {
      let state = input.current;
      for (let step = 0; step < steps; step += 1) {
        state = carryOut(state, plan({ ...input, current: state, policy: limits }));
      }
      return state;
    };
    fc.assert(
      fc.property(situation, (input) => {
        const small = walk(input, 40, { ...policy, maxChanges: 1, maxDeletions: 1 });
        expect(small.map(keyOf).sort()).toEqual(walk(input, 3, policy).map(keyOf).sort());
      }),
      { numRuns: 100 },
    );
  });

  it('is the same in whatever order its input comes', () => {
    const shuffled = situation.chain((input) =>
      fc.record({
        input: fc.constant(input),
        desired: fc.shuffledSubarray([...input.desired], { minLength: input.desired.length }),
        current: fc.shuffledSubarray([...input.current], { minLength: input.current.length }),
      }),
    );
    const limited = { ...policy, maxChanges: 3, maxDeletions: 1, maxEntries: 5, maxEntriesPerNamespace: 2 };
    fc.assert(
      fc.property(shuffled, ({ input, ...turned }) => {
        expect(plan({ ...input, ...turned, policy: limited })).toEqual(plan({ ...input, policy: limited }));
      }),
      { numRuns: 500 },
    );
  });

  it('keeps every limit', () => {
    const limits = fc.record({
      maxChanges: fc.nat(4),
      maxDeletions: fc.nat(3),
      maxEntries: fc.nat(6),
      maxEntriesPerNamespace: fc.nat(3),
    });
    fc.assert(
      fc.property(situation, limits, (input, some) => {
        const planned = plan({ ...input, policy: { ...policy, ...some } });
        const { create, update, delete: deletes } = planned;
        const narrowing = update.filter(({ narrows }) => narrows);
        expect(create.length + update.length + deletes.length).toBeLessThanOrEqual(some.maxChanges);
        expect(narrowing.length + deletes.length).toBeLessThanOrEqual(some.maxDeletions);
        const ours = (entries: readonly ServiceEntry[]): readonly ServiceEntry[] =>
          entries.filter(({ metadata }) => metadata.labels !== undefined);
        const [before, after] = [ours(input.current), ours(carryOut(input.current, planned))];
        expect(after.length).toBeLessThanOrEqual(Math.max(before.length, some.maxEntries));
        for (const namespace of NAMESPACES) {
          const count = (entries: readonly ServiceEntry[]): number =>
            entries.filter(({ metadata }) => metadata.namespace === namespace).length;
          expect(count(after)).toBeLessThanOrEqual(Math.max(count(before), some.maxEntriesPerNamespace));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('leaves no more entries for a host in a namespace than there were, or one', () => {
    const count = (entries: readonly ServiceEntry[]): Map<string, number> => {
      const counts = new Map<string, number>();
      for (const { metadata, spec } of entries) {
        for (const host of spec.hosts) {
          const key = `${metadata.namespace} ${host}`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
      }
      return counts;
    };
    fc.assert(
      fc.property(situation, (input) => {
        const before = count(input.current);
        const after = count(carryOut(input.current, plan(input)));
        expect([...after].filter(([key, number]) => number > Math.max(1, before.get(key) ?? 0))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('touches nothing foreign and writes no second entry for a host in a namespace', () => {
    fc.assert(
      fc.property(situation, ({ current, desired, unwanted }) => {
        const planned = plan({ current, desired, unwanted });
        const foreignKeys = new Set(current.filter((entry) => entry.metadata.labels === undefined).map(keyOf));
        const touched = [
          ...planned.delete.map((item) => keyOf(item.current)),
          ...planned.update.map((item) => keyOf(item.entry)),
          ...planned.create.map((item) => keyOf(item.entry)),
        ];
        expect(touched.filter((key) => foreignKeys.has(key))).toEqual([]);
        for (const { entry } of planned.create) {
          const others = current.filter((other) => other.metadata.namespace === entry.metadata.namespace);
          expect(others.flatMap((other) => other.spec.hosts)).not.toContain(entry.spec.hosts[0]);
        }
      }),
      { numRuns: 500 },
    );
  });
});
