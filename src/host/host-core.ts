import type { Hostname } from '../dns/hostname.js';
import { MAX_ADDRESSES } from '../observation/observation.js';
import {
  MAX_CHILDREN,
  MAX_DAYS,
  MAX_DECISIONS,
  MAX_PORTS,
  MAX_TRANSITIONS,
  type DailyLookups,
  type Decision,
  type HostFlag,
  type HostPort,
  type HostRecord,
  type HostState,
  type PendingEvidence,
  type Transition,
  type Usage,
  type WorkloadEvidence,
} from './host-record.js';
import type { FlagChange, HostDecision, HostTransition, WildcardProposal } from './host-store.js';
import { FIRST_REASON } from './lifecycle.js';
import { readChain, type ObservationGroup } from './observation-group.js';
import { packAddress } from './packed-address.js';
import { DAY_MS, MINUTE_MS } from './time-units.js';

/** What is stored of a host apart from its evidence. */
export interface HostCore extends Usage {
  /** Address to the minute it was last seen (Unix milliseconds); the newest {@link MAX_ADDRESSES}. */
  readonly addresses: Readonly<Record<string, number>>;
  readonly ttlSeconds: { readonly min: number; readonly max: number };
  /** The chain seen last, and in which minute. */
  readonly cnames: { readonly atMs: number; readonly chain: readonly string[] };
  /** Newest first. */
  readonly days: readonly DailyLookups[];
  /** Why the host is known, where no positive answer is the reason. */
  readonly first?: { readonly state: HostState; readonly reason: string };
  /** All but the first, which follows from `first` and `firstSeenMs`. */
  readonly transitions: readonly Transition[];
  readonly flags: readonly HostFlag[];
  readonly ports: readonly HostPort[];
  readonly decisions: readonly Decision[];
  readonly children: readonly string[];
}

/** Pending rows of a host beyond which evidence is kept a day at a time, and then no longer by client. */
export const MAX_PENDING = 256;

/** A host that nothing was observed of. */
export function emptyCore(atMs: number, first?: HostCore['first']): HostCore {
  return {
    firstSeenMs: atMs,
    lastSeenMs: atMs,
    lookups: 0,
    addresses: {},
    ttlSeconds: { min: 0, max: 0 },
    cnames: { atMs: 0, chain: [] },
    days: [],
    ...(first === undefined ? {} : { first }),
    transitions: [],
    flags: [],
    ports: [],
    decisions: [],
    children: [],
  };
}

/** Merges what a batch says of the host; any order and grouping of observations gives the same core. */
export function mergeCore(core: HostCore | undefined, group: ObservationGroup): HostCore {
  const known = core ?? emptyCore(group.firstMs);
  const { firstMs: firstSeenMs, lastMs: lastSeenMs, lookups } = group;
  return {
    ...known,
    ...mergeUsage(core, { firstSeenMs, lastSeenMs, lookups }),
    addresses: mergeAddresses(known.addresses, group.addresses),
    ttlSeconds: {
      min: Math.min(core?.ttlSeconds.min ?? Infinity, group.minTtl),
      max: Math.max(known.ttlSeconds.max, group.maxTtl),
    },
    cnames: latestChain(core?.cnames, {
      atMs: group.chainMinute * MINUTE_MS,
      chain: group.chain === '' ? [] : group.chain.split(' '),
    }),
    days: mergeDays(known.days, group.days),
  };
}

/** One core of two that come from different places; of what only one can have, the first counts. */
export function joinCores(core: HostCore, more: HostCore): HostCore {
  const { firstSeenMs, lastSeenMs, lookups } = mergeUsage(core, more);
  const addresses = new Map(Object.entries(more.addresses).map(([address, atMs]) => [address, atMs / MINUTE_MS]));
  const days = new Map(more.days.map(({ dayMs, lookups: count }) => [dayMs / DAY_MS, count]));
  const decisions = new Map([...more.decisions, ...core.decisions].map((one) => [JSON.stringify(one), one]));
  return {
    firstSeenMs,
    lastSeenMs,
    lookups,
    addresses: mergeAddresses(core.addresses, addresses),
    ttlSeconds: {
      min: Math.min(core.ttlSeconds.min, more.ttlSeconds.min),
      max: Math.max(core.ttlSeconds.max, more.ttlSeconds.max),
    },
    cnames: latestChain(core.cnames, more.cnames),
    days: mergeDays(core.days, days),
    ...((core.first ?? more.first) ? { first: core.first ?? more.first } : {}),
    transitions: core.transitions.length > 0 ? core.transitions : more.transitions,
    flags: core.flags.length > 0 ? core.flags : more.flags,
    ports: more.ports.reduce((joined, port) => applyPort(joined, port) ?? joined, core).ports,
    decisions: [...decisions.values()].sort((a, b) => a.atMs - b.atMs).slice(-MAX_DECISIONS),
    children: more.children.reduce(addChild, core.children),
  };
}

export function mergeUsage(known: Usage | undefined, more: Usage): Usage {
  if (known === undefined) return { firstSeenMs: more.firstSeenMs, lastSeenMs: more.lastSeenMs, lookups: more.lookups };
  return {
    firstSeenMs: Math.min(known.firstSeenMs, more.firstSeenMs),
    lastSeenMs: Math.max(known.lastSeenMs, more.lastSeenMs),
    lookups: known.lookups + more.lookups,
  };
}

function mergeAddresses(known: HostCore['addresses'], minutes: ObservationGroup['addresses']): HostCore['addresses'] {
  const merged = { ...known };
  for (const [address, minute] of minutes) merged[address] = Math.max(merged[address] ?? 0, minute * MINUTE_MS);
  return Object.fromEntries(newestAddresses(Object.entries(merged)).slice(0, MAX_ADDRESSES));
}

/** Of those of one minute the first in order, as lua/record.ts has it. */
function newestAddresses(seen: readonly (readonly [address: string, atMs: number])[]): typeof seen {
  if (seen.length <= MAX_ADDRESSES) return seen;
  const packed = seen.map((one) => [packAddress(one[0]), one] as const);
  return packed.sort(([a, [, aMs]], [b, [, bMs]]) => bMs - aMs || compare(a, b)).map(([, one]) => one);
}

function latestChain(known: HostCore['cnames'] | undefined, more: HostCore['cnames']): HostCore['cnames'] {
  if (known === undefined || more.atMs > known.atMs) return more;
  const isFirstInOrder = more.chain.join(' ') < known.chain.join(' ');
  return more.atMs === known.atMs && isFirstInOrder ? more : known;
}

function mergeDays(known: readonly DailyLookups[], more: ObservationGroup['days']): readonly DailyLookups[] {
  const days = new Map(known.map(({ dayMs, lookups }) => [dayMs, lookups]));
  for (const [day, lookups] of more) days.set(day * DAY_MS, (days.get(day * DAY_MS) ?? 0) + lookups);
  return Array.from(days, ([dayMs, lookups]) => ({ dayMs, lookups }))
    .sort((a, b) => b.dayMs - a.dayMs)
    .slice(0, MAX_DAYS);
}

export function stateOf(core: Pick<HostCore, 'first' | 'transitions'>): HostState {
  return core.transitions.at(-1)?.state ?? core.first?.state ?? 'candidate';
}

/** The core after a transition; undefined when the host is no longer in the state it starts from. */
export function applyTransition(core: HostCore, { from, to, reason, atMs }: HostTransition): HostCore | undefined {
  if (stateOf(core) !== from) return undefined;
  return { ...core, transitions: addTransition(core.transitions, { state: to, reason, atMs }) };
}

function addTransition(transitions: readonly Transition[], more: Transition): readonly Transition[] {
  return [...transitions, more].slice(1 - MAX_TRANSITIONS);
}

/** The core after a decision; undefined when the decision is there already. */
export function applyDecision(core: HostCore, { kind, by, why, atMs }: HostDecision): HostCore | undefined {
  const decision: Decision = { kind, by, why, atMs };
  const key = JSON.stringify(decision);
  if (core.decisions.some((known) => JSON.stringify(known) === key)) return undefined;
  const isLatest = core.decisions.every((known) => known.kind === 'note' || known.atMs <= atMs);
  const decisions = [...core.decisions, decision]
    .sort((a, b) => a.atMs - b.atMs || compare(JSON.stringify(a), JSON.stringify(b)))
    .slice(-MAX_DECISIONS);
  const to = isLatest ? stateAfter(stateOf(core), kind) : undefined;
  if (to === undefined) return { ...core, decisions };
  const transition: Transition = { state: to, reason: `person: ${kind}`, atMs };
  return { ...core, decisions, transitions: addTransition(core.transitions, transition) };
}

/** Where a decision moves a host; undefined where it stays. */
function stateAfter(state: HostState, kind: Decision['kind']): HostState | undefined {
  if (kind === 'note') return undefined;
  if (kind === 'ignore') return state === 'ignored' ? undefined : 'ignored';
  if (kind === 'unignore') return state === 'ignored' || state === 'quarantined' ? 'candidate' : undefined;
  if (state === 'stale') return 'applied'; // its entry is still there
  return state === 'approved' || state === 'applied' ? undefined : 'approved';
}

/** The core after a change of a flag; undefined when it changes nothing. Of two changes the later counts. */
export function applyFlag(core: HostCore, { flag, holds, atMs }: Omit<FlagChange, 'hostname'>): HostCore | undefined {
  const known = core.flags.find(({ name }) => name === flag);
  const changed = changedFlag(known, { flag, holds, atMs });
  if (changed === undefined) return undefined;
  const flags = [...core.flags.filter(({ name }) => name !== flag), changed];
  return { ...core, flags: flags.sort((a, b) => compare(a.name, b.name)) };
}

function changedFlag(
  known: HostFlag | undefined,
  { flag: name, holds, atMs }: Omit<FlagChange, 'hostname'>,
): HostFlag | undefined {
  if (known === undefined) return holds ? { name, sinceMs: atMs } : undefined;
  if (holds === (known.untilMs === undefined)) return undefined;
  if (atMs < (known.untilMs ?? known.sinceMs)) return undefined;
  return holds ? { name, sinceMs: atMs } : { ...known, untilMs: atMs };
}

/** The core with a port; undefined when it is known. */
export function applyPort(core: HostCore, { number, protocol, reason }: HostPort): HostCore | undefined {
  const isSame = (port: HostPort): boolean => port.number === number && port.protocol === protocol;
  const known = core.ports.find(isSame);
  if (known !== undefined && known.reason <= reason) return undefined;
  const ports = [...core.ports.filter((port) => !isSame(port)), { number, protocol, reason }]
    .sort((a, b) => a.number - b.number || compare(a.protocol, b.protocol))
    .slice(0, MAX_PORTS);
  return { ...core, ports };
}

/** The row of a parent after its quarantine; undefined when nothing changes. A row with an entry keeps its state. */
export function applyQuarantine(core: HostCore | undefined, atMs: number): HostCore {
  const flag = { flag: 'tunnel-like', holds: true, atMs } as const;
  if (core === undefined) {
    const row = emptyCore(atMs, { state: 'quarantined', reason: 'tunnel-like' });
    return { ...row, flags: [{ name: flag.flag, sinceMs: atMs }] };
  }
  const from = stateOf(core);
  const isWaiting = from === 'candidate' || from === 'eligible' || from === 'retired';
  const transition: Transition = { state: 'quarantined', reason: 'tunnel-like', atMs };
  const transitions = isWaiting ? addTransition(core.transitions, transition) : core.transitions;
  const moved = { ...core, transitions };
  return applyFlag(moved, flag) ?? moved;
}

/** The first few in order, so that merging in any order gives the same. */
export function addChild(children: readonly string[], child: string): readonly string[] {
  return [...new Set([...children, child])].sort().slice(0, MAX_CHILDREN);
}

export function proposedCore({ reason, atMs }: Pick<WildcardProposal, 'reason' | 'atMs'>): HostCore {
  return emptyCore(atMs, { state: 'candidate', reason });
}

export function toRecord(
  hostname: Hostname,
  core: HostCore,
  evidence: { readonly workloads: readonly WorkloadEvidence[]; readonly pending: readonly PendingEvidence[] },
): HostRecord {
  const { state, reason } = core.first ?? { state: 'candidate', reason: FIRST_REASON };
  const first: Transition = { state, reason, atMs: core.firstSeenMs };
  const last = core.transitions.at(-1) ?? first;
  return {
    hostname,
    state: last.state,
    reason: last.reason,
    transitions: [first, ...core.transitions],
    firstSeenMs: core.firstSeenMs,
    lastSeenMs: core.lastSeenMs,
    lookups: core.lookups,
    addresses: Object.keys(core.addresses).sort(),
    ttlSeconds: core.ttlSeconds,
    ...readChain(core.cnames.chain),
    days: core.days.toReversed(),
    flags: core.flags,
    ports: core.ports,
    decisions: core.decisions,
    children: core.children,
    ...sortEvidence(evidence),
  };
}

/** As a record has it. */
export function sortEvidence({
  workloads,
  pending,
}: Pick<HostRecord, 'workloads' | 'pending'>): Pick<HostRecord, 'workloads' | 'pending'> {
  if (workloads.length < 2 && pending.length < 2) return { workloads, pending };
  return {
    workloads: [...workloads].sort((a, b) => compare(workloadKey(a), workloadKey(b))),
    pending: [...pending].sort((a, b) => compare(a.client, b.client) || a.slotMs - b.slotMs),
  };
}

const workloadKey = ({ workload, attribution }: WorkloadEvidence): string =>
  [workload.namespace, workload.kind, workload.name, attribution].join('\0');

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
