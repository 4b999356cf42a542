import type { Hostname } from '../dns/hostname.js';
import type { RejectionCount } from '../observation/rejection.js';
import { pendingField } from './evidence-fields.js';
import { joinCores, mergeUsage } from './host-core.js';
import type { Usage } from './host-record.js';
import { HostStoreError } from './host-store-error.js';
import {
  BATCH_TTL_SECONDS,
  batchKey,
  domainsKey,
  hostsKey,
  overflowKey,
  pendingKey,
  rejectionsKey,
  shardOf,
  SHARDS,
  sourcesKey,
  workloadsKey,
} from './keys.js';
import { MAX_TEXT_WORKLOADS } from './lua/text.js';
import {
  firstRejectionsKey,
  OLD_SCHEMAS,
  oldCountsKey,
  oldHostKey,
  oldIndexKeys,
  oldPendingKey,
  type OldSchema,
} from './old-keys.js';
import type { RedisCalls } from './redis-calls.js';
import { shortWorkloadField, writeUsage } from './redis-evidence.js';
import { readCore, readEvidence, readReply, writeHost } from './redis-host.js';
import { readRejections } from './redis-ledger.js';
import { readOldCore, readOldEvidence, type OldHash } from './redis-old-host.js';
import { readPieces, readPiecesEvidence } from './redis-old-pieces.js';
import { registrableDomain } from './registrable-domain.js';

/** Hosts that are taken over in one round trip. */
const PAGE_HOSTS = 200;
/** Each failure means that somebody changed a host meanwhile, or took it over. */
const MAX_FAILURES = 100;
/** Between field and value in what lua/move.ts compares. */
const SEPARATOR = '\0';

/** Hosts of an older layout whose names are in one key. */
interface OldIndex {
  readonly version: OldSchema;
  readonly shard: number;
  readonly key: string;
}

/**
 * Takes over what older versions of the program have stored, one host after the other: whenever this is stopped, what is
 * left is where it was, and who comes next goes on. Several may do it at once. What an old program that still runs
 * stores later is added by the next call.
 *
 * @param calls that do not wait for this to be done.
 */
export async function takeOver(calls: RedisCalls): Promise<void> {
  for (const version of OLD_SCHEMAS) {
    for (const index of await oldIndexes(calls, version)) {
      await takeOverIndex(calls, index);
    }
  }
  await calls.run((of) => {
    for (let shard = 0; shard < SHARDS; shard++) {
      of(shard).moveCounts([oldCountsKey(2, shard), overflowKey(shard)], '|lookups', '|examples');
      of(shard).moveCounts([oldCountsKey(3, shard), overflowKey(shard)], 'lookups', 'examples');
    }
  });
  await takeOverRejections(calls);
}

/** The version that there is something of to be taken over; of several the oldest. */
export async function findOld(calls: RedisCalls): Promise<OldSchema | undefined> {
  if ((await calls.call((client) => client.exists(firstRejectionsKey()))) === 1) return 1;
  for (const version of OLD_SCHEMAS) if (await hasOld(calls, version)) return version;
  return undefined;
}

async function hasOld(calls: RedisCalls, version: OldSchema): Promise<boolean> {
  const found = await calls.pipeline((of) => {
    for (let shard = 0; shard < SHARDS; shard++) {
      const counts = version === 1 ? [] : [oldCountsKey(version, shard)];
      of(shard).exists(...oldIndexKeys(version, shard), ...counts);
    }
  });
  return found.some((count) => count !== 0);
}

async function oldIndexes(calls: RedisCalls, version: OldSchema): Promise<readonly OldIndex[]> {
  const all = Array.from({ length: SHARDS }, (_, shard) => shard).flatMap((shard) =>
    oldIndexKeys(version, shard).map((key): OldIndex => ({ version, shard, key })),
  );
  const found = await calls.pipeline((of) => {
    for (const { shard, key } of all) of(shard).exists(key);
  });
  return all.filter((_, at) => found[at] === 1);
}

async function takeOverIndex(calls: RedisCalls, index: OldIndex): Promise<void> {
  for (let failures = 0; ;) {
    const names = await readNames(calls, index);
    if (names.length === 0) {
      if (index.version !== 3) return; // the last name took the key with it
      const [isEnded] = await calls.run((of) => of(index.shard).endIndex([index.key]));
      if (isEnded === 1) return;
      continue;
    }
    const moved = await takeOverHosts(calls, index, names);
    failures = moved.includes(1) ? 0 : failures + 1;
    if (failures > MAX_FAILURES)
      throw new HostStoreError('HOST_STORE_UNAVAILABLE', 'hosts change too fast to be moved');
  }
}

/** Some of the names. */
async function readNames(calls: RedisCalls, { version, key }: OldIndex): Promise<readonly Hostname[]> {
  if (version !== 3) {
    return (await calls.call((client) => client.zrange(key, '0', String(PAGE_HOSTS - 1)))) as Hostname[]; // by record()
  }
  const fields = (await calls.call((client) => client.hkeys(key))) as Hostname[]; // by record(), and counts of domains
  return fields.filter((field) => !field.startsWith('.')).slice(0, PAGE_HOSTS);
}

async function takeOverHosts(
  calls: RedisCalls,
  { version, shard, key }: OldIndex,
  names: readonly Hostname[],
): Promise<readonly unknown[]> {
  const oldKeysOf = (name: Hostname): readonly [string, string] => [
    oldHostKey(version, shard, name),
    oldPendingKey(version, shard, name),
  ];
  const hashes = (await calls.pipeline((of) => {
    for (const name of names) for (const oldKey of oldKeysOf(name)) of(shard).hgetall(oldKey);
  })) as OldHash[];
  const replies = await calls.read(names);
  return calls.run((of) => {
    for (const [at, name] of names.entries()) {
      const [hash = {}, pendingHash = {}] = hashes.slice(2 * at, 2 * at + 2);
      const reply = replies[at] ?? '';
      const keys = [...oldKeysOf(name), key, hostsKey(shardOf(name)), pendingKey(name), workloadsKey(name), domainsKey(name)]; // prettier-ignore
      const read = [hash, pendingHash].flatMap((fields) => Object.entries(fields).flat()).join(SEPARATOR);
      const { text, pending, workloads } = joinHost({ version, hash: { ...hash, ...pendingHash }, reply });
      const domain = name.startsWith('*.') ? '' : registrableDomain(name);
      const remove = version === 3 ? 'HDEL' : 'ZREM';
      of(shard).moveHost(keys, name, domain, read, reply, remove, text, pending.length, ...pending, ...workloads);
    }
  });
}

interface Moved {
  /** Empty when there is no such host. */
  readonly text: string;
  /** Fields and values, alternating. */
  readonly pending: readonly string[];
  /** Those that the text has no room for. */
  readonly workloads: readonly string[];
}

interface OldHost {
  readonly version: OldSchema;
  readonly hash: OldHash;
  /** What the store has of the host since, by lua/read.ts. */
  readonly reply: string;
}

/** A host of an older layout, and what the store has of it since. */
function joinHost({ version, hash, reply }: OldHost): Moved {
  const oldCore = version === 3 ? readPieces(hash) : readOldCore(hash);
  if (oldCore === undefined) return { text: '', pending: [], workloads: [] };
  const host = readReply(reply);
  const known = readCore(host.text);
  const core = known === undefined ? oldCore : joinCores(known, oldCore);
  const evidence = [readEvidence(host), version === 3 ? readPiecesEvidence(hash) : readOldEvidence(hash)];
  const pending = joinRows(evidence.flatMap((one) => one.pending), pendingField); // prettier-ignore
  const workloads = joinRows(
    evidence.flatMap((one) => one.workloads),
    ({ workload, attribution }) => shortWorkloadField(workload, attribution),
  );
  return {
    text: writeHost(core, workloads),
    pending: pending.flat(),
    workloads: workloads.slice(MAX_TEXT_WORKLOADS).flat(),
  };
}

function joinRows<R extends Usage>(
  rows: readonly R[],
  fieldOf: (row: R) => string,
): readonly (readonly [field: string, usage: string])[] {
  const joined = new Map<string, Usage>();
  for (const row of rows) joined.set(fieldOf(row), mergeUsage(joined.get(fieldOf(row)), row));
  return Array.from(joined, ([field, usage]) => [field, writeUsage(usage)]);
}

/** As one batch, which counts once. */
async function takeOverRejections(calls: RedisCalls): Promise<void> {
  const old = await calls.call((client) => client.hgetall(firstRejectionsKey()));
  if (Object.keys(old).length === 0) return;
  const source = 'version-1';
  const counts = readRejections(old).flatMap(({ reason, responses, examples }: RejectionCount) => [
    reason,
    responses,
    examples.join(' '),
  ]);
  await calls.run((of) => {
    const keys = [batchKey(0, `${source}:all`), rejectionsKey(), sourcesKey()];
    of(0).countBatch(keys, 1, BATCH_TTL_SECONDS, source, ...counts);
  });
  await calls.call((client) => client.hdel(sourcesKey(), `${source}|n`));
  await calls.call((client) => client.del(firstRejectionsKey()));
}
