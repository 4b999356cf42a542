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

/** One arrow of a host's life, kept so that `explain` can tell the story. */
export interface Transition {
  readonly state: HostState;
  /** A code such as `first-answer`, `policy-learn`, `written`; or `person: why`. */
  readonly reason: string;
  readonly atMs: number;
}

/** What is believed about a host. Everything in it is sorted and bounded. */
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
  /** Sorted by namespace, kind, name, attribution. */
  readonly workloads: readonly WorkloadEvidence[];
  /** Sorted by client, slot. */
  readonly pending: readonly PendingEvidence[];
}

export const MAX_TRANSITIONS = 32;
