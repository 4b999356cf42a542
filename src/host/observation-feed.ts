import type { Observation } from '../observation/observation.js';

/** What was recorded just now. `missed`: observations that are not shown, because there were too many. */
export interface TailBatch {
  readonly observations: readonly Observation[];
  readonly missed: number;
}

/** Observations that wait for a slow reader; what comes beyond them is counted as missed. */
const MAX_WAITING = 2_000;

/** Hands what is recorded to whoever watches now. Nobody waits for a reader. */
export class ObservationFeed {
  readonly #readers = new Set<Reader>();

  get isWatched(): boolean {
    return this.#readers.size > 0;
  }

  publish(batch: TailBatch): void {
    for (const reader of this.#readers) reader.take(batch);
  }

  /** Everything from now on, until the signal aborts. */
  async *subscribe(signal: AbortSignal): AsyncGenerator<TailBatch> {
    const reader = new Reader();
    const stop = (): void => reader.stop();
    this.#readers.add(reader);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) yield batch;
    } finally {
      this.#readers.delete(reader);
      signal.removeEventListener('abort', stop);
    }
  }
}

class Reader {
  #observations: Observation[] = [];
  #missed = 0;
  #isStopped = false;
  #wake: () => void = () => undefined;

  take({ observations, missed }: TailBatch): void {
    const room = MAX_WAITING - this.#observations.length;
    this.#observations.push(...observations.slice(0, room));
    this.#missed += missed + Math.max(0, observations.length - room);
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  /** What has come since the last call; undefined at the end. */
  async next(): Promise<TailBatch | undefined> {
    while (this.#observations.length === 0 && this.#missed === 0) {
      if (this.#isStopped) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const batch = { observations: this.#observations, missed: this.#missed };
    this.#observations = [];
    this.#missed = 0;
    return batch;
  }
}
