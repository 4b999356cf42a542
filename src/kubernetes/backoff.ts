export interface BackoffOptions {
  /** Longest delay after the first failure. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * Delay after that many failures in a row: twice as long each time up to `maxMs`, of which half is left to chance, so that
 * clients that lost a server together do not come back together.
 */
export function backoffMs(failures: number, { baseMs, maxMs, random }: BackoffOptions): number {
  const longest = Math.min(maxMs, baseMs * 2 ** Math.max(0, failures - 1));
  return longest / 2 + (longest / 2) * random();
}

/** Resolves after the delay, or at once when the signal aborts. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener('abort', done, { once: true });
  });
}
