import type { ChainableCommander } from 'ioredis';
import type { Hostname } from '../dns/hostname.js';
import type { Rejection, RejectionCount } from '../observation/rejection.js';
import {
  addBoundedInterval,
  BLIND_REASONS,
  type BlindReason,
  type BlindWindow,
  type Interval,
} from './blind-window.js';
import { pendingField, workloadField } from './evidence-fields.js';
import {
  addChild,
  applyDecision,
  applyFlag,
  applyPort,
  applyQuarantine,
  proposedCore,
  type HostCore,
} from './host-core.js';
import { MAX_DAYS, type HostRecord } from './host-record.js';
import { formatRule, readRules, type HostRule } from './host-rule.js';
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
  type StoredRules,
  type StoreLimits,
  type StoreOverflow,
  type StoreStatistics,
  type WildcardProposal,
} from './host-store.js';
import { HostStoreError } from './host-store-error.js';
import {
  BATCH_TTL_SECONDS,
  batchKey,
  blindKey,
  domainsKey,
  hostKey,
  hostKeyPrefix,
  indexKey,
  parentsKey,
  rejectionsKey,
  rulesKey,
  FIRST_SCHEMA,
  firstSchemaIndexKey,
  SCHEMA,
  schemaKey,
  shardOf,
  SHARDS,
  sourcesKey,
} from './keys.js';
import { ATTRIBUTE } from './lua/attribute.js';
import { COMPARE_AND_SET } from './lua/compare-and-set.js';
import { COUNT_BATCH } from './lua/count-batch.js';
import { FOLD } from './lua/fold.js';
import { FORGET } from './lua/forget.js';
import { RECORD } from './lua/record.js';
import { TRANSITION } from './lua/transition.js';
import { groupObservations, type ObservationGroup } from './observation-group.js';
import type { TailBatch } from './observation-feed.js';
import { RedisTail } from './redis-tail.js';
import { RedisConnection, type RedisConnectionOptions } from './redis-connection.js';
import { readCore, readHost, writeCore, writeTransition, type HostHash } from './redis-host.js';
import { registrableDomain } from './registrable-domain.js';
import { expiredSources, mergeReports, toSourceStatus, type SourceReport, type SourceStatus } from './source.js';

const PAGE_HOSTS = 500;
/** Each failure means that somebody else's change took place. */
const MAX_EDIT_FAILURES = 100;

/**
 * Opens a store in Redis (6.2 or newer). Returns at once: while Redis is away, calls fail with HOST_STORE_UNAVAILABLE and
 * the connection is tried again for ever.
 */
export function openRedisStore(options: RedisConnectionOptions, limits: StoreLimits = STORE_LIMITS): HostStore {
  return new RedisStore(new RedisConnection(options), limits);
}

interface Scripts {
  recordObservations(keys: number, ...args: (string | number)[]): ChainableCommander;
  countBatch(keys: number, ...args: (string | number)[]): ChainableCommander;
  attributeEvidence(keys: number, ...args: (string | number)[]): ChainableCommander;
  transitionHost(keys: number, ...args: (string | number)[]): ChainableCommander;
  compareAndSet(keys: number, ...args: (string | number)[]): ChainableCommander;
  foldChild(keys: number, ...args: (string | number)[]): ChainableCommander;
  forgetHost(keys: number, ...args: (string | number)[]): ChainableCommander;
}

interface ListedPage {
  readonly records: readonly HostRecord[];
  /** Where the next page begins; undefined: this was the last. */
  readonly after: string | undefined;
}

type Scripted = ChainableCommander & Scripts;

class RedisStore implements HostStore {
  readonly #connection: RedisConnection;
  readonly #limits: StoreLimits;
  readonly #tail: RedisTail;
  #isSchemaChecked = false;

  constructor(connection: RedisConnection, limits: StoreLimits) {
    this.#connection = connection;
    this.#limits = limits;
    this.#tail = new RedisTail(connection);
    const { client } = connection;
    client.defineCommand('recordObservations', { lua: RECORD });
    client.defineCommand('countBatch', { lua: COUNT_BATCH });
    client.defineCommand('attributeEvidence', { lua: ATTRIBUTE });
    client.defineCommand('transitionHost', { lua: TRANSITION });
    client.defineCommand('compareAndSet', { lua: COMPARE_AND_SET });
    client.defineCommand('foldChild', { lua: FOLD });
    client.defineCommand('forgetHost', { lua: FORGET });
  }

  async record({ source, sequence, observations, rejections }: RecordBatch): Promise<void> {
    const shards = groupByShard(groupObservations(observations));
    await this.#run((of) => {
      for (const [shard, group] of shards) {
        const keys = [
          batchKey(shard, source),
          indexKey(shard),
          domainsKey(shard),
          parentsKey(shard),
          ...group.map(({ hostname }) => hostKey(hostname)),
        ];
        const { maxHostsPerDomain, maxHosts } = this.#limits;
        const most = [maxHostsPerDomain, Math.ceil((2 * maxHosts) / SHARDS)];
        const args: (string | number)[] = [sequence, BATCH_TTL_SECONDS, hostKeyPrefix(shard), ...most];
        for (const one of group) addArguments(args, one);
        of(shard).recordObservations(keys.length, ...keys, ...args);
      }
      const counts = rejections.flatMap(({ reason, responses, examples }) => [reason, responses, examples.join(' ')]);
      // A key of its own: the same sequence is recorded for the hosts of this shard.
      const keys = [batchKey(0, `${source}:all`), rejectionsKey(), sourcesKey()];
      of(0).countBatch(keys.length, ...keys, sequence, BATCH_TTL_SECONDS, source, ...counts);
    });
    void this.#tail.publish(observations);
  }

  tail(signal: AbortSignal): AsyncIterable<TailBatch> {
    return this.#tail.subscribe(signal);
  }

  async *list(): AsyncGenerator<HostRecord> {
    const cursors = Array.from(
      { length: SHARDS },
      (_, shard) => new ShardCursor((from) => this.#listPage(shard, from)),
    );
    await Promise.all(cursors.map((cursor) => cursor.turn()));
    for (;;) {
      const first = cursors[smallest(cursors)];
      const record = first?.head;
      if (first === undefined || record === undefined) return;
      yield record;
      if (first.pass()) await first.turn();
    }
  }

  async #listPage(shard: number, from: string): Promise<ListedPage> {
    const names = await this.#call((client) =>
      client.zrange(indexKey(shard), from, '+', 'BYLEX', 'LIMIT', 0, PAGE_HOSTS),
    );
    const hashes = await this.#hashes(names);
    // Only hostnames are indexed.
    const records = names.flatMap((name, index) => readHost(name as Hostname, hashes[index]) ?? []);
    const last = names.length < PAGE_HOSTS ? undefined : names.at(-1);
    return { records, after: last === undefined ? undefined : `(${last}` };
  }

  async get(hostname: Hostname): Promise<HostRecord | undefined> {
    const [hash] = await this.#hashes([hostname]);
    return readHost(hostname, hash);
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
        const line = writeTransition({ state: to, reason, atMs });
        of(shardOf(hostname)).transitionHost(1, hostKey(hostname), from, to, line);
      }
    });
  }

  async setFlags(changes: readonly FlagChange[]): Promise<void> {
    await this.#editHosts(changes, (core, change) => core && applyFlag(core, change));
  }

  async notePorts(ports: readonly PortEvidence[]): Promise<void> {
    await this.#editHosts(ports, (core, port) => core && applyPort(core, port));
  }

  async propose(proposals: readonly WildcardProposal[]): Promise<void> {
    await this.#editHosts(proposals, (core, proposal) => (core === undefined ? proposedCore(proposal) : undefined));
  }

  async decide(decision: HostDecision): Promise<HostRecord | undefined> {
    const { hostname, atMs } = decision;
    await this.#editHosts([decision], (core, one) => {
      const isNewWildcard = core === undefined && hostname.startsWith('*.');
      const known = isNewWildcard ? proposedCore({ reason: 'person', atMs }) : core;
      return known && applyDecision(known, one);
    });
    if (hostname.startsWith('*.') && (decision.kind === 'approve' || decision.kind === 'unignore')) {
      await this.#call((client) => client.srem(parentsKey(shardOf(hostname)), hostname.slice('*.'.length)));
    }
    return this.get(hostname);
  }

  async quarantine(parents: readonly ParentQuarantine[]): Promise<void> {
    await this.#editHosts(parents, (core, { atMs }) => applyQuarantine(core, atMs));
    for (const { hostname, children } of parents) {
      const shard = shardOf(hostname);
      await this.#call((client) => client.sadd(parentsKey(shard), hostname.slice('*.'.length)));
      for (let start = 0; start < children.length; start += PAGE_HOSTS) {
        await this.#run((of) => {
          for (const child of children.slice(start, start + PAGE_HOSTS)) {
            const keys = [hostKey(child), hostKey(hostname), indexKey(shard), domainsKey(shard)];
            of(shard).foldChild(keys.length, ...keys, child, registrableDomain(child));
          }
        });
      }
    }
  }

  async forget(hosts: readonly Pick<HostRecord, 'hostname' | 'lastSeenMs'>[]): Promise<void> {
    await this.#run((of) => {
      for (const { hostname, lastSeenMs } of hosts) {
        const shard = shardOf(hostname);
        const keys = [hostKey(hostname), indexKey(shard), domainsKey(shard)];
        of(shard).forgetHost(keys.length, ...keys, hostname, registrableDomain(hostname), lastSeenMs);
      }
    });
  }

  async reportSource(report: SourceReport): Promise<SourceStatus> {
    const { source } = report;
    const field = `${source}|r`;
    const isNew = await this.#editField(sourcesKey(), field, (text) =>
      JSON.stringify(mergeReports(text === '' ? undefined : (JSON.parse(text) as SourceReport), report)),
    );
    if (isNew) await this.#forgetSources(report.untilMs);
    const [text, counts] = await this.#call((client) => client.hmget(sourcesKey(), field, `${source}|n`));
    return readSource(source, text, counts);
  }

  /** When a new one comes, those that are long gone go. */
  async #forgetSources(nowMs: number): Promise<void> {
    const expired = expiredSources(await this.sources(), nowMs);
    if (expired.length === 0) return;
    await this.#call((client) => client.hdel(sourcesKey(), ...expired.flatMap((name) => [`${name}|r`, `${name}|n`])));
    const reasons = Object.keys(BLIND_REASONS);
    const windows = expired.flatMap((name) => reasons.map((reason) => `${name}|${reason}`));
    await this.#call((client) => client.hdel(blindKey(), ...windows));
  }

  async sources(): Promise<readonly SourceStatus[]> {
    const hash = await this.#call((client) => client.hgetall(sourcesKey()));
    const names = new Set(Object.keys(hash).map((field) => field.slice(0, field.lastIndexOf('|'))));
    return [...names].sort().map((name) => readSource(name, hash[`${name}|r`], hash[`${name}|n`]));
  }

  async recordBlindWindow({ source, reason, fromMs, untilMs }: BlindWindow): Promise<void> {
    await this.#editField(blindKey(), `${source}|${reason}`, (text) =>
      JSON.stringify(addBoundedInterval(readIntervals(text), [fromMs, untilMs])),
    );
  }

  async blindWindows(): Promise<readonly BlindWindow[]> {
    const hash = await this.#call((client) => client.hgetall(blindKey()));
    return Object.keys(hash)
      .sort()
      .flatMap((field) => {
        const split = field.lastIndexOf('|');
        const source = field.slice(0, split);
        const reason = field.slice(split + 1) as BlindReason; // by recordBlindWindow()
        return readIntervals(hash[field] ?? '').map(([fromMs, untilMs]) => ({ source, reason, fromMs, untilMs }));
      });
  }

  async rules(): Promise<StoredRules> {
    const [version, text] = await this.#call((client) => client.hmget(rulesKey(), 'v', 'r'));
    return readRules({ version: Number(version ?? 0), rules: (text ?? '').split('\n').filter((line) => line !== '') });
  }

  async setRules(rules: readonly HostRule[], version: number): Promise<boolean> {
    const [storedVersion, text] = await this.#call((client) => client.hmget(rulesKey(), 'v', 'r'));
    if (Number(storedVersion ?? 0) !== version) return false;
    const fields = ['v', storedVersion ?? '', String(version + 1), 'r', text ?? '', rules.map(formatRule).join('\n')];
    const [isSet] = await this.#run((of) => {
      of(0).compareAndSet(2, rulesKey(), rulesKey(), '', ...fields);
    });
    return isSet === 1;
  }

  async statistics(): Promise<StoreStatistics> {
    const startMs = performance.now();
    const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
    const counts = await this.#pipeline((of) => {
      for (const shard of shards) of(shard).zcard(indexKey(shard));
    });
    const dropped = await this.#pipeline((of) => {
      for (const shard of shards) of(shard).hmget(domainsKey(shard), '|lookups', '|examples');
    });
    const hosts = counts.reduce<number>((sum, count) => sum + Number(count), 0);
    const overflow = (dropped as (string | null)[][]).reduce(addOverflow, NO_OVERFLOW); // HMGET's replies
    return { kind: 'redis', schema: SCHEMA, hosts, overflow, latencyMs: performance.now() - startMs };
  }

  async rejections(): Promise<readonly RejectionCount[]> {
    const hash = await this.#call((client) => client.hgetall(rejectionsKey()));
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

  /**
   * Changes hosts by a pure function of what is stored, and again those that somebody else changed meanwhile.
   * `apply` gives the new core; undefined when nothing is to be changed.
   */
  async #editHosts<C extends { readonly hostname: Hostname }>(
    changes: readonly C[],
    apply: (core: HostCore | undefined, change: C) => HostCore | undefined,
  ): Promise<void> {
    // By shard, so that the replies of a cluster come in the same order.
    let open = groupByHost(changes).toSorted(([a], [b]) => shardOf(a) - shardOf(b));
    for (let failures = 0; open.length > 0;) {
      const page = open.slice(0, PAGE_HOSTS);
      const hashes = await this.#hashes(page.map(([hostname]) => hostname));
      const edits = page.flatMap((group, index) => toEdit(group, hashes[index] ?? {}, apply) ?? []);
      const isSet = await this.#run((of) => {
        for (const { hostname, isNew, fields } of edits) {
          const shard = shardOf(hostname);
          of(shard).compareAndSet(2, hostKey(hostname), indexKey(shard), isNew ? hostname : '', ...fields);
        }
      });
      const failed = new Set(edits.filter((_, index) => isSet[index] !== 1).map(({ hostname }) => hostname));
      failures = failed.size === 0 ? 0 : failures + 1;
      if (failures > MAX_EDIT_FAILURES) throw tooBusy('hosts');
      open = [...page.filter(([hostname]) => failed.has(hostname)), ...open.slice(PAGE_HOSTS)];
    }
  }

  /** Changes one field of a hash by a pure function of what it holds; true when it held nothing. */
  async #editField(key: string, field: string, apply: (text: string) => string): Promise<boolean> {
    for (let failures = 0; failures <= MAX_EDIT_FAILURES; failures++) {
      const text = (await this.#call((client) => client.hget(key, field))) ?? '';
      const [isSet] = await this.#run((of) => {
        of(0).compareAndSet(2, key, key, '', field, text, apply(text));
      });
      if (isSet === 1) return text === '';
    }
    throw tooBusy(field);
  }

  async #call<T>(command: (client: RedisConnection['client']) => Promise<T>): Promise<T> {
    await this.#checkSchema();
    return this.#connection.call(() => command(this.#connection.client));
  }

  async #pipeline(fill: (of: (shard: number) => ChainableCommander) => void): Promise<readonly unknown[]> {
    await this.#checkSchema();
    return this.#connection.pipeline(fill);
  }

  /**
   * Before anything else: what another version of the program has stored must neither be overlooked nor be damaged.
   *
   * @throws HostStoreError HOST_STORE_SCHEMA
   */
  async #checkSchema(): Promise<void> {
    if (this.#isSchemaChecked) return;
    const { client } = this.#connection;
    const known = await this.#connection.call(() => client.get(schemaKey()));
    const schema = known ?? (await this.#findFirstSchema());
    if (schema !== null && schema !== String(SCHEMA)) throw schemaError(schema);
    if (known === null) await this.#connection.call(() => client.set(schemaKey(), String(SCHEMA), 'NX'));
    this.#isSchemaChecked = true;
  }

  async #findFirstSchema(): Promise<string | null> {
    const found = await this.#connection.pipeline((of) => {
      for (let shard = 0; shard < SHARDS; shard++) of(shard).exists(firstSchemaIndexKey(shard));
    });
    return found.includes(1) ? String(FIRST_SCHEMA) : null;
  }

  /** The hashes of hosts that are sorted by shard, in their order. */
  async #hashes(names: readonly string[]): Promise<readonly HostHash[]> {
    const replies = await this.#pipeline((of) => {
      for (const name of names) of(shardOf(name)).hgetall(hostKey(name));
    });
    return replies as HostHash[]; // HGETALL's replies
  }

  /** Sends scripts in one round trip and gives their replies, those of one shard in their order. */
  async #run(fill: (of: (shard: number) => Scripts) => void): Promise<readonly unknown[]> {
    return this.#pipeline((of) => fill((shard) => of(shard) as Scripted)); // see the constructor
  }
}

function schemaError(found: string): HostStoreError {
  const way =
    Number(found) > SCHEMA
      ? 'use the version of istio-discovery that wrote it'
      : `use another database, or delete the keys istio-discovery:${found}:* and istio-discovery:schema and learn anew`;
  return new HostStoreError('HOST_STORE_SCHEMA', `Redis holds schema ${found}, expected ${SCHEMA}: ${way}`);
}

/** A report as reportSource() writes it, and counts as lua/count-batch.ts does. */
function readSource(source: string, text: string | null | undefined, counts: string | null | undefined): SourceStatus {
  const [batches = 0, highestSequence = 0] = (counts ?? '0 0').split(' ').map(Number);
  const report = text === null || text === undefined ? {} : { report: JSON.parse(text) as SourceReport };
  return toSourceStatus(source, { ...report, batches, highestSequence });
}

function addOverflow(sum: StoreOverflow, [lookups, names]: readonly (string | null)[]): StoreOverflow {
  const examples = (names ?? '').split(' ').filter((name) => name !== '');
  return { lookups: sum.lookups + Number(lookups ?? 0), examples: examples.reduce(addChild, sum.examples) };
}

function tooBusy(what: string): HostStoreError {
  return new HostStoreError('HOST_STORE_UNAVAILABLE', `${what}: others change it faster than it can be edited`);
}

function groupByShard(groups: readonly ObservationGroup[]): ReadonlyMap<number, ObservationGroup[]> {
  const shards = new Map<number, ObservationGroup[]>();
  for (const group of groups) {
    const shard = shardOf(group.hostname);
    const known = shards.get(shard);
    if (known === undefined) shards.set(shard, [group]);
    else known.push(group);
  }
  return shards;
}

/** As `lua/record.ts` reads them. */
function addArguments(to: (string | number)[], group: ObservationGroup): void {
  to.push(
    group.hostname,
    group.firstMs,
    group.lastMs,
    group.lookups,
    group.minTtl,
    group.maxTtl,
    joinPairs(group.addresses, ' '),
    group.chain === '' ? group.chainMinute : `${group.chainMinute} ${group.chain}`,
    joinPairs(newestDays(group.days), ':'),
    registrableDomain(group.hostname),
    group.rows.size,
  );
  for (const [field, { dayField, firstMs, lastMs, lookups }] of group.rows) {
    to.push(field, dayField, firstMs, lastMs, lookups);
  }
}

/** In the order in which they are stored. */
function newestDays(days: ObservationGroup['days']): ReadonlyMap<number, number> {
  return days.size < 2 ? days : new Map([...days].sort(([a], [b]) => b - a).slice(0, MAX_DAYS));
}

function joinPairs(pairs: ReadonlyMap<string | number, number>, separator: string): string {
  let text = '';
  for (const [key, value] of pairs) text += `${text === '' ? '' : ' '}${key}${separator}${value}`;
  return text;
}

/** Reads the hosts of a shard page by page, the next one while this one is looked at. */
class ShardCursor {
  readonly #read: (from: string) => Promise<ListedPage>;
  #next: Promise<ListedPage> | undefined;
  #records: readonly HostRecord[] = [];
  #index = 0;

  constructor(read: (from: string) => Promise<ListedPage>) {
    this.#read = read;
    this.#next = read('-');
    this.#next.catch(() => undefined); // thrown at the first turn
  }

  /** The record that comes next; undefined at the end. */
  get head(): HostRecord | undefined {
    return this.#records[this.#index];
  }

  /** Goes on by one; true when the page is at its end. */
  pass(): boolean {
    this.#index += 1;
    return this.#index >= this.#records.length;
  }

  /** Goes to the next page that has records. */
  async turn(): Promise<void> {
    do {
      const page = await this.#next;
      this.#records = page?.records ?? [];
      this.#index = 0;
      this.#next = page?.after === undefined ? undefined : this.#read(page.after);
      this.#next?.catch(() => undefined); // thrown at the next turn, unless nobody reads on
    } while (this.#records.length === 0 && this.#next !== undefined);
  }
}

/** Index of the shard whose next record comes first by name; -1 when all are done. */
function smallest(cursors: readonly ShardCursor[]): number {
  let first = -1;
  let name = '';
  // Once for each host: an iterator would cost more than the comparison.
  for (let index = 0; index < cursors.length; index++) {
    const head = cursors[index]?.head;
    if (head === undefined || (first >= 0 && head.hostname >= name)) continue;
    first = index;
    name = head.hostname;
  }
  return first;
}

type HostGroup<C> = readonly [hostname: Hostname, changes: readonly C[]];

function groupByHost<C extends { readonly hostname: Hostname }>(changes: readonly C[]): readonly HostGroup<C>[] {
  const groups = new Map<Hostname, C[]>();
  for (const change of changes) {
    const group = groups.get(change.hostname);
    if (group === undefined) groups.set(change.hostname, [change]);
    else group.push(change);
  }
  return [...groups];
}

interface HostEdit {
  readonly hostname: Hostname;
  readonly isNew: boolean;
  /** Name, value expected and value to set of each field that changes. */
  readonly fields: readonly string[];
}

function toEdit<C>(
  [hostname, changes]: HostGroup<C>,
  hash: HostHash,
  apply: (core: HostCore | undefined, change: C) => HostCore | undefined,
): HostEdit | undefined {
  const before = readCore(hash);
  const after = changes.reduce<HostCore | undefined>((core, change) => apply(core, change) ?? core, before);
  if (after === undefined || after === before) return undefined;
  const isNew = before === undefined;
  // The state is compared as well: a decision depends on it.
  const fields = Object.entries(writeCore(after, isNew)).flatMap(([name, value]) => {
    const known = hash[name] ?? '';
    return value === known && name !== 's' ? [] : [name, known, value];
  });
  return { hostname, isNew, fields };
}

function readIntervals(text: string): readonly Interval[] {
  return text === '' ? [] : (JSON.parse(text) as Interval[]); // by recordBlindWindow()
}
