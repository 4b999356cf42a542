import { setTimeout as delay } from 'node:timers/promises';
import { TestSupportError } from './test-support-error.js';

/** @see waitUntil */
export interface WaitOptions {
  /** How long before giving up; 20 seconds unless told, for a machine that is busy with other things. */
  readonly timeoutMs?: number;
  /** Pause between two tries. */
  readonly everyMs?: number;
  /** What is waited for, for the message. */
  readonly what?: string;
}

/**
 * Calls `probe` until it returns something other than `undefined` and `false`, and returns that. A probe that throws is
 * tried again: what is asked may not be listening yet.
 *
 * @throws TestSupportError `TEST_ERR_WAITED_TOO_LONG`, with what the last try threw as its cause
 */
export async function waitUntil<T>(
  probe: () => T | Promise<T>,
  { timeoutMs = 20_000, everyMs = 25, what = 'the condition' }: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const deadlineMs = Date.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      const value = await probe();
      // The comparison is what the type says.
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await delay(everyMs);
  } while (Date.now() < deadlineMs);
  throw new TestSupportError('TEST_ERR_WAITED_TOO_LONG', `${what} did not come within ${timeoutMs} ms`, { cause });
}
