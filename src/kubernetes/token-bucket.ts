import { pause } from './backoff.js';

export interface TokenBucketOptions {
  /** Tokens a second; Infinity: no limit. */
  readonly perSecond: number;
  /** Most tokens that are saved up. @defaultValue those of one second */
  readonly burst?: number;
  /** Clock that never jumps. @defaultValue performance.now */
  readonly monotonicMs?: () => number;
}

/** Limits a rate: whoever takes a token waits until there is one, in order of asking. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #monotonicMs: () => number;
  /** When the bucket would be full if nobody took anything more; in the future by a token's time for each one taken. */
  #fullAtMs = -Infinity;

  constructor({
    perSecond,
    burst = Math.max(1, perSecond),
    monotonicMs = () => performance.now(),
  }: TokenBucketOptions) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#monotonicMs = monotonicMs;
  }

  /** Resolves with a token, or at once when the signal aborts. */
  async take(signal: AbortSignal): Promise<void> {
    const waitMs = this.#reserve();
    if (waitMs > 0) await pause(waitMs, signal);
  }

  /** Nobody gets a token for that long: the server asked to be left alone. */
  hold(ms: number): void {
    const emptyAtMs = this.#monotonicMs() + ms + this.#burst / this.#perMs;
    this.#fullAtMs = Math.max(this.#fullAtMs, emptyAtMs);
  }

  /** Takes a token of the present or the future; returns how long until it is there. */
  #reserve(): number {
    const nowMs = this.#monotonicMs();
    this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + 1 / this.#perMs;
    return this.#fullAtMs - nowMs - this.#burst / this.#perMs;
  }
}
