import { setInterval } from 'node:timers/promises';
import type { Observation } from '../observation/observation.js';
import { tailKey } from './keys.js';
import { ObservationFeed, type TailBatch } from './observation-feed.js';
import type { RedisConnection } from './redis-connection.js';

/** How long it is known that somebody watches, and how often the watcher says so again. */
const LEASE_SECONDS = 10;
const RENEW_MS = 3_000;
/** How often a collector asks whether somebody watches. */
const ASK_MS = 1_000;
/** Observations of a batch that are published. */
const MAX_PUBLISHED = 200;

/**
 * Live observations over Redis's publish and subscribe. A watcher keeps a key with an expiry; collectors look at it once a
 * second and publish only while it is there, so that it costs nothing while nobody watches.
 */
export class RedisTail {
  readonly #connection: RedisConnection;
  #askedMs = -Infinity;
  #isWatched = false;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Publishes what was recorded, if somebody watches. Never fails: what is shown is no part of recording. */
  async publish(observations: readonly Observation[]): Promise<void> {
    if (observations.length === 0 || !(await this.#isAnybodyThere())) return;
    const shown = observations.slice(0, MAX_PUBLISHED);
    const batch: TailBatch = { observations: shown, missed: observations.length - shown.length };
    const { client } = this.#connection;
    await this.#connection.call(() => client.publish(tailKey(), JSON.stringify(batch))).catch(() => undefined);
  }

  async *subscribe(signal: AbortSignal): AsyncGenerator<TailBatch> {
    const feed = new ObservationFeed();
    const batches = feed.subscribe(signal);
    const first = batches.next(); // from here on nothing is missed
    const stop = await this.#connection.subscribe(tailKey(), (text) => feed.publish(JSON.parse(text) as TailBatch)); // by publish()
    const done = new AbortController();
    const renewing = this.#renew(AbortSignal.any([signal, done.signal]));
    try {
      for (let item = await first; item.done !== true; item = await batches.next()) yield item.value;
    } finally {
      done.abort(); // who reads no more need not abort the signal
      await stop();
      await renewing;
    }
  }

  async #isAnybodyThere(): Promise<boolean> {
    const nowMs = performance.now();
    if (nowMs - this.#askedMs < ASK_MS) return this.#isWatched;
    this.#askedMs = nowMs;
    const { client } = this.#connection;
    const lease = await this.#connection.call(() => client.get(tailKey())).catch(() => null);
    this.#isWatched = lease !== null;
    return this.#isWatched;
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { client } = this.#connection;
    const keep = (): Promise<unknown> => this.#connection.call(() => client.set(tailKey(), '1', 'EX', LEASE_SECONDS));
    await keep().catch(() => undefined);
    try {
      for await (const _ of setInterval(RENEW_MS, undefined, { signal })) await keep().catch(() => undefined);
    } catch {
      // The signal ends the interval with an error.
    }
  }
}
