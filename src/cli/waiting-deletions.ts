import type { Configuration } from '../config/schema.js';
import type { AwaitedDeletion } from '../host/host-store.js';
import { formatTable } from './table.js';
import { countText, durationText, timeText } from './time-text.js';

/** A ServiceEntry of ours that is to go, and what it waits for. */
export interface WaitingDeletion extends AwaitedDeletion {
  /** `due`: the next runs take it, unless a limit or a missing confirmation holds it back. */
  readonly is: 'waiting' | 'due';
  /** When it has been called for long enough (Unix milliseconds). */
  readonly dueAtMs: number;
  /** How many more runs in a row have to call for it. */
  readonly runsLeft: number;
}

type Limits = Configuration['reconcile'];

export function waitingDeletions(
  deletions: readonly AwaitedDeletion[],
  { deleteAfterSeconds, deleteAfterRuns }: Limits,
  nowMs: number,
): readonly WaitingDeletion[] {
  return deletions.map((deletion) => {
    const dueAtMs = deletion.sinceMs + deleteAfterSeconds * 1000;
    const runsLeft = Math.max(0, deleteAfterRuns - deletion.plans);
    return { ...deletion, is: nowMs >= dueAtMs && runsLeft === 0 ? 'due' : 'waiting', dueAtMs, runsLeft };
  });
}

/** A table of them; nothing where none waits. */
export function deletionsText(deletions: readonly WaitingDeletion[], limits: Limits, nowMs: number): string {
  if (deletions.length === 0) return '';
  const rows = deletions.map(({ namespace, name, reason, sinceMs, is, dueAtMs, runsLeft }) => {
    const time = dueAtMs > nowMs ? [durationText(dueAtMs - nowMs)] : [];
    const runs = runsLeft > 0 ? [countText(runsLeft, 'run')] : [];
    return [`${namespace}/${name}`, reason, timeText(sinceMs), is === 'due' ? 'due' : [...time, ...runs].join(', ')];
  });
  const table = formatTable(['SERVICEENTRY TO GO', 'BECAUSE', 'CALLED FOR SINCE', 'WAITS'], rows);
  return `${table}${dueText(deletions, limits)}`;
}

function dueText(deletions: readonly WaitingDeletion[], limits: Limits): string {
  const due = deletions.filter(({ is }) => is === 'due').length;
  const { maxDeletions, maxDeletionShare, confirmDeletions } = limits;
  if (due <= maxDeletions || confirmDeletions) return '';
  const share = `${Math.round(maxDeletionShare * 100)} %`;
  return `${due} are due, more than the ${maxDeletions} of a run: if that is more than ${share} of our ServiceEntries, none goes before somebody\nconfirms it by reconcile.confirmDeletions; istio-discovery plan says whether (deletion-share).\n`;
}
