import type { MeshObjects } from '../istio/mesh-objects.js';
import type { ServiceEntry, ServiceEntryApiVersion } from '../istio/service-entry.js';
import type { ServiceEntryPlan } from '../plan/service-entry-plan.js';

export interface SinkState {
  /** Every ServiceEntry that matters, ours and others'. */
  readonly entries: readonly ServiceEntry[];
  /** What else is in the cluster; absent where there is no cluster. */
  readonly mesh?: MeshObjects;
  /** Namespaces that can take an entry; absent where that is not known. */
  readonly namespaces?: ReadonlySet<string>;
  /** The API version that the target takes; absent where any will do. */
  readonly apiVersion?: ServiceEntryApiVersion;
  /** The `resourceVersion` up to which the cluster is known; absent where there is no cluster. */
  readonly clusterVersion?: string;
  /** Entries of ours that somebody else deleted lately, as far as a watch saw it. */
  readonly deletedByOthers?: readonly ServiceEntry[];
}

/** By then the API server has told what else went: a namespace or a definition takes some seconds to go. */
export const DELETION_SETTLED_MS = 10_000;

export interface SinkFailure {
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly code: string;
  readonly message: string;
}

export interface SinkResult {
  readonly created: readonly ServiceEntry[];
  readonly updated: readonly ServiceEntry[];
  readonly deleted: readonly ServiceEntry[];
  readonly failures: readonly SinkFailure[];
}

/** Where ServiceEntries go: the cluster, or a directory of YAML. */
export interface ServiceEntrySink {
  /** What is there. Rejects rather than giving a part of it: a partial read plans nothing. */
  read(signal: AbortSignal): Promise<SinkState>;
  /** Carries a plan out. An entry that fails is reported and stops no other. */
  apply(plan: ServiceEntryPlan, signal: AbortSignal): Promise<SinkResult>;
}

/** @internal What is reported of an entry that could not be written. */
export function toFailure({ metadata, spec }: ServiceEntry, err: unknown): SinkFailure {
  const code = errorCodeOf(err) ?? 'UNKNOWN';
  const message = err instanceof Error ? err.message : String(err);
  return { namespace: metadata.namespace, name: metadata.name, host: spec.hosts[0] ?? '', code, message };
}

/** @internal The stable code of an error of ours or of Node's. */
export function errorCodeOf(err: unknown): string | undefined {
  return typeof err === 'object' && err !== null && 'code' in err ? String(err.code) : undefined;
}
