import type { Hostname } from '../dns/hostname.js';
import { hostsOverCap, type HostCaps } from './caps.js';
import { hasFlag, isWildcard, type HostRecord, type HostState, type Transition } from './host-record.js';
import type { HostRule } from './host-rule.js';
import type { FlagChange, HostTransition, ParentQuarantine, WildcardProposal } from './host-store.js';
import { isDecided, nextTransition, type LifecycleClock, type LifecycleSettings } from './lifecycle.js';
import { isBelow } from './registrable-domain.js';
import { findTunnelParents } from './tunnel-parent.js';
import { findWildcardParents, isCovered, openParents, withChildren } from './wildcard.js';

export interface BeliefSettings extends LifecycleSettings {
  readonly caps: HostCaps;
  /** Stable children for which a wildcard is proposed; 0: none ever is. */
  readonly wildcardChildren: number;
}

/** What has to be stored for what is believed now. */
export interface Beliefs {
  /** Every host as it is once that is stored. */
  readonly records: readonly HostRecord[];
  readonly transitions: readonly HostTransition[];
  readonly flags: readonly FlagChange[];
  readonly proposals: readonly WildcardProposal[];
  readonly quarantines: readonly ParentQuarantine[];
  /** Hosts that need not be known any more, once they have no entry. */
  readonly forgettable: readonly HostRecord[];
}

/**
 * What is to be believed about all hosts together. A pure function: the same records, settings and time give the same.
 *
 * ```
 *  tunnels ─▶ children become one quarantined row      caps ─▶ what is over is quarantined, what no longer is goes on
 *  each host along its life ─▶ wildcards are proposed ─▶ children of those that have an entry are marked
 * ```
 */
export function believe(all: readonly HostRecord[], settings: BeliefSettings, clock: LifecycleClock): Beliefs {
  const quarantines = findQuarantines(all, clock.nowMs);
  const folded = new Set(quarantines.flatMap(({ children }) => children));
  const rest = all.filter(({ hostname }) => !folded.has(hostname));
  const story = new Story(clock.nowMs);
  const capped = applyCaps(withChildren(rest), settings.caps, story);
  const lived = capped.map((record) => live(record, { settings, clock, story }));
  const proposals = propose(lived, settings, clock.nowMs);
  const wildcards = openParents(lived);
  const records = lived.map((record) => markCovered(record, wildcards, story));
  const { transitions, flags } = story;
  return {
    records,
    quarantines,
    proposals,
    transitions,
    flags,
    forgettable: findForgettable(records, settings, clock),
  };
}

/**
 * What nobody has looked up for twice the time and more after which its entry would have gone, and nobody decided on: it
 * would otherwise count for the caps for ever. Should it be looked up again, it begins anew.
 */
function findForgettable(
  records: readonly HostRecord[],
  { expiryMs, retireMs, rules }: BeliefSettings,
  { nowMs }: LifecycleClock,
): readonly HostRecord[] {
  const beforeMs = nowMs - 2 * (expiryMs + retireMs);
  return records.filter((record) => {
    if (record.lastSeenMs > beforeMs || record.decisions.length > 0) return false;
    if ((record.transitions.at(-1)?.atMs ?? 0) > nowMs - expiryMs) return false; // its entry may still be there
    if (record.state === 'ignored') return record.reason.startsWith('rule: ') && !isWildcard(record);
    return record.state === 'retired' ? !isOpenedByRule(record, rules) : record.state === 'quarantined';
  });
}

/** A wildcard of a rule would come back at once. */
function isOpenedByRule({ hostname }: HostRecord, rules: readonly HostRule[]): boolean {
  return rules.some(({ action, pattern }) => action === 'wildcard' && `*.${pattern.name}` === hostname);
}

/** Takes down every step and gives the record after it. */
class Story {
  readonly transitions: HostTransition[] = [];
  readonly flags: FlagChange[] = [];
  readonly #nowMs: number;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  move(record: HostRecord, to: HostState, reason: string): HostRecord {
    const { hostname, state: from } = record;
    const transition: Transition = { state: to, reason, atMs: this.#nowMs };
    this.transitions.push({ hostname, from, to, reason, atMs: this.#nowMs });
    return { ...record, state: to, reason, transitions: [...record.transitions, transition] };
  }

  flag(record: HostRecord, flag: FlagChange['flag'], holds: boolean): HostRecord {
    if (hasFlag(record, flag) === holds) return record;
    this.flags.push({ hostname: record.hostname, flag, holds, atMs: this.#nowMs });
    const others = record.flags.filter(({ name }) => name !== flag);
    const flags = holds ? [...others, { name: flag, sinceMs: this.#nowMs }] : others;
    return { ...record, flags };
  }
}

/** States in which a child is forgotten with its parent's quarantine: it never had an entry. */
const FOLDABLE_STATES: ReadonlySet<HostState> = new Set(['candidate', 'eligible', 'quarantined', 'retired']);

function findQuarantines(records: readonly HostRecord[], nowMs: number): readonly ParentQuarantine[] {
  const hosts = records.filter((record) => !isWildcard(record) && !isDecided(record));
  const foldable = hosts.filter(({ state }) => FOLDABLE_STATES.has(state));
  const wildcards = new Map(records.filter(isWildcard).map((record) => [record.hostname as string, record]));
  const parents = [
    ...findTunnelParents(hosts),
    // What came in before the store knew of the quarantine.
    ...[...wildcards.values()].filter(isTunnel).map(({ hostname }) => hostname.slice(2)),
  ];
  return [...new Set(parents)].sort().flatMap((parent) => {
    const row = wildcards.get(`*.${parent}`);
    if (row !== undefined && (isDecided(row) || row.decisions.some(({ kind }) => kind === 'unignore'))) return [];
    const children = foldable.filter(({ hostname }) => isBelow(hostname, parent)).map(({ hostname }) => hostname);
    if (children.length === 0 && row !== undefined && isTunnel(row)) return [];
    return [{ hostname: `*.${parent}` as Hostname, children, atMs: nowMs }]; // below a hostname
  });
}

function isTunnel(record: HostRecord): boolean {
  return record.state === 'quarantined' && record.reason === 'tunnel-like';
}

function applyCaps(records: readonly HostRecord[], caps: HostCaps, story: Story): readonly HostRecord[] {
  const over = hostsOverCap(records, caps);
  return records.map((record) => {
    const isQuarantined = record.state === 'quarantined' && record.reason === 'over-cap' && !isWildcard(record);
    if (over.has(record)) {
      return isQuarantined ? record : story.flag(story.move(record, 'quarantined', 'over-cap'), 'over-cap', true);
    }
    return isQuarantined ? story.flag(story.move(record, 'candidate', 'below-cap'), 'over-cap', false) : record;
  });
}

/** A host goes as far as time, rules and policy allow. */
function live(
  record: HostRecord,
  {
    settings,
    clock,
    story,
  }: { readonly settings: BeliefSettings; readonly clock: LifecycleClock; readonly story: Story },
): HostRecord {
  let current = record;
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const step = nextTransition(current, settings, clock);
    if (step === undefined) break;
    current = story.move(current, step.to, step.reason);
    if (step.to === 'candidate') break; // it counts for the caps again, before it goes on
  }
  return current;
}

/** From candidate to approved are two; many more would be a circle. */
const MAX_STEPS = 8;

function propose(
  records: readonly HostRecord[],
  { wildcardChildren, rules, policy }: BeliefSettings,
  atMs: number,
): readonly WildcardProposal[] {
  const known = new Set<string>(records.filter(isWildcard).map(({ hostname }) => hostname));
  const proposals = new Map<string, WildcardProposal>();
  const add = (parent: string, reason: string): void => {
    const hostname = `*.${parent}` as Hostname; // below a hostname
    if (!known.has(hostname) && !proposals.has(hostname)) proposals.set(hostname, { hostname, reason, atMs });
  };
  for (const { action, pattern } of rules) {
    const hasChild = (): boolean =>
      records.some(
        (record) => !isWildcard(record) && record.state !== 'quarantined' && isBelow(record.hostname, pattern.name),
      );
    if (action === 'wildcard' && policy !== 'frozen' && !known.has(`*.${pattern.name}`) && hasChild())
      add(pattern.name, 'rule');
  }
  for (const parent of findWildcardParents(records, wildcardChildren)) {
    // One that is covered already needs no narrower one.
    const isNarrower = [...known, ...proposals.keys()].some((other) => isBelow(parent, other.slice(2)));
    if (!isNarrower) add(parent, 'stable-children');
  }
  return [...proposals.values()];
}

function markCovered(record: HostRecord, wildcards: ReadonlySet<string>, story: Story): HostRecord {
  if (isWildcard(record)) return record;
  return story.flag(record, 'wildcard-child', isCovered(record.hostname, wildcards));
}
