import { keyOf } from './keys.js';

/**
 * The keys of older versions of the layout in Redis, as far as they differ:
 *
 * ```
 *   istio-discovery:3:{07}:host:<hostname>      hash, see redis-old-pieces.ts
 *   istio-discovery:3:{07}:pending:<hostname>   hash: what waits to be attributed
 *   istio-discovery:3:{07}:shelf:<number>       hash: <hostname> empty; .<registrable domain> number of its hosts
 *   istio-discovery:3:{07}:shard                hash: hosts how many; lookups, examples of what was not stored
 *   istio-discovery:2:{07}:host:<hostname>      hash, see redis-old-host.ts
 *   istio-discovery:2:{07}:hosts                sorted set of hostnames, all with score 0
 *   istio-discovery:2:{07}:domains              hash: <registrable domain> its hosts; |lookups, |examples
 * ```
 * and in version 1 the same as in 2 of hosts, without domains, and the rejections, in shards by the whole name.
 */
export const OLD_SCHEMAS = [1, 2, 3] as const;
/** An older version whose hosts can be taken over. */
export type OldSchema = (typeof OLD_SCHEMAS)[number];

const SHELVES = 64;

export const oldHostKey = (version: OldSchema, shard: number, hostname: string): string =>
  keyOf(version, shard, `host:${hostname}`);
/** Before version 3 there was no such key. */
export const oldPendingKey = (version: OldSchema, shard: number, hostname: string): string =>
  keyOf(version, shard, `pending:${hostname}`);
/** Of what has the names of all hosts of a shard. */
export const oldIndexKeys = (version: OldSchema, shard: number): readonly string[] =>
  version === 3
    ? Array.from({ length: SHELVES }, (_, shelf) => keyOf(3, shard, `shelf:${shelf}`))
    : [keyOf(version, shard, 'hosts')];
/** Of what an older layout counted of hosts that were not stored. */
export const oldCountsKey = (version: 2 | 3, shard: number): string =>
  keyOf(version, shard, version === 3 ? 'shard' : 'domains');
export const firstRejectionsKey = (): string => keyOf(1, 0, 'rejections');
