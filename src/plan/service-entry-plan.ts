import type { ServiceEntry } from '../istio/service-entry.js';

/** Why an entry is created. */
export const CREATE_REASONS = ['wanted'] as const;
/** Why an entry is updated. */
export const UPDATE_REASONS = ['api-version-differs', 'labels-differ', 'spec-differs'] as const;
/** Why an entry is deleted. */
export const DELETE_REASONS = ['host-unwanted', 'foreign-entry-in-namespace', 'shadows-foreign-entry'] as const;
/** Why an entry of ours stays as it is. */
export const KEEP_REASONS = ['unchanged', 'beside-foreign-wildcard', 'no-decision'] as const;
/** Why nothing is done about an entry although something seems to be called for. */
export const SKIP_REASONS = [
  'being-deleted',
  'change-limit',
  'covered-by-foreign-entry',
  'deletion-limit',
  'deletion-share',
  'duplicate',
  'edited-by-others',
  'host-in-namespace',
  'invalid',
  'name-taken',
  'namespace-missing',
] as const;

export type CreateReason = (typeof CREATE_REASONS)[number];
export type UpdateReason = (typeof UPDATE_REASONS)[number];
export type DeleteReason = (typeof DELETE_REASONS)[number];
export type KeepReason = (typeof KEEP_REASONS)[number];
export type SkipReason = (typeof SKIP_REASONS)[number];

export interface PlannedCreate {
  readonly reason: CreateReason;
  readonly entry: ServiceEntry;
}

export interface PlannedUpdate {
  readonly reason: UpdateReason;
  readonly current: ServiceEntry;
  readonly entry: ServiceEntry;
}

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

export interface PlanPolicy {
  /** Installation whose entries may be changed. */
  readonly owner: string;
  /** Most creates, updates and deletes of one plan together. Creates come first: a missing host hurts most. */
  readonly maxChanges: number;
  /** Most deletes of one plan. A delete closes that host's open connections. */
  readonly maxDeletions: number;
  /**
   * When more than `maxDeletions` deletes are due and they are more than this share (0 to 1) of our entries, none takes
   * place: something is more likely wrong with the evidence than with the hosts.
   */
  readonly maxDeletionShare: number;
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
  /** Below it are the names of Kubernetes Services. @defaultValue cluster.local */
  readonly clusterDomain?: string;
  /** Where a Sidecar without a selector stands for the whole mesh. @defaultValue istio-system */
  readonly rootNamespace?: string;
  /** What an entry of others without `exportTo` means: `defaultServiceExportTo` of the mesh. @defaultValue `["*"]` */
  readonly defaultExportTo?: readonly string[];
}
