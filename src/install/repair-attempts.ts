/** Attempts to put the cluster DNS right since it last stayed so, as the record of the installation keeps them. */
export interface RepairAttempts {
  readonly attempts: number;
  /** Of the last one, Unix milliseconds. */
  readonly lastAtMs: number;
}

/** Whoever takes us out five times will do so again: each further attempt would only be another disturbance of DNS. */
const MAX_ATTEMPTS = 5;
/** After the first attempt; twice as long after each further one. */
const FIRST_PAUSE_MS = 10 * 60_000;
/** An attempt that has held for so long is done with, and the next drift is a new one. */
const SETTLED_MS = 24 * 3_600_000;

/** Whether no further attempt will be made until somebody runs the installation; the last one may still be under way. */
export function isGivenUp(before: RepairAttempts | undefined, nowMs: number): boolean {
  return before !== undefined && before.attempts >= MAX_ATTEMPTS && nowMs >= before.lastAtMs + FIRST_PAUSE_MS;
}

/**
 * Whether to put the cluster DNS right now.
 *
 * - `now`: with these attempts written down before.
 * - `later`: not before `atMs`.
 * - `given-up`: not until somebody runs the installation.
 */
export type RepairDecision =
  | { readonly when: 'now'; readonly attempts: RepairAttempts }
  | { readonly when: 'later'; readonly atMs: number }
  | { readonly when: 'given-up' };

export function decideRepair(before: RepairAttempts | undefined, nowMs: number): RepairDecision {
  if (before === undefined) return { when: 'now', attempts: { attempts: 1, lastAtMs: nowMs } };
  if (before.attempts >= MAX_ATTEMPTS) return { when: 'given-up' };
  const atMs = before.lastAtMs + FIRST_PAUSE_MS * 2 ** (before.attempts - 1);
  if (nowMs < atMs) return { when: 'later', atMs };
  return { when: 'now', attempts: { attempts: before.attempts + 1, lastAtMs: nowMs } };
}

/** Whether what was put right has stayed so. */
export function isSettled(before: RepairAttempts, nowMs: number): boolean {
  return nowMs - before.lastAtMs >= SETTLED_MS;
}
