import type { ServiceEntry } from '../istio/service-entry.js';

/** Why an entry is created. */
export const CREATE_REASONS = ['wanted'] as const;
/** Why an entry is updated. */
export const UPDATE_REASONS = ['api-version-differs', 'labels-differ', 'spec-differs'] as const;
/** Why an entry is deleted. */
export const DELETE_REASONS = [
  'covered-by-own-entry',
  'foreign-entry-in-namespace',
  'host-unwanted',
  'shadows-foreign-entry',
] as const;
/** Why an entry of ours stays as it is. */
export const KEEP_REASONS = ['beside-foreign-entry', 'no-decision', 'unchanged', 'until-cover-is-there'] as const;
/** Why nothing is done about an entry although something seems to be called for. */
export const SKIP_REASONS = [
  'being-deleted',
  'change-limit',
  'children-first',
  'covered-by-foreign-entry',
  'covered-by-own-entry',
  'deleted-by-others',
  'deletion-limit',
  'deletion-share',
  'deletion-waits',
  'duplicate',
  'edited-by-others',
  'entry-ceiling',
  'governed-by-others',
  'host-in-namespace',
  'invalid',
  'kubernetes-service',
  'name-taken',
  'namespace-ceiling',
  'namespace-missing',
  'namespace-uses-waypoint',
  'not-imported',
  'protocol-conflict',
  'references-unknown',
  'still-referenced',
] as const;

export type CreateReason = (typeof CREATE_REASONS)[number];
export type UpdateReason = (typeof UPDATE_REASONS)[number];
export type DeleteReason = (typeof DELETE_REASONS)[number];
export type KeepReason = (typeof KEEP_REASONS)[number];
export type SkipReason = (typeof SKIP_REASONS)[number];

export interface PlannedCreate {
  readonly reason: CreateReason;
  readonly entry: ServiceEntry;
  /** Some of the namespaces that it is exported to do not import it, by their Sidecar: the host stays closed there. */
  readonly notImportedIn?: readonly string[];
}

export interface PlannedUpdate {
  readonly reason: UpdateReason;
  readonly current: ServiceEntry;
  readonly entry: ServiceEntry;
  /** It takes away a port, or namespaces that see the entry: open connections of the host may be closed. */
  readonly narrows: boolean;
}

/** Closes the host's open connections after the proxies' drain time. */
export interface PlannedDelete {
  readonly reason: DeleteReason;
  readonly current: ServiceEntry;
}

export interface PlannedKeep {
  readonly reason: KeepReason;
  readonly current: ServiceEntry;
}

export interface PlannedSkip {
  readonly reason: SkipReason;
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  /** The facts behind the reason: `namespace/name` of the entry in the way, field managers, finding codes; sorted. */
  readonly because: readonly string[];
  /** Ports that the foreign entry in `because` lacks, `8443/TLS`: what its owner may want to add. */
  readonly missingPorts: readonly string[];
}

/** What to do so that the cluster matches. Every list is sorted by namespace, then name. */
export interface ServiceEntryPlan {
  readonly create: readonly PlannedCreate[];
  readonly update: readonly PlannedUpdate[];
  readonly delete: readonly PlannedDelete[];
  readonly keep: readonly PlannedKeep[];
  readonly skipped: readonly PlannedSkip[];
}

/** A deletion that has been planned and waits until it has been so for long enough. */
export interface PendingDeletion {
  readonly namespace: string;
  readonly name: string;
  readonly reason: DeleteReason;
  /** Since when every plan has wanted it (Unix milliseconds). */
  readonly sinceMs: number;
  /** How many plans in a row have wanted it. */
  readonly plans: number;
}

/** What a plan costs the proxies of a namespace; `*` stands for every namespace. */
export interface NamespaceBudget {
  readonly namespace: string;
  /** Pushes of istiod to each proxy, at the most; changes that come close together share one. */
  readonly pushes: number;
  readonly addedClusters: number;
  readonly removedClusters: number;
  /** Memory of each proxy for the added clusters. What is removed is not given back. */
  readonly addedBytes: number;
}

/** A plan, what it costs, and what the next plan has to be told. */
export interface AccountedPlan extends ServiceEntryPlan {
  /** Sorted by namespace. */
  readonly budget: readonly NamespaceBudget[];
  /** Sorted by namespace, then name; keep it for the next plan. */
  readonly pendingDeletions: readonly PendingDeletion[];
}

export interface PlanPolicy {
  /** Installation whose entries may be changed. */
  readonly owner: string;
  /** Most creates, updates and deletes of one plan together. Creates come first: a missing host hurts most. */
  readonly maxChanges: number;
  /** Most changes of one plan that close connections: deletes, and updates that narrow. */
  readonly maxDeletions: number;
  /**
   * When more than `maxDeletions` deletes are due and they are more than this share (0 to 1) of our entries, none takes
   * place: something is more likely wrong with the evidence than with the hosts.
   */
  readonly maxDeletionShare: number;
  /** What an entry of others without `exportTo` means: `defaultServiceExportTo` of the mesh. @defaultValue `["*"]` */
  readonly defaultExportTo?: readonly string[];
  /** A person has looked at the deletions: their share does not matter. @defaultValue false */
  readonly deletionsConfirmed?: boolean;
  /** How long a deletion has to have been wanted (milliseconds). @defaultValue 0 */
  readonly deleteAfterMs?: number;
  /** How many plans in a row have to have wanted a deletion. @defaultValue 1 */
  readonly deleteAfterPlans?: number;
  /** Most entries of ours in all. @defaultValue no limit */
  readonly maxEntries?: number;
  /** Most entries of ours in one namespace. @defaultValue no limit */
  readonly maxEntriesPerNamespace?: number;
  /**
   * Every proxy captures DNS, so a TCP port of an entry with DNS resolution has a virtual address of its own. Without that
   * it would take the traffic of all hosts on that port, and no such entry is written. @defaultValue false
   */
  readonly capturesDns?: boolean;
  /** Below it are the names of Kubernetes Services. @defaultValue cluster.local */
  readonly clusterDomain?: string;
  /** Where a Sidecar without a selector stands for the whole mesh. @defaultValue istio-system */
  readonly rootNamespace?: string;
}
