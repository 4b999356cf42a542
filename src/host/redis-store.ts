import type { ChainableCommander } from 'ioredis';
import type { Hostname } from '../dns/hostname.js';
import { EVIDENCE_SLOT_MS, type Observation } from '../observation/observation.js';
import type { Rejection, RejectionCount } from '../observation/rejection.js';
import { pendingField, readEvidence, workloadField, type EvidenceRow } from './evidence-fields.js';
import { DAY_MS, toRecord, type HostCore } from './host-core.js';
import type { HostRecord, Transition } from './host-record.js';
import type { EvidenceAttribution, HostStore, HostTransition, RecordBatch } from './host-store.js';
import { BATCH_TTL_SECONDS, batchKey, hostKey, indexKey, rejectionsKey, shardOf, SHARDS } from './keys.js';
import { ATTRIBUTE } from './lua/attribute.js';
import { RECORD } from './lua/record.js';
import { REJECT } from './lua/reject.js';
import { TRANSITION } from './lua/transition.js';
import { RedisConnection, type RedisConnectionOptions } from './redis-connection.js';

const PAGE_HOSTS = 500;

/**
 * Opens a store in Redis (6.2 or newer). Returns at once: while Redis is away, calls fail with HOST_STORE_UNAVAILABLE and
 * the connection is tried again for ever.
 */
export function openRedisStore(options: RedisConnectionOptions): HostStore {
  return new RedisStore(new RedisConnection(options));
}

interface Scripts {
  recordObservations(keys: number, ...args: (string | number)[]): ChainableCommander;
  countRejections(keys: number, ...args: (string | number)[]): ChainableCommander;
  attributeEvidence(keys: number, ...args: (string | number)[]): ChainableCommander;
  transitionHost(keys: number, ...args: (string | number)[]): ChainableCommander;
}

type Scripted = ChainableCommander & Scripts;

class RedisStore implements HostStore {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    const { client } = connection;
    client.defineCommand('recordObservations', { lua: RECORD });
    client.defineCommand('countRejections', { lua: REJECT });
    client.defineCommand('attributeEvidence', { lua: ATTRIBUTE });
    client.defineCommand('transitionHost', { lua: TRANSITION });
  }

  async record({ source, sequence, observations, rejections }: RecordBatch): Promise<void> {
    const shards = groupByShard(observations);
    await this.#run((of) => {
      for (const [shard, group] of shards) {
        const keys = [batchKey(shard, source), indexKey(shard), ...group.map(({ hostname }) => hostKey(hostname))];
        of(shard).recordObservations(keys.length, ...keys, sequence, BATCH_TTL_SECONDS, ...group.flatMap(toArguments));
      }
      if (rejections.length === 0) return;
      const counts = rejections.flatMap(({ reason, responses, examples }) => [reason, responses, examples.join(' ')]);
      // A key of its own: the same sequence is recorded for hosts and for rejections.
      of(0).countRejections(
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
      const names = await this.#connection.call(() =>
        this.#connection.client.zrange(indexKey(shard), after, '+', 'BYLEX', 'LIMIT', 0, PAGE_HOSTS),
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
    await this.#run((of) => {
      for (const { hostname, evidence, workload, attribution } of attributions) {
        of(shardOf(hostname)).attributeEvidence(
          1,
          hostKey(hostname),
          pendingField(evidence),
          workloadField(workload, attribution),
        );
      }
    });
  }

  async transition(transitions: readonly HostTransition[]): Promise<void> {
    await this.#run((of) => {
      for (const { hostname, from, to, reason, atMs } of transitions) {
        const line = JSON.stringify({ state: to, reason, atMs } satisfies Transition);
        of(shardOf(hostname)).transitionHost(1, hostKey(hostname), from, to, line);
      }
    });
  }

  async rejections(): Promise<readonly RejectionCount[]> {
    const hash = await this.#connection.call(() => this.#connection.client.hgetall(rejectionsKey()));
    return Object.keys(hash)
      .filter((field) => !field.includes('|'))
      .sort()
      .map((reason) => ({
        reason: reason as Rejection, // written by record() only
        responses: Number(hash[reason]),
        examples: (hash[`${reason}|examples`] ?? '').split(' ').filter((name) => name !== ''),
      }));
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** The hashes of hosts of one shard. */
  async #hashes(names: readonly string[]): Promise<readonly Record<string, string>[]> {
    const replies = await this.#connection.pipeline((of) => {
      for (const name of names) of(shardOf(name)).hgetall(hostKey(name));
    });
    return replies as Record<string, string>[]; // HGETALL's replies
  }

  async #run(fill: (of: (shard: number) => Scripts) => void): Promise<void> {
    await this.#connection.pipeline((of) => fill((shard) => of(shard) as Scripted)); // see the constructor
  }
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
