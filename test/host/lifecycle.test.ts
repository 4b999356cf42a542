import fc from 'fast-check';
import type { Hostname } from '../../src/dns/hostname.js';
import { believe } from '../../src/host/believe.js';
import { HOST_STATES, type HostRecord, type HostState } from '../../src/host/host-record.js';
import { nextTransition, periodOf, TRANSITION_REASONS, type LifecycleClock } from '../../src/host/lifecycle.js';
import { beliefSettings, DAY_MS, hostRecord, rules, SEEN_MS, usedBy } from './records.js';

const HOST = 'api.example.com';

/** Somebody has watched since the look-up, except in `blind`. */
function clock(afterMs: number, blind?: readonly [fromMs: number, untilMs: number]): LifecycleClock {
  const nowMs = SEEN_MS + afterMs;
  if (blind === undefined) return { nowMs, watched: [[SEEN_MS - DAY_MS, nowMs]] };
  return {
    nowMs,
    watched: [
      [SEEN_MS - DAY_MS, SEEN_MS + blind[0]],
      [SEEN_MS + blind[1], nowMs],
    ],
  };
}

/** The states that a host goes through now. */
function path(
  record: HostRecord,
  settings: Parameters<typeof beliefSettings>[0],
  at: LifecycleClock = clock(1000),
): readonly string[] {
  const steps: string[] = [];
  for (let records: readonly HostRecord[] = [record]; ;) {
    const { transitions, records: after } = believe(records, beliefSettings(settings), at);
    if (transitions.length === 0) return steps;
    steps.push(...transitions.map(({ to, reason }) => `${to}: ${reason}`));
    records = after;
  }
}

const person = (kind: 'approve' | 'ignore' | 'unignore' | 'note') => ({ kind, by: 'ana', why: '', atMs: SEEN_MS });

describe('policies', () => {
  it.each([
    ['observe', ['eligible: stable']],
    ['learn', ['eligible: stable', 'approved: policy-learn']],
    ['approve', ['eligible: stable']],
    ['frozen', []],
  ] as const)('%s', (policy, expected) => {
    expect(path(hostRecord(HOST), { policy })).toEqual(expected);
  });

  it('a host is eligible when it has been known for long enough', () => {
    const settings = { stabilityMs: 60_000 };
    expect(path(hostRecord(HOST), settings, clock(59_999))).toEqual([]);
    expect(path(hostRecord(HOST), settings, clock(60_000))[0]).toBe('eligible: stable');
  });
});

describe('rules', () => {
  it('allow approves at once, where a person would have to, and not where all is frozen', () => {
    const settings = { rules: rules('allow domain:example.com'), stabilityMs: DAY_MS };
    expect(path(hostRecord(HOST), { ...settings, policy: 'approve' })).toEqual([
      'approved: rule: allow domain:example.com',
    ]);
    expect(path(hostRecord(HOST), { ...settings, policy: 'frozen' })).toEqual([]);
  });

  it('the first that matches counts, and is the reason', () => {
    const lines = ['allow api.example.com', 'ignore *.example.com'];
    expect(path(hostRecord(HOST), { rules: rules(...lines) })).toEqual(['approved: rule: allow api.example.com']);
    expect(path(hostRecord(HOST), { rules: rules(...lines.toReversed()) })).toEqual([
      'ignored: rule: ignore *.example.com',
    ]);
  });

  it('ignore also takes back what has an entry, and gives the host back when it is gone', () => {
    const ignored = rules('ignore api.example.com');
    expect(path(hostRecord(HOST, { state: 'applied' }), { rules: ignored })).toEqual([
      'ignored: rule: ignore api.example.com',
    ]);
    const record = hostRecord(HOST, { state: 'ignored', reason: 'rule: ignore api.example.com' });
    expect(path(record, { rules: ignored })).toEqual([]);
    expect(path(record, {})[0]).toBe('candidate: rule-gone');
  });

  it('what a person decided no rule undoes, until the person takes it back', () => {
    const settings = { rules: rules('ignore api.example.com') };
    const approved = hostRecord(HOST, { state: 'applied', decisions: [person('approve'), person('note')] });
    expect(path(approved, settings)).toEqual([]);
    const ignored = hostRecord(HOST, { state: 'ignored', decisions: [person('ignore')] });
    expect(path(ignored, { rules: rules('allow api.example.com') })).toEqual([]);
    const back = hostRecord(HOST, { decisions: [person('approve'), person('unignore')] });
    expect(path(back, settings)).toEqual(['ignored: rule: ignore api.example.com']);
  });
});

describe('expiry', () => {
  const applied = (fields: Partial<HostRecord> = {}): HostRecord => hostRecord(HOST, { state: 'applied', ...fields });

  it('comes after silence, then more silence', () => {
    expect(path(applied(), {}, clock(30 * DAY_MS - 1))).toEqual([]);
    expect(path(applied(), {}, clock(30 * DAY_MS))).toEqual(['stale: unused']);
    const stale = hostRecord(HOST, { state: 'stale', reason: 'unused' });
    expect(path(stale, {}, clock(37 * DAY_MS - 1))).toEqual([]);
    expect(path(stale, {}, clock(37 * DAY_MS))).toEqual(['retired: still-unused']);
    expect(path(applied(), {}, clock(100 * DAY_MS))).toEqual(['stale: unused', 'retired: still-unused']);
  });

  it('retires nothing where all is frozen', () => {
    expect(path(applied(), { policy: 'frozen' }, clock(100 * DAY_MS))).toEqual(['stale: unused']);
  });

  it.each(['eligible', 'approved'] as const)(
    'a host that has no entry is retired when it would be stale: %s',
    (state) => {
      expect(path(hostRecord(HOST, { state }), { policy: 'approve' }, clock(30 * DAY_MS))).toEqual(['retired: unused']);
    },
  );

  it('a host that is looked up again comes back', () => {
    const seenAgain = { lastSeenMs: SEEN_MS + 99 * DAY_MS };
    expect(path(hostRecord(HOST, { state: 'stale', ...seenAgain }), {}, clock(100 * DAY_MS))).toEqual([
      'applied: seen-again',
    ]);
    const retired = hostRecord(HOST, { state: 'retired', reason: 'still-unused', ...seenAgain });
    expect(path(retired, {}, clock(100 * DAY_MS))).toEqual([
      'candidate: seen-again',
      'eligible: stable',
      'approved: policy-learn',
    ]);
  });

  it('time in which nobody watched does not count', () => {
    const blind = [5 * DAY_MS, 15 * DAY_MS] as const;
    expect(path(applied(), {}, clock(39 * DAY_MS, blind))).toEqual([]);
    expect(path(applied(), {}, clock(40 * DAY_MS, blind))).toEqual(['stale: unused']);
    expect(path(applied(), {}, { nowMs: SEEN_MS + 1000 * DAY_MS, watched: [] })).toEqual([]);
  });

  it.each(['masked', 'echoed'] as const)('%s: the silence says nothing, and counts from its end on', (name) => {
    expect(path(applied({ flags: [{ name, sinceMs: SEEN_MS }] }), {}, clock(1000 * DAY_MS))).toEqual([]);
    const ended = applied({ flags: [{ name, sinceMs: SEEN_MS, untilMs: SEEN_MS + 10 * DAY_MS }] });
    expect(path(ended, {}, clock(39 * DAY_MS))).toEqual([]);
    expect(path(ended, {}, clock(40 * DAY_MS))).not.toEqual([]);
  });

  it('never takes what a person or a rule wants', () => {
    expect(path(applied({ decisions: [person('approve')] }), {}, clock(1000 * DAY_MS))).toEqual([]);
    expect(path(applied(), { rules: rules('allow api.example.com') }, clock(1000 * DAY_MS))).toEqual([]);
  });

  it('waits for two periods of a CronJob', () => {
    const monthly = [0, 31, 59].map((day) => ({ dayMs: Date.UTC(2026, 0, 1) + day * DAY_MS, lookups: 1 }));
    const cron = { workloads: [usedBy('shop', 'CronJob', 'report')] };
    expect(periodOf({ ...cron, days: monthly })).toBe(31 * DAY_MS);
    expect(path(applied({ ...cron, days: monthly }), {}, clock(61 * DAY_MS))).toEqual([]);
    expect(path(applied({ ...cron, days: monthly }), {}, clock(62 * DAY_MS))).toEqual(['stale: unused']);
    expect(path(applied({ ...cron, days: monthly }), {}, clock(69 * DAY_MS))).toHaveLength(2);
    // Its days say nothing where others use the host as well, or there is only one.
    const daily = [0, 1, 2].map((day) => ({ dayMs: Date.UTC(2026, 0, 1) + day * DAY_MS, lookups: 1 }));
    expect(periodOf({ ...cron, days: daily })).toBe(DAY_MS);
    expect(periodOf({ ...cron, days: daily.slice(1, 2) })).toBe(31 * DAY_MS);
    const shared = [...cron.workloads, usedBy('shop', 'Deployment', 'web')];
    expect(periodOf({ workloads: shared, days: daily })).toBe(31 * DAY_MS);
    expect(periodOf({ workloads: [usedBy('shop', 'Deployment', 'web')], days: daily })).toBe(0);
  });
});

describe('hosts that need not be known', () => {
  const long = clock(80 * DAY_MS);
  const forgettable = (
    fields: Partial<HostRecord>,
    at: LifecycleClock = long,
    lines: readonly string[] = [],
  ): boolean => {
    const transitions = [
      { state: fields.state ?? 'retired', reason: fields.reason ?? 'unused', atMs: SEEN_MS + 40 * DAY_MS },
    ];
    const record = hostRecord(HOST, { state: 'retired', reason: 'unused', transitions, ...fields });
    return believe([record], beliefSettings({ rules: rules(...lines) }), at).forgettable.length > 0;
  };

  it('are long silent and long decided against, by nobody', () => {
    expect(forgettable({})).toBe(true);
    expect(forgettable({}, clock(74 * DAY_MS - 1))).toBe(false);
    expect(forgettable({ transitions: [{ state: 'retired', reason: 'unused', atMs: SEEN_MS + 51 * DAY_MS }] })).toBe(
      false,
    );
    expect(forgettable({ decisions: [person('note')] })).toBe(false);
    expect(forgettable({ state: 'quarantined', reason: 'tunnel-like', hostname: '*.t.example.com' as Hostname })).toBe(
      true,
    );
    expect(
      forgettable({ state: 'ignored', reason: 'rule: ignore api.example.com' }, long, ['ignore api.example.com']),
    ).toBe(true);
    expect(forgettable({ state: 'ignored', reason: 'person: entry deleted in shop' })).toBe(false);
  });

  it('are none that may have an entry', () => {
    for (const state of ['approved', 'applied', 'stale'] as const) {
      expect(forgettable({ state, flags: [{ name: 'masked', sinceMs: SEEN_MS }] })).toBe(false);
    }
  });
});

describe('any host, at any time', () => {
  const arbitrary = fc.record({
    state: fc.constantFrom(...HOST_STATES),
    reason: fc.constantFrom('positive-answer', 'unused', 'still-unused', 'rule-gone', 'over-cap'),
    lastSeenMs: fc.integer({ min: 0, max: 60 }).map((days) => SEEN_MS + days * DAY_MS),
    flags: fc.constantFrom([], [{ name: 'masked' as const, sinceMs: SEEN_MS }]),
    decisions: fc.constantFrom([], [person('approve')], [person('ignore')], [person('approve'), person('unignore')]),
    hostname: fc.constantFrom(HOST, '*.example.com'),
  });
  const surroundings = fc.record({
    policy: fc.constantFrom('observe', 'learn', 'approve', 'frozen'),
    rules: fc.constantFrom(
      [],
      rules('ignore *.example.com'),
      rules('allow api.example.com'),
      rules('wildcard *.example.com'),
    ),
    afterDays: fc.integer({ min: 0, max: 120 }),
  });

  it('comes to rest by few steps, whose reasons are told', () => {
    fc.assert(
      fc.property(arbitrary, surroundings, ({ hostname, ...fields }, { afterDays, ...settings }) => {
        const at = clock(afterDays * DAY_MS);
        const steps = path(hostRecord(hostname, fields), settings, at);
        expect(steps.length).toBeLessThan(6);
        for (const step of steps) {
          const reason = step.slice(step.indexOf(' ') + 1);
          expect(reason in TRANSITION_REASONS || reason.startsWith('rule: ')).toBe(true);
        }
      }),
    );
  });

  it('neither a rule nor a policy nor time opens what a person ignored, or closes what a person approved', () => {
    const open: readonly HostState[] = ['approved', 'applied', 'stale'];
    fc.assert(
      fc.property(arbitrary, surroundings, ({ hostname, ...fields }, { afterDays, ...settings }) => {
        const at = clock(afterDays * DAY_MS);
        const next = (state: HostState, kind: 'approve' | 'ignore') =>
          nextTransition(
            hostRecord(hostname, { ...fields, state, decisions: [person(kind)] }),
            beliefSettings(settings),
            at,
          );
        expect(next('ignored', 'ignore')).toBeUndefined();
        for (const state of open) expect(open).toContain(next(state, 'approve')?.to ?? state);
      }),
    );
  });
});
