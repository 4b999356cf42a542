import { FIELD_MANAGER } from '../../src/istio/ownership.js';
import type { PlanInput } from '../../src/plan/plan-input.js';
import type { AccountedPlan, PlanPolicy } from '../../src/plan/service-entry-plan.js';
import { carryOut, foreign, plan, policy, summary, wanted, withMetadata } from './situation.js';

const a = wanted('a.example.com');
const b = wanted('b.example.com');
const slow: PlanPolicy = { ...policy, deleteAfterMs: 300_000, deleteAfterPlans: 3 };
const gone: Partial<PlanInput> = { current: [a], unwanted: ['a.example.com'], policy: slow };
const DELETED = ['delete shop/learned-a.example.com host-unwanted'];
const WAITS = ['skip shop/learned-a.example.com deletion-waits'];

/** Plans at these times, each told what the one before left waiting. */
function plans(times: readonly number[], input: Partial<PlanInput> = gone): AccountedPlan[] {
  let pendingDeletions: AccountedPlan['pendingDeletions'] = [];
  return times.map((nowMs) => {
    const planned = plan({ ...input, nowMs, pendingDeletions });
    ({ pendingDeletions } = planned);
    return planned;
  });
}

const deletionsOf = (planned: readonly AccountedPlan[]): number[] => planned.map((one) => one.delete.length);

describe('a deletion', () => {
  it('waits until it was called for long enough, and by enough plans in a row', () => {
    expect(deletionsOf(plans([0, 100_000, 299_999, 300_000]))).toEqual([0, 0, 0, 1]);
    expect(deletionsOf(plans([0, 300_000, 300_001]))).toEqual([0, 0, 1]);
    expect(plans([7, 8]).at(-1)?.pendingDeletions).toEqual([
      { namespace: 'shop', name: 'learned-a.example.com', reason: 'host-unwanted', sinceMs: 7, plans: 2 },
    ]);
  });

  it('counts from the decision, where that is known', () => {
    const unwantedSinceMs = new Map([['a.example.com', 1000]]);
    const input = { ...gone, unwantedSinceMs, policy: { ...slow, deleteAfterPlans: 1 } };
    expect(summary({ ...input, nowMs: 300_999 })).toEqual(WAITS);
    expect(summary({ ...input, nowMs: 301_000 })).toEqual(DELETED);
  });

  it('waits no longer than that when the clock was set back', () => {
    const input = { ...gone, unwantedSinceMs: new Map([['a.example.com', 9_000_000]]) };
    expect(deletionsOf(plans([9_000_000, 1000, 2000, 301_000], input))).toEqual([0, 0, 0, 1]);
  });

  it('starts to wait anew when a plan did not call for it', () => {
    const { pendingDeletions } = plan({ ...gone, nowMs: 0 });
    const between = plan({ current: [a], desired: [a], policy: slow, nowMs: 200_000, pendingDeletions });
    expect(between.pendingDeletions).toEqual([]);
    const again = plan({ ...gone, nowMs: 400_000, pendingDeletions: between.pendingDeletions });
    expect(again.pendingDeletions).toMatchObject([{ sinceMs: 400_000, plans: 1 }]);
  });

  it('is still called for after it failed', () => {
    const [, , , last] = plans([0, 1, 2, 300_000]);
    const again = plan({ ...gone, nowMs: 300_001, pendingDeletions: last?.pendingDeletions ?? [] });
    expect(again.delete).toHaveLength(1);
  });

  it('does not wait where two entries harm each other: the ports of the loser have no cluster', () => {
    const theirs = foreign(['a.example.com'], 'shop', { ports: [{ name: 'x', number: 8443, protocol: 'TLS' }] });
    expect(summary({ current: [a, theirs], desired: [a], policy: slow })).toEqual([
      'delete shop/learned-a.example.com foreign-entry-in-namespace',
    ]);
    const shadowed = { ...theirs, metadata: { ...theirs.metadata, namespace: 'ops' } };
    expect(summary({ current: [a, shadowed], desired: [a], policy: slow })).toEqual([
      'delete shop/learned-a.example.com shadows-foreign-entry',
    ]);
  });

  it('does not wait either where only their ports differ, or only their resolution', () => {
    const { ports = [] } = a.spec;
    const more = [...ports, { name: 'x', number: 8443, protocol: 'TLS' }];
    for (const spec of [
      { resolution: 'NONE', ports: more },
      { resolution: 'DNS', ports },
    ]) {
      const { delete: deleted } = plan({ current: [a, foreign(['a.example.com'], 'shop', spec)], policy: slow });
      expect(deleted).toHaveLength(1);
    }
  });

  it('waits where they do not', () => {
    const { ports = [] } = a.spec;
    const theirs = foreign(['a.example.com'], 'shop', { resolution: 'NONE', ports });
    expect(summary({ current: [a, theirs], desired: [a], policy: slow })).toEqual(WAITS);
  });

  it('gives way to a foreign entry also where nobody wants ours any more', () => {
    expect(summary({ current: [a, foreign(['a.example.com'])] })).toEqual([
      'delete shop/learned-a.example.com foreign-entry-in-namespace',
    ]);
  });

  it('does not take a port that something refers to and only ours has', () => {
    const destinationRules = [{ namespace: 'shop', name: 'x', host: 'a.example.com' }];
    const mesh = { services: [], virtualServices: [], sidecars: [], destinationRules };
    const input = { desired: [a], mesh };
    const less = foreign(['a.example.com'], 'ops', { ports: [{ name: 'x', number: 443, protocol: 'TLS' }] });
    expect(summary({ ...input, current: [a, less] })).toEqual(['skip shop/learned-a.example.com still-referenced']);
    const { ports = [] } = a.spec;
    const same = foreign(['a.example.com'], 'ops', { ports });
    expect(summary({ ...input, current: [a, same] })).toEqual([
      'delete shop/learned-a.example.com shadows-foreign-entry',
    ]);
  });

  it('does not take a host from clients that see no foreign entry', () => {
    const ours = wanted('a.example.com', 'shop', ['api', 'web']);
    const theirs = foreign(['a.example.com'], 'ops', { exportTo: ['web'] });
    expect(summary({ current: [ours, theirs], desired: [ours] })).toEqual([
      'keep shop/learned-a.example.com beside-foreign-entry',
    ]);
  });

  it('needs a person when it is one of too many', () => {
    const limited = { ...policy, maxDeletions: 1, maxDeletionShare: 0.5 };
    const input = { current: [a, b], unwanted: ['a.example.com', 'b.example.com'] };
    expect(plan({ ...input, policy: limited }).delete).toEqual([]);
    expect(plan({ ...input, policy: { ...limited, deletionsConfirmed: true } }).delete).toHaveLength(1);
  });

  it('needs no person up to the limit, or up to the share', () => {
    const input = { current: [a, b], unwanted: ['a.example.com', 'b.example.com'] };
    expect(plan({ ...input, policy: { ...policy, maxDeletions: 2, maxDeletionShare: 0 } }).delete).toHaveLength(2);
    expect(plan({ ...input, policy: { ...policy, maxDeletions: 1, maxDeletionShare: 1 } }).delete).toHaveLength(1);
  });

  it('needs a decision against each host of an entry', () => {
    const both = { ...a, spec: { ...a.spec, hosts: ['a.example.com', 'b.example.com'] } };
    expect(summary({ current: [both], unwanted: ['a.example.com'] })).toEqual([
      'keep shop/learned-a.example.com no-decision',
    ]);
  });

  it('is not of an entry that lost our mark, or whose managed fields were cleared', () => {
    const unmarked = withMetadata(a, { labels: {} });
    const cleared = withMetadata(a, { uid: '1' });
    const byAnother = withMetadata(a, { uid: '1', managedFields: [{ manager: 'kubectl-create' }] });
    for (const current of [unmarked, cleared, byAnother]) expect(summary({ ...gone, current: [current] })).toEqual([]);
    const ours = withMetadata(a, { uid: '1', managedFields: [{ manager: FIELD_MANAGER }] });
    expect(plan({ ...gone, current: [ours] }).pendingDeletions).toHaveLength(1);
  });
});

describe('an entry that is on its way out', () => {
  const going = withMetadata(a, { deletionTimestamp: '2026-01-01T00:00:00Z' });

  it('is left alone, wanted or not', () => {
    const skipped = ['skip shop/learned-a.example.com being-deleted'];
    expect(summary({ current: [going], desired: [a] })).toEqual(skipped);
    expect(summary({ current: [going], unwanted: ['a.example.com'] })).toEqual(skipped);
    expect(summary({ current: [going] })).toEqual(skipped);
  });
});

describe('an update that narrows', () => {
  const wide = wanted('a.example.com');
  const narrow = wanted('a.example.com', 'shop', ['.'], [{ number: 443, protocol: 'TLS' }]);

  it('counts as a deletion: it closes connections', () => {
    const none = { ...policy, maxDeletions: 0 };
    expect(summary({ current: [wide], desired: [narrow], policy: none })).toEqual([
      'skip shop/learned-a.example.com deletion-limit',
    ]);
    expect(summary({ current: [narrow], desired: [wide], policy: none })).toEqual([
      'update shop/learned-a.example.com spec-differs',
    ]);
  });

  it('shares the limit with deletions', () => {
    const input = { current: [wide, b], desired: [narrow], unwanted: ['b.example.com'] };
    expect(summary({ ...input, policy: { ...policy, maxDeletions: 1 } })).toEqual([
      'update shop/learned-a.example.com spec-differs',
      'skip shop/learned-b.example.com deletion-limit',
    ]);
  });
});

describe('a wildcard of ours', () => {
  const wildcard = wanted('*.example.com');

  it('is written beside its children, which go once it is there', () => {
    const desired = [a, b, wildcard];
    const first = plan({ current: [a], desired });
    expect(summary({ current: [a], desired })).toEqual([
      'create shop/learned-b.example.com wanted',
      'create shop/learned.wildcard.example.com wanted',
      'keep shop/learned-a.example.com until-cover-is-there',
    ]);
    const after = carryOut([a], first);
    const limited = { ...policy, maxDeletions: 1 };
    expect(summary({ current: after, desired, policy: limited })).toEqual([
      'delete shop/learned-a.example.com covered-by-own-entry',
      'keep shop/learned.wildcard.example.com unchanged',
      'skip shop/learned-b.example.com deletion-limit',
    ]);
    expect(summary({ current: after, desired, policy: slow })).toEqual([
      'keep shop/learned.wildcard.example.com unchanged',
      'skip shop/learned-a.example.com deletion-waits',
      'skip shop/learned-b.example.com deletion-waits',
    ]);
  });

  it('makes new children unnecessary', () => {
    expect(summary({ current: [wildcard], desired: [a, wildcard] })).toEqual([
      'keep shop/learned.wildcard.example.com unchanged',
      'skip shop/learned-a.example.com covered-by-own-entry',
    ]);
  });

  it.each<[string, ReturnType<typeof wanted>]>([
    ['the apex', wanted('example.com')],
    ['another namespace', wanted('a.example.com', 'web')],
    ['further clients', wanted('a.example.com', 'shop', ['.', 'web'])],
    ['further ports', wanted('a.example.com', 'shop', ['.'], [{ number: 8443, protocol: 'TLS' }])],
  ])('does not stand for %s', (_what, entry) => {
    expect(plan({ current: [wildcard], desired: [entry, wildcard] }).create).toHaveLength(1);
  });

  it('does not replace a child that rules are about: they would not apply to it', () => {
    const destinationRules = [{ namespace: 'shop', name: 'x', host: 'a.example.com' }];
    const mesh = { services: [], virtualServices: [], sidecars: [], destinationRules };
    expect(summary({ current: [a, wildcard], desired: [a, wildcard], mesh })).toContain(
      'skip shop/learned-a.example.com still-referenced',
    );
  });

  it('goes only after its children have entries', () => {
    const input = { desired: [a], unwanted: ['*.example.com'] };
    const first = plan({ ...input, current: [wildcard] });
    expect(first).toMatchObject({ create: [{ entry: a }], delete: [], skipped: [{ reason: 'children-first' }] });
    expect(plan({ ...input, current: carryOut([wildcard], first) }).delete).toMatchObject([{ current: wildcard }]);
  });

  it('stays when nobody decided against it', () => {
    expect(summary({ current: [wildcard], desired: [a] })).toEqual([
      'create shop/learned-a.example.com wanted',
      'keep shop/learned.wildcard.example.com no-decision',
    ]);
  });
});

describe('entries of ours that are exported further', () => {
  const everybody = (namespace: string) => wanted('a.example.com', namespace, ['*']);

  it('are one for the whole mesh, where the first one stays', () => {
    expect(summary({ desired: [everybody('web'), everybody('shop')] })).toEqual([
      'create shop/learned-a.example.com wanted',
      'skip web/learned-a.example.com covered-by-own-entry',
    ]);
    expect(summary({ current: [everybody('web')], desired: [everybody('web'), everybody('shop')] })).toEqual([
      'keep web/learned-a.example.com unchanged',
      'skip shop/learned-a.example.com covered-by-own-entry',
    ]);
  });

  it('take the place of single ones when the mode changes, once they are there', () => {
    const central = wanted('a.example.com', 'egress', ['shop', 'web']);
    const single = [wanted('a.example.com', 'shop'), wanted('a.example.com', 'web'), wanted('a.example.com', 'api')];
    const first = plan({ current: single, desired: [central] });
    expect(first).toMatchObject({ create: [{ entry: central }], delete: [] });
    expect(summary({ current: carryOut(single, first), desired: [central] })).toEqual([
      'delete shop/learned-a.example.com covered-by-own-entry',
      'delete web/learned-a.example.com covered-by-own-entry',
      'keep api/learned-a.example.com no-decision',
      'keep egress/learned-a.example.com unchanged',
    ]);
  });

  it('do not take the place of one whose Sidecar does not import them', () => {
    const central = wanted('a.example.com', 'egress', ['shop']);
    const sidecars = [{ namespace: 'shop', name: 'x', isDefault: true, egressHosts: ['./*'] }];
    const mesh = { services: [], virtualServices: [], destinationRules: [], sidecars };
    expect(summary({ current: [a, central], desired: [a, central], mesh })).toEqual([
      'keep egress/learned-a.example.com unchanged',
      'keep shop/learned-a.example.com unchanged',
    ]);
  });
});

describe('the ceilings', () => {
  const desired = [a, b, wanted('a.example.com', 'web')];

  it('hold back what is one too many in a namespace, or in all', () => {
    expect(summary({ current: [a], desired, policy: { ...policy, maxEntriesPerNamespace: 1 } })).toEqual([
      'create web/learned-a.example.com wanted',
      'keep shop/learned-a.example.com unchanged',
      'skip shop/learned-b.example.com namespace-ceiling',
    ]);
    expect(summary({ current: [a], desired, policy: { ...policy, maxEntries: 2 } })).toEqual([
      'create shop/learned-b.example.com wanted',
      'keep shop/learned-a.example.com unchanged',
      'skip web/learned-a.example.com entry-ceiling',
    ]);
  });

  it('keep nobody from a host because of an entry that there is no room for', () => {
    const full = { ...policy, maxEntriesPerNamespace: 1 };
    const input = {
      current: [b],
      desired: [b, wanted('a.example.com', 'shop', ['*']), wanted('a.example.com', 'web', ['*'])],
    };
    expect(summary({ ...input, policy: full })).toEqual([
      'create web/learned-a.example.com wanted',
      'keep shop/learned-b.example.com unchanged',
      'skip shop/learned-a.example.com namespace-ceiling',
    ]);
  });

  it('do not count the entries of others', () => {
    const current = [foreign(['x.example.com']), foreign(['y.example.com'])];
    expect(plan({ current, desired: [a], policy: { ...policy, maxEntries: 1 } }).create).toHaveLength(1);
  });
});

describe('the budget', () => {
  it('says what each namespace has to carry', () => {
    const more = wanted(
      'b.example.com',
      'shop',
      ['.'],
      [
        { number: 443, protocol: 'TLS' },
        { number: 8443, protocol: 'TLS' },
      ],
    );
    const { budget } = plan({
      current: [b, wanted('c.example.com')],
      desired: [a, more, wanted('a.example.com', 'ops', ['web'])],
      unwanted: ['c.example.com'],
    });
    expect(budget).toEqual([
      { namespace: 'shop', pushes: 3, addedClusters: 3, removedClusters: 3, addedBytes: 90_000 },
      { namespace: 'web', pushes: 1, addedClusters: 2, removedClusters: 0, addedBytes: 60_000 },
    ]);
  });

  it('says what every proxy has to carry', () => {
    const { budget } = plan({ desired: [wanted('a.example.com', 'shop', ['*'])] });
    expect(budget).toEqual([{ namespace: '*', pushes: 1, addedClusters: 2, removedClusters: 0, addedBytes: 60_000 }]);
  });

  it('counts an audience that is taken away', () => {
    const { budget } = plan({ current: [wanted('a.example.com', 'shop', ['.', 'web'])], desired: [a] });
    expect(budget).toEqual([
      { namespace: 'shop', pushes: 1, addedClusters: 0, removedClusters: 0, addedBytes: 0 },
      { namespace: 'web', pushes: 1, addedClusters: 0, removedClusters: 2, addedBytes: 0 },
    ]);
  });

  it('is nothing for a change of the API version, which no proxy notices, and for a plan without changes', () => {
    const old = { ...a, apiVersion: 'networking.istio.io/v1beta1' };
    expect(plan({ current: [old], desired: [a] }).budget).toEqual([]);
    expect(plan({ current: [a], desired: [a] }).budget).toEqual([]);
  });
});
