/** Something that runs until it is closed. */
export interface Running {
  close(): Promise<void>;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** The last opened first: what feeds the store is closed before the store. */
export async function closeAll(running: readonly Running[]): Promise<void> {
  for (const one of running.toReversed()) await one.close();
}
