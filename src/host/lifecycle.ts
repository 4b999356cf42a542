import { timeWithin, type Interval } from './blind-window.js';
import {
  hasFlag,
  isWildcard,
  type HostFlag,
  type HostRecord,
  type HostState,
  type WorkloadEvidence,
  type WorkloadReference,
} from './host-record.js';
import { firstRule, formatRule, type HostRule } from './host-rule.js';
import type { HostTransition } from './host-store.js';

export const HOST_POLICIES = ['observe', 'learn', 'approve', 'frozen'] as const;
export type HostPolicy = (typeof HOST_POLICIES)[number];

export interface LifecycleSettings {
  readonly policy: HostPolicy;
  /** How long a host must have been known before it is eligible. */
  readonly stabilityMs: number;
  /** How long a host must have been silent, while somebody watched, before it is stale. */
  readonly expiryMs: number;
  /** How much longer before it is retired, and its entries go. */
  readonly retireMs: number;
  /** In their order: the first that matches counts. */
  readonly rules: readonly HostRule[];
}

/** What the life of a host depends on besides the host and the settings. */
export interface LifecycleClock {
  readonly nowMs: number;
  /** When somebody watched; see watchedTime(). */
  readonly watched: readonly Interval[];
  /** When CronJobs run. @defaultValue their look-ups tell */
  readonly schedules?: CronJobSchedules;
}

/** When the CronJobs that there are run. */
export interface CronJobSchedules {
  /** How long two periods of a CronJob last from that moment on; undefined where its schedule is not known. */
  twoPeriodsMs(cronJob: Pick<WorkloadReference, 'namespace' | 'name'>, atMs: number): number | undefined;
}

/** Why a host is in its state. Besides these there are `rule: …`, with the rule, and `person: …`, with the decision. */
export const TRANSITION_REASONS = {
  'positive-answer': 'an answer with an address came for it',
  stable: 'known for long enough',
  'policy-learn': 'the policy is to write what is learnt',
  written: 'its ServiceEntry is there',
  unused: 'not looked up for the expiry time, while somebody watched',
  'still-unused': 'stale for the time after which entries go',
  'seen-again': 'looked up again',
  'rule-gone': 'the rule that was the reason is no longer there',
  'over-cap': 'there are more hosts than a cap allows',
  'below-cap': 'the cap allows it now',
  'tunnel-like': 'the children of this parent carry data in their names',
  'stable-children': 'so many children that one wildcard could stand for them',
} as const;
export type TransitionReason = keyof typeof TRANSITION_REASONS;

/** Why every host starts as a candidate. */
export const FIRST_REASON: TransitionReason = 'positive-answer';

type Step = readonly [to: HostState, reason: string] | undefined;

/** A CronJob that ran once may run once a month. */
const UNKNOWN_PERIOD_MS = 31 * 86_400_000;

/**
 * The next arrow of a host's life that time, rules and policy allow, if any:
 *
 * ```
 *              stable for stabilityMs        policy learn            written          silent for expiryMs
 *  candidate ────────────────────────▶ eligible ─────────▶ approved ─────────▶ applied ───────────────▶ stale
 *   ▲  │                                  │                   ▲                   ▲       seen again      │
 *   │  └──────── rule allow ──────────────┴───────────────────┘                   └──────────────────────┤
 *   │                                                                     silent for retireMs more       │
 *   └───────── seen again ──────────────────────────────────────── retired ◀─────────────────────────────┘
 *
 *  any but ignored ── rule ignore ──▶ ignored ── rule gone ──▶ candidate
 * ```
 * `observe` and `approve` stop at eligible (in `approve` a person goes on), `frozen` at candidate: there only a person
 * approves, and nothing is retired. What a person decided, neither a rule nor a policy undoes. A host that never got an
 * entry is retired when it would be stale. The arrow to applied is the reconciler's, those to and from quarantined are
 * believe()'s, and `*.parent` is never approved by the policy.
 */
export function nextTransition(
  record: HostRecord,
  settings: LifecycleSettings,
  clock: LifecycleClock,
): HostTransition | undefined {
  const step = nextByRule(record, settings) ?? nextByTime(record, settings, clock);
  if (step === undefined) return undefined;
  return { hostname: record.hostname, from: record.state, to: step[0], reason: step[1], atMs: clock.nowMs };
}

const OPEN_STATES: ReadonlySet<HostState> = new Set(['approved', 'applied', 'stale']);
const WAITING_STATES: ReadonlySet<HostState> = new Set(['candidate', 'eligible']);

function nextByRule(record: HostRecord, { rules, policy }: LifecycleSettings): Step {
  if (isDecided(record)) return undefined;
  const rule = dispositionOf(record, rules);
  if (rule === undefined) return nextWithoutRule(record);
  const reason = `rule: ${formatRule(rule)}`;
  if (rule.action === 'ignore') return record.state === 'ignored' ? undefined : ['ignored', reason];
  if (record.state === 'ignored') return nextWithoutRule(record);
  const isWaiting = WAITING_STATES.has(record.state) || (isWildcard(record) && record.state === 'retired');
  return isWaiting && policy !== 'frozen' ? ['approved', reason] : undefined;
}

function nextWithoutRule(record: HostRecord): Step {
  if (record.state === 'ignored') return record.reason.startsWith('rule: ') ? ['candidate', 'rule-gone'] : undefined;
  return closesWithItsRule(record) ? ['retired', 'rule-gone'] : undefined;
}

/** Whether a person's last word on the host is to approve or to ignore it. */
export function isDecided({ decisions }: Pick<HostRecord, 'decisions'>): boolean {
  const last = decisions.findLast(({ kind }) => kind !== 'note');
  return last !== undefined && last.kind !== 'unignore';
}

/** The rule that says whether a host may have an entry, if one does. */
function dispositionOf(record: HostRecord, rules: readonly HostRule[]): HostRule | undefined {
  if (!isWildcard(record)) return firstRule(rules, record.hostname, ['allow', 'ignore']);
  const parent = record.hostname.slice(2);
  return rules.find(({ action, pattern }) => {
    if (action === 'wildcard') return pattern.name === parent;
    return (
      action === 'ignore' &&
      pattern.kind !== 'exact' &&
      (pattern.name === parent || parent.endsWith(`.${pattern.name}`))
    );
  });
}

/** A wildcard that a rule opened closes with the rule. A single host stays: closing it would break who uses it. */
function closesWithItsRule(record: HostRecord): boolean {
  if (!isWildcard(record) || !OPEN_STATES.has(record.state)) return false;
  const opened = record.transitions.findLast(({ state }) => state === 'approved');
  return opened?.reason.startsWith('rule: ') ?? false;
}

function nextByTime(record: HostRecord, settings: LifecycleSettings, clock: LifecycleClock): Step {
  const { state } = record;
  if (state === 'candidate' || state === 'eligible') {
    if (isSilent(record, 0, { settings, clock })) return ['retired', 'unused'];
    return nextOfWaiting(record, settings, clock);
  }
  if (state === 'approved') return isSilent(record, 0, { settings, clock }) ? ['retired', 'unused'] : undefined;
  if (state === 'applied') return isSilent(record, 0, { settings, clock }) ? ['stale', 'unused'] : undefined;
  if (state === 'stale') return nextOfStale(record, settings, clock);
  if (state === 'retired') return nextOfRetired(record, settings, clock);
  return undefined;
}

function nextOfWaiting(
  record: HostRecord,
  { policy, stabilityMs }: LifecycleSettings,
  { nowMs }: LifecycleClock,
): Step {
  if (record.state === 'candidate') {
    if (isWildcard(record)) return ['eligible', 'stable-children'];
    return policy !== 'frozen' && nowMs - record.firstSeenMs >= stabilityMs ? ['eligible', 'stable'] : undefined;
  }
  return policy === 'learn' && !isWildcard(record) ? ['approved', 'policy-learn'] : undefined;
}

function nextOfStale(record: HostRecord, settings: LifecycleSettings, clock: LifecycleClock): Step {
  if (!isSilent(record, 0, { settings, clock })) return ['applied', 'seen-again'];
  if (settings.policy === 'frozen') return undefined;
  const isOver = isSilent(record, settings.retireMs, { settings, clock });
  return isOver ? ['retired', 'still-unused'] : undefined;
}

function nextOfRetired(record: HostRecord, settings: LifecycleSettings, clock: LifecycleClock): Step {
  const isUnused = ['unused', 'still-unused'].includes(record.reason);
  if (isWildcard(record) && !isUnused) return undefined; // closed with its rule
  return isSilent(record, 0, { settings, clock }) ? undefined : ['candidate', 'seen-again'];
}

/**
 * Whether a host is known not to have been used for the expiry time and some more. Not known is it where the mesh hides the look-ups or makes
 * them itself, and of a host that a person or a rule wants. Of a CronJob's host two of its periods must have passed.
 */
function isSilent(
  record: HostRecord,
  furtherMs: number,
  { settings, clock }: { readonly settings: LifecycleSettings; readonly clock: LifecycleClock },
): boolean {
  if (hasFlag(record, 'masked') || hasFlag(record, 'echoed') || isWanted(record, settings.rules)) return false;
  const fromMs = Math.max(record.lastSeenMs, ...record.flags.map(hiddenUntil));
  if (clock.nowMs - fromMs < settings.expiryMs + furtherMs) return false;
  const neededMs = Math.max(settings.expiryMs, twoPeriodsOf(record, clock)) + furtherMs;
  return timeWithin(clock.watched, fromMs, clock.nowMs) >= neededMs;
}

function isWanted(record: HostRecord, rules: readonly HostRule[]): boolean {
  if (!OPEN_STATES.has(record.state)) return false;
  return isDecided(record) || dispositionOf(record, rules) !== undefined;
}

function hiddenUntil({ name, untilMs }: HostFlag): number {
  return name === 'masked' || name === 'echoed' ? (untilMs ?? 0) : 0;
}

/** How long a host must be silent before each CronJob that uses it has let two periods pass without it. */
function twoPeriodsOf(record: HostRecord, { schedules }: LifecycleClock): number {
  const periods = record.workloads.filter(isCronJob).map(({ workload, lastSeenMs }) => {
    const twoMs = schedules?.twoPeriodsMs(workload, lastSeenMs);
    return twoMs === undefined ? 2 * periodOf(record) : lastSeenMs + twoMs - record.lastSeenMs;
  });
  return Math.max(0, ...periods);
}

/**
 * By its look-ups, the longest period of the CronJobs that use a host: 0 when none does, else the longest time between two days on which it
 * was looked up, provided that nobody else's look-ups are among them.
 */
export function periodOf({ workloads, days }: Pick<HostRecord, 'workloads' | 'days'>): number {
  if (!workloads.some(isCronJob)) return 0;
  if (days.length < 2 || !workloads.every(isCronJob)) return UNKNOWN_PERIOD_MS;
  const gaps = days.slice(1).map(({ dayMs }, index) => dayMs - (days[index]?.dayMs ?? dayMs));
  return Math.max(...gaps);
}

function isCronJob({ workload }: WorkloadEvidence): boolean {
  return workload.kind === 'CronJob';
}
