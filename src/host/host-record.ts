import type { Hostname } from '../dns/hostname.js';

/** How sure an attribution is: the very workload, only the node (host network, node cache), or neither. */
export const ATTRIBUTIONS = ['exact', 'node', 'unknown'] as const;
export type Attribution = (typeof ATTRIBUTIONS)[number];

/** The life of a host; see `src/host/lifecycle.ts` for the arrows. */
export const HOST_STATES = [
  'candidate',
  'quarantined',
  'eligible',
  'ignored',
  'approved',
  'applied',
  'stale',
  'retired',
] as const;
export type HostState = (typeof HOST_STATES)[number];

/** A workload, by the object that a person would name: Deployment, StatefulSet, DaemonSet, Job, CronJob, Pod, Node. */
export interface WorkloadReference {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
}

/** When and how often something was looked up (Unix milliseconds, by the DNS server's clock). */
export interface Usage {
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly lookups: number;
}

/**
 * That a workload used a host. With attribution `unknown` the namespace is empty, the kind is `Address` and the name is
 * the client address; with `node` the namespace is empty, the kind is `Node` and the name is the node's.
 */
export interface WorkloadEvidence extends Usage {
  readonly workload: WorkloadReference;
  readonly attribution: Attribution;
}

/**
 * Look-ups of one client address within one evidence slot that nobody has attributed to a workload yet.
 *
 * The collector has no Kubernetes rights, so evidence enters the store by address and time, and the reconciler, which
 * sees pods, attributes it with {@link HostStore.attribute}.
 */
export interface PendingEvidence extends Usage {
  readonly client: string;
  /** Start of the slot (Unix milliseconds, a multiple of EVIDENCE_SLOT_MS). */
  readonly slotMs: number;
  readonly pod?: { readonly namespace: string; readonly name: string };
}

/** What a person decided: `approve` and `ignore` win over every rule and policy; `unignore` gives the host back to them. */
export const DECISION_KINDS = ['approve', 'ignore', 'unignore', 'note'] as const;
export type DecisionKind = (typeof DECISION_KINDS)[number];

export interface Decision {
  readonly kind: DecisionKind;
  /** Who: a user name, as the one who decides gives it. */
  readonly by: string;
  /** Why, in that person's words; may be empty. */
  readonly why: string;
  readonly atMs: number;
}

/**
 * What the state does not say.
 *
 * - `masked`: the mesh answers for the host itself, so that it is not looked up says nothing.
 * - `echoed`: proxies look the host up again and again because of an entry with DNS resolution, so that it is looked up
 *   says nothing.
 * - `tunnel-like`: the children of this parent carry data in their names.
 * - `over-cap`: there were more hosts than a cap allows; of `*.parent`, the row that counts what was not stored.
 * - `wildcard-child`: an approved wildcard covers the host; it needs no entry of its own.
 * - `would-break`: learning is frozen and some namespace that uses the host has no entry for it: with egress closed it
 *   would break.
 */
export const HOST_FLAGS = ['echoed', 'masked', 'over-cap', 'tunnel-like', 'wildcard-child', 'would-break'] as const;
export type HostFlagName = (typeof HOST_FLAGS)[number];

/** A flag, and since when; one that no longer holds is kept with its end, for the clock of expiry. */
export interface HostFlag {
  readonly name: HostFlagName;
  readonly sinceMs: number;
  readonly untilMs?: number;
}

/** That a host is reached on a port, and how that is known. */
export interface HostPort {
  readonly number: number;
  /** Istio's name of the protocol: TLS, HTTP, HTTP2, GRPC. */
  readonly protocol: string;
  /** A code such as `https-record`, or `rule: …`. */
  readonly reason: string;
}

/** Look-ups of one day. */
export interface DailyLookups {
  /** Start of the day (Unix milliseconds, UTC). */
  readonly dayMs: number;
  readonly lookups: number;
}

/** One arrow of a host's life, kept so that `explain` can tell the story. */
export interface Transition {
  readonly state: HostState;
  /** A code such as `first-answer`, `policy-learn`, `written`; or `person: why`. */
  readonly reason: string;
  readonly atMs: number;
}

/**
 * What is believed about a host. Everything in it is sorted and bounded.
 *
 * The hostname may be `*.parent`: then it is about the children of the parent together, either as a wildcard that is
 * proposed or approved, or (state `quarantined`) as the one row that counts children that are not stored singly.
 */
export interface HostRecord extends Usage {
  readonly hostname: Hostname;
  readonly state: HostState;
  /** Why it is in that state: the reason of the last transition. */
  readonly reason: string;
  /** Oldest first; at most MAX_TRANSITIONS, the first one always kept. */
  readonly transitions: readonly Transition[];
  readonly addresses: readonly string[];
  readonly ttlSeconds: { readonly min: number; readonly max: number };
  readonly cnames: readonly string[];
  /** The Service of type ExternalName by which the host was looked up last; absent when it was asked for itself. */
  readonly askedAs?: string;
  /** The latest {@link MAX_DAYS} days with a look-up, oldest first. */
  readonly days: readonly DailyLookups[];
  /** Sorted by name. */
  readonly flags: readonly HostFlag[];
  /** What evidence says about ports, sorted by number and protocol; empty: nothing is known. Rules are not in it. */
  readonly ports: readonly HostPort[];
  /** Oldest first; the latest {@link MAX_DECISIONS}. */
  readonly decisions: readonly Decision[];
  /** Of `*.parent`: a few children that are not stored singly, sorted. `lookups` counts theirs. */
  readonly children: readonly string[];
  /** Sorted by namespace, kind, name, attribution. */
  readonly workloads: readonly WorkloadEvidence[];
  /** Sorted by client, slot. */
  readonly pending: readonly PendingEvidence[];
}

/** What a list of hosts shows of one. */
export type HostSummary = Pick<
  HostRecord,
  | 'hostname'
  | 'state'
  | 'reason'
  | 'firstSeenMs'
  | 'lastSeenMs'
  | 'lookups'
  | 'addresses'
  | 'flags'
  | 'workloads'
  | 'pending'
>;

export const MAX_TRANSITIONS = 32;
export const MAX_DAYS = 32;
export const MAX_DECISIONS = 32;
export const MAX_PORTS = 16;
/** Children of `*.parent` that are named as examples. */
export const MAX_CHILDREN = 8;

/** Whether a flag holds now. */
export function hasFlag({ flags }: Pick<HostRecord, 'flags'>, name: HostFlagName): boolean {
  return flags.some((flag) => flag.name === name && flag.untilMs === undefined);
}

/** Whether a record is about the children of a parent together. */
export function isWildcard({ hostname }: Pick<HostRecord, 'hostname'>): boolean {
  return hostname.startsWith('*.');
}
