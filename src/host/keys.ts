/**
 * The keys in Redis. Everything of one host lies in one slot of a Redis cluster, by the hash tag in braces, and every
 * script touches one shard only.
 *
 * ```
 *   istio-discovery:3:{07}:host:<hostname>      hash, see redis-host.ts
 *   istio-discovery:3:{07}:pending:<hostname>   hash: evidence that waits to be attributed (see evidence-fields.ts) to
 *                                               "<first> <span> <lookups>"
 *   istio-discovery:3:{07}:shelf:<number>       hash: <hostname> empty; .<registrable domain> number of its hosts
 *   istio-discovery:3:{07}:shard                hash: hosts how many; what was not stored: lookups, examples
 *   istio-discovery:2:{07}:parents              set: parents whose children are not stored
 *   istio-discovery:2:{07}:batch:<source>       string: sequences recorded, highest first; expires BATCH_TTL_SECONDS
 *                                               after the source's last batch
 *   istio-discovery:2:{00}:rejections           hash: <reason> responses; <reason>|examples names
 *   istio-discovery:2:{00}:sources              hash: <source>|r SourceReport as JSON; <source>|n "<batches> <highest>"
 *   istio-discovery:2:{00}:blind                hash: <source>|<reason> [[from, until], …] as JSON
 *   istio-discovery:2:{00}:rules                hash: v version; r the rules, one a line
 *   istio-discovery:2:{00}:deletions            hash: <namespace>/<name> [reason, sinceMs, plans] as JSON
 *   istio-discovery:2:{00}:seen                 hash: <namespace>/<name> [host, namespace's uid, missing since] as JSON;
 *                                               cluster SeenCluster as JSON
 *   istio-discovery:2:{00}:tail                 string that expires: somebody watches; also the channel to watch
 *   istio-discovery:schema                      string: the version of the layout that is in use
 * ```
 * The number after the product is the version since which the layout has this kind of key. Before version 3 there were:
 *
 * ```
 *   istio-discovery:2:{07}:host:<hostname>      hash, see redis-migration.ts
 *   istio-discovery:2:{07}:hosts                sorted set of hostnames, all with score 0
 *   istio-discovery:2:{07}:domains              hash: <registrable domain> its hosts; |lookups, |examples
 * ```
 * and in version 1 the same of hosts, without domains, and the rejections, in shards by the whole name.
 *
 * Small hashes of small values are what Redis keeps most compactly (`hash-max-listpack-entries`,
 * `hash-max-listpack-value`): hence the shelves, and the pieces in redis-host.ts.
 */
export const SCHEMA = 3;
/** Of every version of the layout but the first. */
export const schemaKey = (): string => 'istio-discovery:schema';
export const SHARDS = 16;
/** Of a shard. */
export const SHELVES = 64;

/** A source is not heard of again after this: a collector's is one life of a process. */
export const BATCH_TTL_SECONDS = 30 * 86_400;

/** An older version whose hosts can be taken over. */
export type OldSchema = 1 | 2;

const tag = (shard: number): string => `{${String(shard).padStart(2, '0')}}`;
const keyOf = (version: number, shard: number, name: string): string =>
  `istio-discovery:${version}:${tag(shard)}:${name}`;

/** What comes before the name in {@link hostKey}. */
export const hostKeyPrefix = (shard: number): string => keyOf(3, shard, 'host:');
/** What comes before the name in {@link pendingKey}. */
export const pendingKeyPrefix = (shard: number): string => keyOf(3, shard, 'pending:');
export const hostKey = (hostname: string): string => hostKeyPrefix(shardOf(hostname)) + hostname;
export const pendingKey = (hostname: string): string => pendingKeyPrefix(shardOf(hostname)) + hostname;
export const shardKey = (shard: number): string => keyOf(3, shard, 'shard');
export const shelfKeys = (shard: number): readonly string[] =>
  Array.from({ length: SHELVES }, (_, shelf) => keyOf(3, shard, `shelf:${shelf}`));
/** Of the shelf that the host stands on. */
export const shelfKey = (hostname: string): string => {
  const hash = domainHash(hostname);
  return keyOf(3, hash % SHARDS, `shelf:${Math.floor(hash / SHARDS) % SHELVES}`);
};

export const batchKey = (shard: number, source: string): string => keyOf(2, shard, `batch:${source}`);
export const parentsKey = (shard: number): string => keyOf(2, shard, 'parents');
export const rejectionsKey = (): string => keyOf(2, 0, 'rejections');
export const sourcesKey = (): string => keyOf(2, 0, 'sources');
export const blindKey = (): string => keyOf(2, 0, 'blind');
export const tailKey = (): string => keyOf(2, 0, 'tail');
export const deletionsKey = (): string => keyOf(2, 0, 'deletions');
export const seenKey = (): string => keyOf(2, 0, 'seen');
export const rulesKey = (): string => keyOf(2, 0, 'rules');

export const oldHostKey = (version: OldSchema, shard: number, hostname: string): string =>
  keyOf(version, shard, `host:${hostname}`);
export const oldIndexKey = (version: OldSchema, shard: number): string => keyOf(version, shard, 'hosts');
export const oldDomainsKey = (version: OldSchema, shard: number): string => keyOf(version, shard, 'domains');
export const firstRejectionsKey = (): string => keyOf(1, 0, 'rejections');

export function shardOf(hostname: string): number {
  return domainHash(hostname) % SHARDS;
}

/**
 * FNV-1a over the last two labels (names are ASCII): all names of a registrable domain are in one shard and on one shelf,
 * whatever version of the Public Suffix List says where that domain begins.
 */
function domainHash(hostname: string): number {
  const start = hostname.lastIndexOf('.', hostname.lastIndexOf('.') - 1) + 1;
  let hash = 0x811c9dc5;
  for (let i = start; i < hostname.length; i++) hash = Math.imul(hash ^ hostname.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
