import type { Hostname } from '../dns/hostname.js';
import { EVIDENCE_SLOT_MS, MAX_ADDRESSES, type Observation } from '../observation/observation.js';
import {
  MAX_TRANSITIONS,
  type HostRecord,
  type HostState,
  type PendingEvidence,
  type Transition,
  type Usage,
  type WorkloadEvidence,
} from './host-record.js';
import type { HostTransition } from './host-store.js';
import { FIRST_REASON } from './lifecycle.js';

/** What is stored of a host apart from its evidence. */
export interface HostCore extends Usage {
  /** Address to the time it was last seen; the newest {@link MAX_ADDRESSES}. */
  readonly addresses: Readonly<Record<string, number>>;
  readonly ttlSeconds: { readonly min: number; readonly max: number };
  /** The chain seen last, and when. */
  readonly cnames: { readonly atMs: number; readonly chain: readonly string[] };
  /** All but the first, which follows from `firstSeenMs`. */
  readonly transitions: readonly Transition[];
}

/** Pending rows of a host beyond which evidence is kept a day at a time, and then no longer by client. */
export const MAX_PENDING = 256;
export const DAY_MS = 86_400_000;

/** Merges an observation; any order and grouping of observations gives the same core. */
export function mergeCore(core: HostCore | undefined, observation: Observation): HostCore {
  const { lastObservedAtMs } = observation;
  const usage = mergeUsage(core, usageOf(observation));
  const ttlSeconds = {
    min: Math.min(core?.ttlSeconds.min ?? Infinity, observation.ttlSeconds.min),
    max: Math.max(core?.ttlSeconds.max ?? 0, observation.ttlSeconds.max),
  };
  return {
    ...usage,
    addresses: mergeAddresses(core?.addresses ?? {}, observation),
    ttlSeconds,
    cnames: latestChain(core?.cnames, { atMs: lastObservedAtMs, chain: observation.cnames }),
    transitions: core?.transitions ?? [],
  };
}

export function usageOf(observation: Observation): Usage {
  return {
    firstSeenMs: observation.firstObservedAtMs,
    lastSeenMs: observation.lastObservedAtMs,
    lookups: observation.lookups,
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

function mergeAddresses(
  known: HostCore['addresses'],
  { addresses, lastObservedAtMs }: Observation,
): HostCore['addresses'] {
  const merged = { ...known };
  for (const address of addresses) merged[address] = Math.max(merged[address] ?? 0, lastObservedAtMs);
  const newestFirst = Object.entries(merged).sort(([a, aMs], [b, bMs]) => bMs - aMs || (a < b ? -1 : 1));
  return Object.fromEntries(newestFirst.slice(0, MAX_ADDRESSES));
}

function latestChain(known: HostCore['cnames'] | undefined, more: HostCore['cnames']): HostCore['cnames'] {
  if (known === undefined || more.atMs > known.atMs) return more;
  const isFirstInOrder = more.chain.join(' ') < known.chain.join(' ');
  return more.atMs === known.atMs && isFirstInOrder ? more : known;
}

/** Start of the slot that an observation's evidence goes to. */
export function slotOf(observation: Observation, pendingRows: number): number {
  const width = pendingRows < MAX_PENDING ? EVIDENCE_SLOT_MS : DAY_MS;
  return Math.floor(observation.firstObservedAtMs / width) * width;
}

export function stateOf(core: HostCore): HostState {
  return core.transitions.at(-1)?.state ?? 'candidate';
}

/** The core after a transition; undefined when the host is no longer in the state it starts from. */
export function applyTransition(core: HostCore, { from, to, reason, atMs }: HostTransition): HostCore | undefined {
  if (stateOf(core) !== from) return undefined;
  const transitions = [...core.transitions, { state: to, reason, atMs }].slice(1 - MAX_TRANSITIONS);
  return { ...core, transitions };
}

export function toRecord(
  hostname: Hostname,
  core: HostCore,
  evidence: { readonly workloads: readonly WorkloadEvidence[]; readonly pending: readonly PendingEvidence[] },
): HostRecord {
  const first: Transition = { state: 'candidate', reason: FIRST_REASON, atMs: core.firstSeenMs };
  const transitions = [first, ...core.transitions];
  const last = core.transitions.at(-1) ?? first;
  return {
    hostname,
    state: last.state,
    reason: last.reason,
    transitions,
    firstSeenMs: core.firstSeenMs,
    lastSeenMs: core.lastSeenMs,
    lookups: core.lookups,
    addresses: Object.keys(core.addresses).sort(),
    ttlSeconds: core.ttlSeconds,
    cnames: core.cnames.chain,
    workloads: [...evidence.workloads].sort((a, b) => compare(workloadKey(a), workloadKey(b))),
    pending: [...evidence.pending].sort((a, b) => compare(a.client, b.client) || a.slotMs - b.slotMs),
  };
}

const workloadKey = ({ workload, attribution }: WorkloadEvidence): string =>
  [workload.namespace, workload.kind, workload.name, attribution].join('\0');

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
