import { Redis, type ChainableCommander } from 'ioredis';
import type { Hostname } from '../dns/hostname.js';
import { EVIDENCE_SLOT_MS, type Observation } from '../observation/observation.js';
import type { Rejection, RejectionCount } from '../observation/rejection.js';
import { pendingField, readEvidence, workloadField, type EvidenceRow } from './evidence-fields.js';
import { DAY_MS, toRecord, type HostCore } from './host-core.js';
import type { HostRecord, Transition } from './host-record.js';
import type { EvidenceAttribution, HostStore, HostTransition, RecordBatch } from './host-store.js';
import { HostStoreError } from './host-store-error.js';
import { BATCH_TTL_SECONDS, batchKey, hostKey, indexKey, rejectionsKey, shardOf, SHARDS } from './keys.js';
import { ATTRIBUTE } from './lua/attribute.js';
import { RECORD } from './lua/record.js';
import { REJECT } from './lua/reject.js';
import { TRANSITION } from './lua/transition.js';

const CONNECT_TIMEOUT_MS = 5_000;
/** A server that hangs and does not close its connection would otherwise hold a command for ever. */
const COMMAND_TIMEOUT_MS = 5_000;
const MAX_RECONNECT_DELAY_MS = 2_000;
const PAGE_HOSTS = 500;
const CLOSE_TIMEOUT_MS = 1_000;

export interface RedisStoreOptions {
  /** `redis://` or `rediss://`; may hold user and password. */
  readonly url: string;
  readonly password?: string | undefined;
  /** Told of each change of the connection, for logs and metrics. */
  readonly onConnection?: (event: { readonly connected: boolean; readonly err?: Error }) => void;
}

/**
 * Opens a store in Redis (6.2 or newer). Returns at once: while Redis is away, calls fail with HOST_STORE_UNAVAILABLE and
 * the connection is tried again for ever.
 */
export function openRedisStore(options: RedisStoreOptions): HostStore {
  const client = new Redis(options.url, {
    ...(options.password === undefined ? {} : { password: options.password }),
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // The offline queue has no bound. Observations wait in the collector's table, where they merge.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) =>
      Math.min(50 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_DELAY_MS) * (0.5 + Math.random() / 2),
  });
  // Until the first attempt has succeeded or failed, calls wait for it: a command that runs once needs no loop around it.
  const firstAttempt = new Promise<void>((resolve) => {
    client.once('ready', resolve);
    client.once('error', () => resolve());
  });
  client.on('ready', () => options.onConnection?.({ connected: true }));
  client.on('error', (err: Error) => options.onConnection?.({ connected: false, err }));
  return new RedisStore(client, firstAttempt);
}

interface Scripts {
  recordObservations(keys: number, ...args: (string | number)[]): ChainableCommander;
  countRejections(keys: number, ...args: (string | number)[]): ChainableCommander;
  attributeEvidence(keys: number, ...args: (string | number)[]): ChainableCommander;
  transitionHost(keys: number, ...args: (string | number)[]): ChainableCommander;
}

class RedisStore implements HostStore {
  readonly #client: Redis;
  readonly #firstAttempt: Promise<void>;

  constructor(client: Redis, firstAttempt: Promise<void>) {
    this.#client = client;
    this.#firstAttempt = firstAttempt;
    client.defineCommand('recordObservations', { lua: RECORD });
    client.defineCommand('countRejections', { lua: REJECT });
    client.defineCommand('attributeEvidence', { lua: ATTRIBUTE });
    client.defineCommand('transitionHost', { lua: TRANSITION });
  }

  async record({ source, sequence, observations, rejections }: RecordBatch): Promise<void> {
    const shards = groupByShard(observations);
    await this.#run((pipeline) => {
      for (const [shard, group] of shards) {
        const keys = [batchKey(shard, source), indexKey(shard), ...group.map(({ hostname }) => hostKey(hostname))];
        pipeline.recordObservations(keys.length, ...keys, sequence, BATCH_TTL_SECONDS, ...group.flatMap(toArguments));
      }
      if (rejections.length === 0) return;
      const counts = rejections.flatMap(({ reason, responses, examples }) => [reason, responses, examples.join(' ')]);
      // A key of its own: the same sequence is recorded for hosts and for rejections.
      pipeline.countRejections(
        2,
        batchKey(0, `${source}:rejections`),
        rejectionsKey(),
        sequence,
        BATCH_TTL_SECONDS,
        ...counts,
      );
    });
  }

  async *list(): AsyncGenerator<HostRecord> {
    const shards = Array.from({ length: SHARDS }, (_, shard) => this.#listShard(shard));
    const heads = await Promise.all(shards.map((shard) => shard.next()));
    for (;;) {
      const first = smallest(heads);
      if (first < 0) return;
      const head = heads[first];
      const shard = shards[first];
      if (head?.done !== false || shard === undefined) return;
      yield head.value;
      heads[first] = await shard.next();
    }
  }

  async *#listShard(shard: number): AsyncGenerator<HostRecord> {
    for (let after = '-'; ;) {
      const names = await this.#call(() =>
        this.#client.zrange(indexKey(shard), after, '+', 'BYLEX', 'LIMIT', 0, PAGE_HOSTS),
      );
      const hashes = await this.#hashes(names);
      for (const [index, name] of names.entries()) {
        const hash = hashes[index];
        if (hash !== undefined && hash['f'] !== undefined) yield readHost(name as Hostname, hash); // indexed by record.ts only
      }
      const last = names.at(-1);
      if (last === undefined || names.length < PAGE_HOSTS) return;
      after = `(${last}`;
    }
  }

  async get(hostname: Hostname): Promise<HostRecord | undefined> {
    const [hash] = await this.#hashes([hostname]);
    return hash?.['f'] === undefined ? undefined : readHost(hostname, hash);
  }

  async attribute(attributions: readonly EvidenceAttribution[]): Promise<void> {
    await this.#run((pipeline) => {
      for (const { hostname, evidence, workload, attribution } of attributions) {
        pipeline.attributeEvidence(1, hostKey(hostname), pendingField(evidence), workloadField(workload, attribution));
      }
    });
  }

  async transition(transitions: readonly HostTransition[]): Promise<void> {
    await this.#run((pipeline) => {
      for (const { hostname, from, to, reason, atMs } of transitions) {
        const line = JSON.stringify({ state: to, reason, atMs } satisfies Transition);
        pipeline.transitionHost(1, hostKey(hostname), from, to, line);
      }
    });
  }

  async rejections(): Promise<readonly RejectionCount[]> {
    const hash = await this.#call(() => this.#client.hgetall(rejectionsKey()));
    return Object.keys(hash)
      .filter((field) => !field.includes('|'))
      .sort()
      .map((reason) => ({
        reason: reason as Rejection, // written by record() only
        responses: Number(hash[reason]),
        examples: (hash[`${reason}|examples`] ?? '').split(' ').filter((name) => name !== ''),
      }));
  }

  async close(): Promise<void> {
    // ioredis neither rejects nor resolves what is queued when it is told to disconnect while it reconnects.
    const quit = this.#client.quit().catch(() => undefined);
    await Promise.race([quit, new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())]);
    this.#client.disconnect();
  }

  async #hashes(names: readonly string[]): Promise<readonly Record<string, string>[]> {
    if (names.length === 0) return [];
    const pipeline = this.#client.pipeline();
    for (const name of names) pipeline.hgetall(hostKey(name));
    const replies = await this.#call(() => pipeline.exec());
    return (replies ?? []).map(([err, hash]) => {
      if (err !== null) throw unavailable(err);
      return hash as Record<string, string>; // HGETALL's reply
    });
  }

  /** Sends scripts in one round trip. A pipeline does not reject when Redis is away: each reply is looked at. */
  async #run(fill: (pipeline: Scripts) => void): Promise<void> {
    const pipeline = this.#client.pipeline();
    fill(pipeline as ChainableCommander & Scripts); // defineCommand in the constructor added them
    if (pipeline.length === 0) return;
    const replies = await this.#call(() => pipeline.exec());
    const failed = replies?.find(([err]) => err !== null)?.[0];
    if (failed !== undefined && failed !== null) throw unavailable(failed);
  }

  async #call<T>(command: () => Promise<T>): Promise<T> {
    await this.#firstAttempt;
    try {
      return await command();
    } catch (err) {
      throw unavailable(err);
    }
  }
}

function unavailable(cause: unknown): HostStoreError {
  return cause instanceof HostStoreError
    ? cause
    : new HostStoreError('HOST_STORE_UNAVAILABLE', 'Redis call failed', { cause });
}

function groupByShard(observations: readonly Observation[]): ReadonlyMap<number, Observation[]> {
  const groups = new Map<number, Observation[]>();
  for (const observation of observations) {
    const shard = shardOf(observation.hostname);
    const group = groups.get(shard);
    if (group === undefined) groups.set(shard, [observation]);
    else group.push(observation);
  }
  return groups;
}

function toArguments(observation: Observation): (string | number)[] {
  const { hostname, client, pod, ttlSeconds, addresses, cnames } = observation;
  const field = (width: number): string =>
    pendingField({
      client,
      slotMs: Math.floor(observation.firstObservedAtMs / width) * width,
      ...(pod === undefined ? {} : { pod }),
    });
  return [
    hostname,
    observation.firstObservedAtMs,
    observation.lastObservedAtMs,
    observation.lookups,
    ttlSeconds.min,
    ttlSeconds.max,
    addresses.join(' '),
    cnames.join(' '),
    field(EVIDENCE_SLOT_MS),
    field(DAY_MS),
  ];
}

/** Index of the shard whose next record comes first by name; -1 when all are done. */
function smallest(heads: readonly IteratorResult<HostRecord, unknown>[]): number {
  let first = -1;
  let name = '';
  heads.forEach((head, index) => {
    if (head.done === true || (first >= 0 && head.value.hostname >= name)) return;
    first = index;
    name = head.value.hostname;
  });
  return first;
}

const words = (text: string | undefined): string[] => (text ?? '').split(' ').filter((word) => word !== '');

/** The inverse of lua/record.ts. */
function readHost(hostname: Hostname, hash: Readonly<Record<string, string>>): HostRecord {
  const [min = '0', max = '0'] = words(hash['t']);
  const [chainAtMs = '0', ...chain] = words(hash['c']);
  const addressWords = words(hash['a']);
  const addresses = Object.fromEntries(
    addressWords.flatMap((word, index) => (index % 2 === 0 ? [[word, Number(addressWords[index + 1])]] : [])),
  );
  const lines = (hash['x'] ?? '').split('\n').filter((line) => line !== '');
  const core: HostCore = {
    firstSeenMs: Number(hash['f']),
    lastSeenMs: Number(hash['l']),
    lookups: Number(hash['n']),
    addresses,
    ttlSeconds: { min: Number(min), max: Number(max) },
    cnames: { atMs: Number(chainAtMs), chain },
    transitions: lines.map((line) => JSON.parse(line) as Transition), // written by transition() only
  };
  return toRecord(hostname, core, readEvidence(toRows(hash)));
}

function toRows(hash: Readonly<Record<string, string>>): readonly EvidenceRow[] {
  return Object.entries(hash).flatMap(([field, value]) => {
    if (!field.includes('|')) return [];
    const [first, last, lookups] = words(value).map(Number);
    return [{ field, usage: { firstSeenMs: first ?? 0, lastSeenMs: last ?? 0, lookups: lookups ?? 0 } }];
  });
}
