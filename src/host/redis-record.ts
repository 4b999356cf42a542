import { registrableDomain } from './registrable-domain.js';
import type { ObservationGroup } from './observation-group.js';
import type { StoreLimits } from './host-store.js';
import {
  BATCH_TTL_SECONDS,
  batchKey,
  domainsKey,
  hostsKey,
  overflowKey,
  parentsKey,
  pendingKeyPrefix,
  shardOf,
  SHARDS,
} from './keys.js';
import { writeUsage } from './redis-evidence.js';
import { groupLines } from './redis-observed.js';

/** Keys and arguments of one call of `lua/record.ts`. */
export interface RecordCall {
  readonly shard: number;
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
}

/** What has to be called to record a batch, one call a shard. */
export function toRecordCalls(
  groups: readonly ObservationGroup[],
  { source, sequence }: { readonly source: string; readonly sequence: number },
  { maxHostsPerDomain, maxHosts }: StoreLimits,
): readonly RecordCall[] {
  return Array.from(groupByShard(groups), ([shard, some]): RecordCall => {
    const pending = pendingKeyPrefix(shard);
    const keys = [batchKey(shard, source), hostsKey(shard), overflowKey(shard), parentsKey(shard)];
    const most = [maxHostsPerDomain, Math.ceil((2 * maxHosts) / SHARDS)];
    const args: (string | number)[] = [sequence, BATCH_TTL_SECONDS, pending, ...most];
    for (const group of some) {
      keys.push(pending + group.hostname, domainsKey(group.hostname));
      addArguments(args, group);
    }
    return { shard, keys, args };
  });
}

function groupByShard(groups: readonly ObservationGroup[]): ReadonlyMap<number, readonly ObservationGroup[]> {
  const shards = new Map<number, ObservationGroup[]>();
  for (const group of groups) {
    const shard = shardOf(group.hostname);
    const known = shards.get(shard);
    if (known === undefined) shards.set(shard, [group]);
    else known.push(group);
  }
  return shards;
}

function addArguments(to: (string | number)[], group: ObservationGroup): void {
  to.push(group.hostname, registrableDomain(group.hostname), ...groupLines(group), group.rows.size);
  for (const [field, { dayField, firstMs, lastMs, lookups }] of group.rows) {
    to.push(field, dayField, writeUsage({ firstSeenMs: firstMs, lastSeenMs: lastMs, lookups }));
  }
}
