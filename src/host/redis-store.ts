import type { Hostname } from '../dns/hostname.js';
import type { RejectionCount } from '../observation/rejection.js';
import { pendingField } from './evidence-fields.js';
import { addChild, applyDecision, applyFlag, applyPort, applyQuarantine, proposedCore } from './host-core.js';
import type { HostRecord, HostSummary } from './host-record.js';
import {
  NO_OVERFLOW,
  STORE_LIMITS,
  type EvidenceAttribution,
  type FlagChange,
  type HostDecision,
  type HostStore,
  type HostTransition,
  type ParentQuarantine,
  type PortEvidence,
  type RecordBatch,
  type StoreLimits,
  type StoreOverflow,
  type StoreStatistics,
  type WildcardProposal,
} from './host-store.js';
import {
  BATCH_TTL_SECONDS,
  batchKey,
  domainsKey,
  hostsKey,
  overflowKey,
  parentsKey,
  pendingKey,
  rejectionsKey,
  SCHEMA,
  shardOf,
  SHARDS,
  sourcesKey,
  workloadsKey,
} from './keys.js';
import { LedgerStore } from './ledger-store.js';
import { groupObservations } from './observation-group.js';
import type { TailBatch } from './observation-feed.js';
import { RedisCalls } from './redis-calls.js';
import { RedisConnection, type RedisConnectionOptions } from './redis-connection.js';
import { editHosts } from './redis-edit.js';
import { shortWorkloadField } from './redis-evidence.js';
import { readHost } from './redis-host.js';
import { RedisLedger } from './redis-ledger.js';
import { listHosts, listSummaries } from './redis-list.js';
import { toRecordCalls } from './redis-record.js';
import { RedisSchema } from './redis-schema.js';
import { STATE_LETTERS, writeTransition } from './redis-story.js';
import { RedisTail } from './redis-tail.js';
import { registrableDomain } from './registrable-domain.js';

/**
 * Opens a store in Redis (6.2 or newer). Returns at once: while Redis is away, calls fail with HOST_STORE_UNAVAILABLE and
 * the connection is tried again for ever.
 */
export function openRedisStore(options: RedisStoreOptions, limits: StoreLimits = STORE_LIMITS): HostStore {
  return new RedisStore(options, limits);
}

export interface RedisStoreOptions extends RedisConnectionOptions {
  /** Whether a store of an older layout is brought up to date (the default), or refused with HOST_STORE_SCHEMA. */
  readonly mayTakeOver?: boolean;
}

class RedisStore extends LedgerStore implements HostStore {
  readonly #connection: RedisConnection;
  readonly #limits: StoreLimits;
  readonly #schema: RedisSchema;
  readonly #calls: RedisCalls;
  protected readonly ledger: RedisLedger;
  readonly #tail: RedisTail;

  constructor({ mayTakeOver = true, ...options }: RedisStoreOptions, limits: StoreLimits) {
    super();
    const connection = new RedisConnection(options);
    this.#connection = connection;
    this.#limits = limits;
    this.#schema = new RedisSchema(connection, { mayTakeOver });
    this.#calls = new RedisCalls(connection, () => this.#schema.check());
    this.ledger = new RedisLedger(this.#calls);
    this.#tail = new RedisTail(connection);
  }

  async record(batch: RecordBatch): Promise<void> {
    const { source, sequence, observations, rejections } = batch;
    const recordCalls = toRecordCalls(groupObservations(observations), batch, this.#limits);
    await this.#calls.run((of) => {
      for (const { shard, keys, args } of recordCalls) of(shard).recordObservations(keys, ...args);
      // A key of its own: the same sequence is recorded for the hosts of this shard.
      const keys = [batchKey(0, `${source}:all`), rejectionsKey(), sourcesKey()];
      of(0).countBatch(keys, sequence, BATCH_TTL_SECONDS, source, ...toCounts(rejections));
    });
    void this.#tail.publish(observations);
  }

  async countRejections(counts: readonly RejectionCount[]): Promise<void> {
    await this.#calls.run((of) => of(0).countRejections([rejectionsKey()], ...toCounts(counts)));
  }

  tail(signal: AbortSignal): AsyncIterable<TailBatch> {
    return this.#tail.subscribe(signal);
  }

  list(): AsyncGenerator<HostRecord> {
    return listHosts(this.#calls, this.#schema);
  }

  summaries(): AsyncGenerator<HostSummary> {
    return listSummaries(this.#calls, this.#schema);
  }

  async get(hostname: Hostname): Promise<HostRecord | undefined> {
    const [reply = ''] = await this.#calls.read([hostname]);
    return readHost(hostname, reply);
  }

  async attribute(attributions: readonly EvidenceAttribution[]): Promise<void> {
    await this.#calls.runEach(attributions, (of, { hostname, evidence, workload, attribution }) => {
      const fields = [pendingField(evidence), shortWorkloadField(workload, attribution)];
      of(shardOf(hostname)).attributeEvidence(keysOf(hostname), hostname, ...fields);
    });
  }

  async dismiss(evidence: readonly Pick<EvidenceAttribution, 'hostname' | 'evidence'>[]): Promise<void> {
    await this.#calls.runEach(evidence, (of, { hostname, evidence: one }) => {
      of(shardOf(hostname)).attributeEvidence(keysOf(hostname), hostname, pendingField(one), '');
    });
  }

  async transition(transitions: readonly HostTransition[]): Promise<void> {
    await this.#calls.runEach(transitions, (of, { hostname, from, to, reason, atMs }) => {
      const line = writeTransition({ state: to, reason, atMs });
      of(shardOf(hostname)).transitionHost([hostsKey(shardOf(hostname))], hostname, STATE_LETTERS[from], line);
    });
  }

  async setFlags(changes: readonly FlagChange[]): Promise<void> {
    await editHosts(this.#calls, changes, (core, change) => core && applyFlag(core, change));
  }

  async notePorts(ports: readonly PortEvidence[]): Promise<void> {
    await editHosts(this.#calls, ports, (core, port) => core && applyPort(core, port));
  }

  async propose(proposals: readonly WildcardProposal[]): Promise<void> {
    await editHosts(this.#calls, proposals, (core, proposal) =>
      core === undefined ? proposedCore(proposal) : undefined,
    );
  }

  async decide(decision: HostDecision): Promise<HostRecord | undefined> {
    const { hostname, atMs } = decision;
    await editHosts(this.#calls, [decision], (core, one) => {
      const isNewWildcard = core === undefined && hostname.startsWith('*.');
      const known = isNewWildcard ? proposedCore({ reason: 'person', atMs }) : core;
      return known && applyDecision(known, one);
    });
    if (hostname.startsWith('*.') && (decision.kind === 'approve' || decision.kind === 'unignore')) {
      await this.#calls.call((client) => client.srem(parentsKey(shardOf(hostname)), hostname.slice('*.'.length)));
    }
    return this.get(hostname);
  }

  async quarantine(parents: readonly ParentQuarantine[]): Promise<void> {
    await editHosts(this.#calls, parents, (core, { atMs }) => applyQuarantine(core, atMs));
    for (const { hostname, children } of parents) {
      const shard = shardOf(hostname);
      await this.#calls.call((client) => client.sadd(parentsKey(shard), hostname.slice('*.'.length)));
      await this.#calls.runEach(children, (of, child) => {
        const keys = [...keysOf(child), pendingKey(hostname), workloadsKey(hostname), domainsKey(child)];
        of(shard).foldChild(keys, child, hostname, registrableDomain(child));
      });
    }
  }

  async forget(hosts: readonly Pick<HostRecord, 'hostname' | 'lastSeenMs'>[]): Promise<void> {
    await this.#calls.runEach(hosts, (of, { hostname, lastSeenMs }) => {
      const keys = [...keysOf(hostname), domainsKey(hostname)];
      of(shardOf(hostname)).forgetHost(keys, hostname, registrableDomain(hostname), lastSeenMs);
    });
  }

  async statistics(): Promise<StoreStatistics> {
    const startMs = performance.now();
    const replies = await this.#calls.pipeline((of) => {
      for (let shard = 0; shard < SHARDS; shard++) {
        of(shard).hlen(hostsKey(shard));
        of(shard).hmget(overflowKey(shard), 'lookups', 'examples');
      }
    });
    let [hosts, overflow] = [0, NO_OVERFLOW];
    for (let at = 0; at < replies.length; at += 2) {
      hosts += Number(replies[at]);
      overflow = addOverflow(overflow, replies[at + 1] as readonly (string | null)[]); // HMGET's reply
    }
    return { kind: 'redis', schema: SCHEMA, hosts, overflow, latencyMs: performance.now() - startMs };
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** Those of a host itself. */
const keysOf = (hostname: Hostname): readonly string[] => [
  hostsKey(shardOf(hostname)),
  pendingKey(hostname),
  workloadsKey(hostname),
];

function addOverflow(sum: StoreOverflow, [lookups, names]: readonly (string | null)[]): StoreOverflow {
  const examples = (names ?? '').split(' ').filter((name) => name !== '');
  return { lookups: sum.lookups + Number(lookups ?? 0), examples: examples.reduce(addChild, sum.examples) };
}

function toCounts(rejections: readonly RejectionCount[]): readonly (string | number)[] {
  return rejections.flatMap(({ reason, responses, examples }) => [reason, responses, examples.join(' ')]);
}
