import type { SinkFailure } from './sink.js';

interface Postponed {
  readonly failure: SinkFailure;
  /** What was tried; something else is tried at once. */
  readonly what: string;
  readonly failures: number;
  readonly untilMs: number;
}

interface Deletions {
  readonly count: number;
  readonly lastMs: number;
  /** Of the object that went last. */
  readonly uid: string;
}

export interface PostponedOptions {
  /** Clock that never jumps. */
  readonly monotonicMs: () => number;
}

/** Failures that pass by themselves, mostly within seconds. */
const PASSING: ReadonlySet<string> = new Set([
  'KUBERNETES_ERR_ABORTED',
  'KUBERNETES_ERR_SERVER',
  'KUBERNETES_ERR_TIMEOUT',
  'KUBERNETES_ERR_TOO_MANY_REQUESTS',
  'KUBERNETES_ERR_UNAUTHORIZED',
  'KUBERNETES_ERR_UNREACHABLE',
  'RECONCILER_ERR_NOT_LEADER',
]);
/** A refusal passes only when somebody changes something: a policy, a right, an entry. */
const DELAYS = {
  passing: { firstMs: 500, mostMs: 60_000 },
  refused: { firstMs: 5000, mostMs: 600_000 },
  deleted: { secondMs: 15_000, mostMs: 3_600_000 },
} as const;
/** After so long without a further deletion, the next one counts as the first again. */
const DELETIONS_FORGOTTEN_MS = 2 * DELAYS.deleted.mostMs;

/**
 * Entries that are not tried again yet: each failure in a row doubles the time, by the class of the error.
 *
 * | class   | errors                                                      | from   | to      |
 * | ------- | ----------------------------------------------------------- | ------ | ------- |
 * | passing | 5xx, 429, 401, no connection, not the leader                | 0.5 s  | 1 min   |
 * | refused | 400, 403, 404, 409, 422, a warning, somebody else's entry   | 5 s    | 10 min  |
 * | deleted | somebody deletes the entry again and again                  | 0, 15 s | 1 h    |
 *
 * What it holds is bounded by the entries that are planned: {@link retain} drops the rest.
 */
export class PostponedEntries {
  readonly #failures = new Map<string, Postponed>();
  readonly #deletions = new Map<string, Deletions>();
  readonly #monotonicMs: () => number;

  constructor({ monotonicMs }: PostponedOptions) {
    this.#monotonicMs = monotonicMs;
  }

  /** The failure for which an entry still has to wait, if what should be done is the same as then. */
  find(key: string, what: string): SinkFailure | undefined {
    const postponed = this.#failures.get(key);
    if (postponed === undefined || postponed.what !== what) return undefined;
    return this.#monotonicMs() < postponed.untilMs ? postponed.failure : undefined;
  }

  fail(key: string, what: string, failure: SinkFailure): void {
    const before = this.#failures.get(key);
    const failures = before?.what === what && before.failure.code === failure.code ? before.failures + 1 : 1;
    const { firstMs, mostMs } = PASSING.has(failure.code) ? DELAYS.passing : DELAYS.refused;
    const delayMs = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 20));
    this.#failures.set(key, { failure, what, failures, untilMs: this.#monotonicMs() + delayMs });
  }

  succeed(key: string): void {
    this.#failures.delete(key);
  }

  /** That somebody else deleted an entry of ours; the same object counts once. */
  noteDeletion(key: string, uid: string): void {
    const nowMs = this.#monotonicMs();
    const before = this.#deletions.get(key);
    if (before?.uid === uid) return;
    const isAgain = before !== undefined && nowMs - before.lastMs < DELETIONS_FORGOTTEN_MS;
    this.#deletions.set(key, { count: isAgain ? before.count + 1 : 1, lastMs: nowMs, uid });
  }

  /** How often somebody deleted an entry that must not be created again yet; else undefined. */
  deletionsOf(key: string): number | undefined {
    const deletions = this.#deletions.get(key);
    if (deletions === undefined) return undefined;
    const { secondMs, mostMs } = DELAYS.deleted;
    const again = deletions.count - 2;
    const delayMs = again < 0 ? 0 : Math.min(mostMs, secondMs * 2 ** Math.min(again, 20));
    return this.#monotonicMs() - deletions.lastMs < delayMs ? deletions.count : undefined;
  }

  /** Forgets failures of what is not planned any more, and deletions of long ago. */
  retain(planned: ReadonlySet<string>): void {
    for (const key of this.#failures.keys()) if (!planned.has(key)) this.#failures.delete(key);
    const nowMs = this.#monotonicMs();
    for (const [key, { lastMs }] of this.#deletions) {
      if (nowMs - lastMs > DELETIONS_FORGOTTEN_MS) this.#deletions.delete(key);
    }
  }
}
