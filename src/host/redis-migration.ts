import type { Hostname } from '../dns/hostname.js';
import { pendingField } from './evidence-fields.js';
import { joinCores } from './host-core.js';
import type { RejectionCount } from '../observation/rejection.js';
import { HostStoreError } from './host-store-error.js';
import {
  BATCH_TTL_SECONDS,
  batchKey,
  firstRejectionsKey,
  hostKey,
  oldDomainsKey,
  oldHostKey,
  oldIndexKey,
  pendingKey,
  rejectionsKey,
  shardKey,
  shardOf,
  SHARDS,
  shelfKey,
  sourcesKey,
  type OldSchema,
} from './keys.js';
import type { RedisCalls } from './redis-calls.js';
import { readRow, shortWorkloadField, writeUsage, isRow, type HostEvidence } from './redis-evidence.js';
import { parseHash, readCore, SEPARATOR, writeCore, type HostHash } from './redis-host.js';
import { readRejections } from './redis-ledger.js';
import { readOldCore, readOldEvidence } from './redis-old-host.js';
import { registrableDomain } from './registrable-domain.js';
import type { Usage } from './host-record.js';
import { mergeUsage } from './host-core.js';

/** Hosts that are taken over in one round trip. */
const PAGE_HOSTS = 200;
/** Each failure means that somebody changed a host meanwhile, or took it over. */
const MAX_FAILURES = 100;

/**
 * Takes over what older versions of the program have stored, one host after the other: whenever this is stopped, what is
 * left is where it was, and who comes next goes on. Several may do it at once. What an old program that still runs
 * stores later is added by the next call.
 *
 * @param calls that do not wait for this to be done.
 */
export async function takeOver(calls: RedisCalls, isCluster: boolean): Promise<void> {
  const versions: readonly OldSchema[] = [1, 2];
  for (const version of versions) {
    for (const shard of await oldShards(calls, version)) {
      if (version === 1 && isCluster) throw acrossSlots();
      await takeOverShard(calls, version, shard);
    }
  }
  await calls.run((of) => {
    for (let shard = 0; shard < SHARDS; shard++) of(shard).moveCounts([oldDomainsKey(2, shard), shardKey(shard)]);
  });
  await takeOverRejections(calls);
}

/** The shards that have something in an older layout. */
async function oldShards(calls: RedisCalls, version: OldSchema): Promise<readonly number[]> {
  const found = await calls.pipeline((of) => {
    for (let shard = 0; shard < SHARDS; shard++)
      of(shard).exists(oldIndexKey(version, shard), oldDomainsKey(version, shard));
  });
  return found.flatMap((exists, shard) => (exists === 0 ? [] : [shard]));
}

/** Whether there is anything to be taken over, and from which version. */
export async function findOld(calls: RedisCalls): Promise<OldSchema | undefined> {
  if ((await oldShards(calls, 2)).length > 0) return 2;
  const hasRejections = await calls.call((client) => client.exists(firstRejectionsKey()));
  return hasRejections === 1 || (await oldShards(calls, 1)).length > 0 ? 1 : undefined;
}

async function takeOverShard(calls: RedisCalls, version: OldSchema, shard: number): Promise<void> {
  for (let failures = 0; ;) {
    const index = oldIndexKey(version, shard);
    const names = (await calls.call((client) => client.zrange(index, '0', String(PAGE_HOSTS - 1)))) as Hostname[]; // by record()
    if (names.length === 0) return;
    const moved = await takeOverHosts(calls, { version, shard }, names);
    failures = moved.includes(1) ? 0 : failures + 1;
    if (failures > MAX_FAILURES)
      throw new HostStoreError('HOST_STORE_UNAVAILABLE', 'hosts change too fast to be moved');
  }
}

async function takeOverHosts(
  calls: RedisCalls,
  { version, shard }: { readonly version: OldSchema; readonly shard: number },
  names: readonly Hostname[],
): Promise<readonly unknown[]> {
  const oldHashes = (await calls.pipeline((of) => {
    for (const name of names) of(shard).hgetall(oldHostKey(version, shard, name));
  })) as HostHash[];
  const texts = await calls.texts(names);
  return calls.run((of) => {
    for (const [index, name] of names.entries()) {
      const [old, text] = [oldHashes[index] ?? {}, texts[index] ?? ''];
      const keys = [oldHostKey(version, shard, name), oldIndexKey(version, shard), hostKey(name), pendingKey(name), shelfKey(name), shardKey(shardOf(name))]; // prettier-ignore
      const domain = name.startsWith('*.') ? '' : registrableDomain(name);
      const { fields, pending } = joinHashes(old, parseHash(text));
      const read = [Object.entries(old).flat().join(SEPARATOR), text];
      of(shard).moveHost(keys, name, domain, ...read, fields.length, ...fields, ...pending);
    }
  });
}

interface Moved {
  /** Fields and values, alternating. */
  readonly fields: readonly string[];
  readonly pending: readonly string[];
}

/** A host of an older layout, and what the store has of it since. */
function joinHashes(old: HostHash, hash: HostHash): Moved {
  const oldCore = readOldCore(old);
  if (oldCore === undefined) return { fields: [], pending: [] };
  const known = readCore(hash);
  const core = known === undefined ? oldCore : joinCores(known, oldCore);
  const evidence: HostEvidence = { workloads: [], pending: [] };
  for (const field of Object.keys(hash)) if (isRow(field)) readRow(field, hash[field] ?? '', evidence);
  const more = readOldEvidence(old);
  const workloads = new Map<string, Usage>();
  for (const one of [...evidence.workloads, ...more.workloads]) {
    const field = shortWorkloadField(one.workload, one.attribution);
    workloads.set(field, mergeUsage(workloads.get(field), one));
  }
  const pending = new Map<string, Usage>();
  for (const one of [...evidence.pending, ...more.pending]) {
    pending.set(pendingField(one), mergeUsage(pending.get(pendingField(one)), one));
  }
  const waiting = pending.size === 0 ? [] : ['q', String(pending.size)];
  const texts = Object.entries(writeCore(core, true)).filter(([, value]) => value !== '');
  return { fields: [...texts.flat(), ...waiting, ...rowsOf(workloads)], pending: rowsOf(pending) };
}

const rowsOf = (rows: ReadonlyMap<string, Usage>): readonly string[] =>
  [...rows].flatMap(([field, usage]) => [field, writeUsage(usage)]);

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

function acrossSlots(): HostStoreError {
  const message =
    'schema 1 cannot be taken over within a cluster: delete the keys istio-discovery:1:* and learn anew, or take it over in a single Redis';
  return new HostStoreError('HOST_STORE_SCHEMA', message);
}
