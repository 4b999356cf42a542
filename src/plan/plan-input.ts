import type { MeshObjects } from '../istio/mesh-objects.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import type { PendingDeletion, PlanPolicy } from './service-entry-plan.js';

export interface PlanInput {
  /** Every ServiceEntry that there is, ours and others'. */
  readonly current: readonly ServiceEntry[];
  /** Entries that there should be, one host each. A wildcard is wanted only if it was approved. */
  readonly desired: readonly ServiceEntry[];
  /** Hosts that were decided against. Only their entries are deleted; a host that nobody knows proves nothing. */
  readonly unwanted?: readonly string[];
  /** When that was decided (Unix milliseconds), for hosts of `unwanted`: the wait before a deletion counts from then. */
  readonly unwantedSinceMs?: ReadonlyMap<string, number>;
  /** `namespace/name` of entries that are gone and not created before it is known why. @defaultValue none */
  readonly held?: ReadonlySet<string>;
  /** Namespaces that can take an entry; absent when unknown. */
  readonly namespaces?: ReadonlySet<string>;
  /**
   * What else is in the cluster. Absent where there is no cluster, as for a directory; a kind within it that is absent
   * could not be read, and then nothing is deleted that an object of that kind could refer to.
   */
  readonly mesh?: MeshObjects;
  /** What the plan before left waiting, see `AccountedPlan`. @defaultValue none */
  readonly pendingDeletions?: readonly Omit<PendingDeletion, 'reason'>[];
  /** Time of the plan (Unix milliseconds). @defaultValue 0 */
  readonly nowMs?: number;
  readonly policy: PlanPolicy;
}
