import fc from 'fast-check';
import { believe } from '../../src/host/believe.js';
import { findWildcardParents, reachOf } from '../../src/host/wildcard.js';
import { isSharedParent } from '../../src/host/registrable-domain.js';
import type { HostRecord } from '../../src/host/host-record.js';
import { beliefSettings, DAY_MS, hostRecord, rules, SEEN_MS, usedBy } from './records.js';

const at = { nowMs: SEEN_MS + 1000, watched: [] };

function hosts(count: number, parent: string, fields: Partial<HostRecord> = {}): readonly HostRecord[] {
  return Array.from({ length: count }, (_, index) =>
    hostRecord(`h${index}.${parent}`, { state: 'applied', ...fields }),
  );
}

describe('proposals', () => {
  it('need so many stable children', () => {
    expect(findWildcardParents(hosts(2, 'example.com'), 3)).toEqual([]);
    expect(findWildcardParents(hosts(3, 'example.com'), 3)).toEqual(['example.com']);
    expect(findWildcardParents(hosts(3, 'example.com', { state: 'candidate' }), 3)).toEqual([]);
    expect(findWildcardParents(hosts(30, 'example.com'), 0)).toEqual([]);
  });

  it('are for the deepest parent, and for a wider one only if enough lies beside', () => {
    const deep = hosts(3, 'eu.api.example.com');
    expect(findWildcardParents(deep, 3)).toEqual(['eu.api.example.com']);
    expect(findWildcardParents([...deep, ...hosts(2, 'example.com')], 3)).toEqual(['eu.api.example.com']);
    expect(findWildcardParents([...deep, ...hosts(3, 'example.com')], 3)).toEqual([
      'eu.api.example.com',
      'example.com',
    ]);
    const spread = [...hosts(1, 'a.example.com'), ...hosts(1, 'b.example.com'), ...hosts(1, 'c.example.com')];
    expect(findWildcardParents(spread, 3)).toEqual(['example.com']);
  });

  it('are never at or above a public suffix, or one that strangers share', () => {
    const parents = [
      'com',
      'co.uk',
      's3.amazonaws.com',
      'amazonaws.com',
      'eu-west-1.amazonaws.com',
      'windows.net',
      'github.io',
    ];
    for (const parent of parents) expect(findWildcardParents(hosts(5, parent), 3)).toEqual([]);
    const label = fc.constantFrom('a', 'com', 'uk', 'co', 'github', 'io', 's3', 'amazonaws', 'example', 'net', 'azure');
    const name = fc.array(label, { minLength: 2, maxLength: 5 }).map((labels) => labels.join('.'));
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 20 }), (names) => {
        const parentsFound = findWildcardParents(
          names.map((one) => hostRecord(one, { state: 'applied' })),
          1,
        );
        expect(parentsFound.filter(isSharedParent)).toEqual([]);
      }),
    );
  });

  it('open nothing that somebody ignored', () => {
    const ignored = hostRecord('ads.example.com', { state: 'ignored' });
    expect(findWildcardParents([...hosts(5, 'example.com'), ignored], 3)).toEqual([]);
  });

  it('show what is open already and what would newly be', () => {
    const records = [
      ...hosts(2, 'example.com'),
      hostRecord('new.example.com'),
      hostRecord('example.com'),
      hostRecord('a.example.net'),
    ];
    expect(reachOf('*.example.com', records)).toEqual({
      open: ['h0.example.com', 'h1.example.com'],
      newlyOpen: ['new.example.com'],
    });
  });
});

describe('a wildcard', () => {
  const children = hosts(3, 'example.com', { workloads: [usedBy('shop', 'Deployment', 'web')] });

  it('waits for a person under every policy', () => {
    const settings = beliefSettings({ wildcardChildren: 3 });
    const first = believe(children, settings, at);
    expect(first.proposals).toEqual([{ hostname: '*.example.com', reason: 'stable-children', atMs: at.nowMs }]);
    const proposed = hostRecord('*.example.com', { reason: 'stable-children' });
    const { records, proposals } = believe([...children, proposed], settings, at);
    expect(records.at(-1)).toMatchObject({
      state: 'eligible',
      workloads: [{ ...usedBy('shop', 'Deployment', 'web'), lookups: 3 }],
    });
    expect(proposals).toEqual([]);
    expect(believe(records, settings, at).transitions).toEqual([]);
  });

  it('is opened by a rule as soon as there is a child, and closed with the rule', () => {
    const settings = beliefSettings({ rules: rules('wildcard *.example.com') });
    expect(believe([hostRecord('a.example.net')], settings, at).proposals).toEqual([]);
    expect(believe(children, settings, at).proposals).toEqual([
      { hostname: '*.example.com', reason: 'rule', atMs: at.nowMs },
    ]);
    const { records } = believe([...children, hostRecord('*.example.com', { reason: 'rule' })], settings, at);
    expect(records.at(-1)?.state).toBe('approved');
    const closed = believe(records, beliefSettings(), at).records;
    expect(closed.at(-1)).toMatchObject({ state: 'retired', reason: 'rule-gone' });
    expect(believe(closed, settings, at).records.at(-1)?.state).toBe('approved');
  });

  it('that has its entry marks its children, and no longer when it is gone', () => {
    const others = [hostRecord('example.com', { state: 'applied' }), hostRecord('a.example.net', { state: 'applied' })];
    const approved = hostRecord('*.example.com', { state: 'approved' });
    expect(believe([...children, approved], beliefSettings(), at).flags).toEqual([]);
    const applied = { ...approved, state: 'applied' as const };
    const { records, flags } = believe([...children, ...others, applied], beliefSettings(), at);
    expect(flags.map(({ hostname, flag, holds }) => [hostname, flag, holds])).toEqual(
      children.map(({ hostname }) => [hostname, 'wildcard-child', true]),
    );
    const gone = records.map((record) =>
      record.hostname === '*.example.com' ? { ...record, state: 'ignored' as const } : record,
    );
    const decided = gone.map((record) =>
      record.state === 'ignored'
        ? { ...record, decisions: [{ kind: 'ignore' as const, by: 'ana', why: '', atMs: SEEN_MS }] }
        : record,
    );
    expect(believe(decided, beliefSettings(), at).flags.map(({ holds }) => holds)).toEqual([false, false, false]);
  });

  it('lives as long as one of its children', () => {
    const nowMs = SEEN_MS + 31 * DAY_MS;
    const clock = { nowMs, watched: [[SEEN_MS, nowMs]] as const };
    const applied = hostRecord('*.example.com', { state: 'applied' });
    const used = hostRecord('a.example.com', { state: 'applied', lastSeenMs: nowMs - 1 });
    expect(believe([applied, used], beliefSettings(), clock).transitions).toEqual([]);
    expect(believe([applied], beliefSettings(), clock).transitions).toEqual([expect.objectContaining({ to: 'stale' })]);
  });
});
