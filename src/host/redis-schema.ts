import { HostStoreError } from './host-store-error.js';
import { SCHEMA, schemaKey } from './keys.js';
import { RedisCalls } from './redis-calls.js';
import type { RedisConnection } from './redis-connection.js';
import { findOld, takeOver } from './redis-migration.js';

/** Which version of the layout Redis holds, and how an older one becomes this one. */
export class RedisSchema {
  readonly #connection: RedisConnection;
  /** That wait for nothing. */
  readonly #calls: RedisCalls;
  readonly #mayTakeOver: boolean;
  #checking: Promise<void> | undefined;

  /** @param options `mayTakeOver`: an older layout is brought up to date, not refused. */
  constructor(connection: RedisConnection, { mayTakeOver }: { readonly mayTakeOver: boolean }) {
    this.#connection = connection;
    this.#calls = new RedisCalls(connection, async () => undefined);
    this.#mayTakeOver = mayTakeOver;
  }

  /**
   * Before anything else: what another version of the program has stored must neither be overlooked nor be damaged.
   *
   * @throws HostStoreError HOST_STORE_SCHEMA
   */
  async check(): Promise<void> {
    this.#checking ??= this.#check();
    try {
      await this.#checking;
    } catch (err) {
      this.#checking = undefined; // the next call tries again
      throw err;
    }
  }

  /** Looks again, also for what an old program that still runs has stored since. */
  async checkAgain(): Promise<void> {
    await this.check();
    this.#checking = undefined;
    await this.check();
  }

  async #check(): Promise<void> {
    const known = await this.#calls.call((client) => client.get(schemaKey()));
    if (known !== null && !(Number(known) <= SCHEMA)) throw newerError(known);
    const old = await findOld(this.#calls);
    const isOlder = old !== undefined || (known !== null && known !== String(SCHEMA));
    if (isOlder && !this.#mayTakeOver) throw olderError(known ?? String(old));
    if (old === 1 && this.#connection.isCluster) throw acrossSlots();
    // First of all: an old program that starts from now on refuses.
    if (known !== String(SCHEMA)) await this.#calls.call((client) => client.set(schemaKey(), String(SCHEMA)));
    if (old !== undefined) await takeOver(this.#calls);
  }
}

function newerError(found: string): HostStoreError {
  const message = `Redis holds schema ${found}, expected ${SCHEMA}: use the version of istio-discovery that wrote it`;
  return new HostStoreError('HOST_STORE_SCHEMA', message);
}

function olderError(found: string): HostStoreError {
  const message = `Redis holds schema ${found}, expected ${SCHEMA}: collect, reconcile and run bring it up to date when they start`;
  return new HostStoreError('HOST_STORE_SCHEMA', message);
}

function acrossSlots(): HostStoreError {
  const message =
    'schema 1 cannot be taken over within a cluster: delete the keys istio-discovery:1:* and learn anew, or take it over in a single Redis';
  return new HostStoreError('HOST_STORE_SCHEMA', message);
}
