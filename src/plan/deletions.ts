import type { ServiceEntry } from '../istio/service-entry.js';
import { keyOf, sortByKey } from './order.js';
import type { DeleteReason, PendingDeletion, PlanPolicy } from './service-entry-plan.js';

/** A deletion that is called for. */
export interface DeletionCandidate {
  readonly reason: DeleteReason;
  readonly current: ServiceEntry;
  /** Both entries that are there do harm together, so it does not wait. */
  readonly isUrgent: boolean;
  /** When it was decided (Unix milliseconds), where that is known. */
  readonly decidedMs?: number;
}

export interface SettledDeletions {
  readonly due: readonly DeletionCandidate[];
  readonly waiting: readonly DeletionCandidate[];
  readonly pending: readonly PendingDeletion[];
}

/**
 * Which deletions have been called for long enough, by time and by plans in a row. One that is not called for once starts
 * anew: the history holds only what this plan wants.
 */
export function settleDeletions(
  candidates: readonly DeletionCandidate[],
  {
    history,
    nowMs,
    policy,
  }: {
    readonly history: readonly Omit<PendingDeletion, 'reason'>[];
    readonly nowMs: number;
    readonly policy: PlanPolicy;
  },
): SettledDeletions {
  const { deleteAfterMs = 0, deleteAfterPlans = 1 } = policy;
  const before = new Map(history.map((item) => [`${item.namespace}/${item.name}`, item]));
  const due: DeletionCandidate[] = [];
  const waiting: DeletionCandidate[] = [];
  const pending: PendingDeletion[] = [];
  for (const candidate of sortByKey(candidates, ({ current }) => keyOf(current))) {
    const { reason, current, isUrgent, decidedMs = nowMs } = candidate;
    const { namespace, name } = current.metadata;
    const earlier = before.get(keyOf(current));
    const sinceMs = Math.min(earlier?.sinceMs ?? nowMs, decidedMs, nowMs); // a clock may have been set back
    // Counted no further than matters, so that what has waited long enough is kept as it is.
    const plans = Math.min((earlier?.plans ?? 0) + 1, deleteAfterPlans);
    pending.push({ namespace, name, reason, sinceMs, plans });
    const isDue = isUrgent || (nowMs - sinceMs >= deleteAfterMs && plans >= deleteAfterPlans);
    (isDue ? due : waiting).push(candidate);
  }
  return { due, waiting, pending };
}
