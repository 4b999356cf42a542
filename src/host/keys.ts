/**
 * The keys in Redis. Everything of one host lies in one slot of a Redis cluster, by the hash tag in braces, and every
 * script touches one shard only.
 *
 * ```
 *   istio-discovery:4:{07}:hosts                 hash: <hostname> what is known of it, see redis-host.ts
 *   istio-discovery:4:{07}:pending:<hostname>    hash: evidence that waits to be attributed (see evidence-fields.ts) to
 *                                                "<first> <span> <lookups>"
 *   istio-discovery:4:{07}:workloads:<hostname>  hash: the same of the workloads that the text has no room for
 *   istio-discovery:4:{07}:domains:<number>      hash: <registrable domain> number of its hosts
 *   istio-discovery:4:{07}:overflow              hash: what was not stored: lookups, examples
 *   istio-discovery:2:{07}:parents               set: parents whose children are not stored
 *   istio-discovery:2:{07}:batch:<source>        string: sequences recorded, highest first; expires BATCH_TTL_SECONDS
 *                                                after the source's last batch
 *   istio-discovery:2:{00}:rejections            hash: <reason> responses; <reason>|examples names
 *   istio-discovery:2:{00}:sources               hash: <source>|r SourceReport as JSON; <source>|n "<batches> <highest>"
 *   istio-discovery:2:{00}:blind                 hash: <source>|<reason> [[from, until], …] as JSON
 *   istio-discovery:2:{00}:rules                 hash: v version; r the rules, one a line
 *   istio-discovery:2:{00}:deletions             hash: <namespace>/<name> [reason, sinceMs, plans] as JSON
 *   istio-discovery:2:{00}:seen                  hash: <namespace>/<name> [host, namespace's uid, missing since] as JSON;
 *                                                cluster SeenCluster as JSON
 *   istio-discovery:2:{00}:tail                  string that expires: somebody watches; also the channel to watch
 *   istio-discovery:schema                       string: the version of the layout that is in use
 * ```
 * The number after the product is the version since which the layout has this kind of key. Older ones are in old-keys.ts.
 *
 * A host is one field of one large hash, and not a key, because what Redis takes for a key is nearly as much as what is
 * known of a host. Domains are in small hashes, which Redis keeps most compactly (`hash-max-listpack-entries`).
 */
export const SCHEMA = 4;
/** Of every version of the layout but the first. */
export const schemaKey = (): string => 'istio-discovery:schema';
export const SHARDS = 16;
/** Hashes of domains in a shard. */
const DOMAIN_HASHES = 32;

/** A source is not heard of again after this: a collector's is one life of a process. */
export const BATCH_TTL_SECONDS = 30 * 86_400;

const tag = (shard: number): string => `{${String(shard).padStart(2, '0')}}`;
export const keyOf = (version: number, shard: number, name: string): string =>
  `istio-discovery:${version}:${tag(shard)}:${name}`;

export const hostsKey = (shard: number): string => keyOf(4, shard, 'hosts');
/** What comes before the name in {@link pendingKey}. */
export const pendingKeyPrefix = (shard: number): string => keyOf(4, shard, 'pending:');
export const pendingKey = (hostname: string): string => pendingKeyPrefix(shardOf(hostname)) + hostname;
/** What comes before the name in {@link workloadsKey}. */
export const workloadsKeyPrefix = (shard: number): string => keyOf(4, shard, 'workloads:');
export const workloadsKey = (hostname: string): string => workloadsKeyPrefix(shardOf(hostname)) + hostname;
export const overflowKey = (shard: number): string => keyOf(4, shard, 'overflow');
/** Of the hash that counts the hosts of the host's domain. */
export const domainsKey = (hostname: string): string => {
  const hash = domainHash(hostname);
  return keyOf(4, hash % SHARDS, `domains:${Math.floor(hash / SHARDS) % DOMAIN_HASHES}`);
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

export function shardOf(hostname: string): number {
  return domainHash(hostname) % SHARDS;
}

/**
 * FNV-1a over the last two labels (names are ASCII): all names of a registrable domain are in one shard and counted in
 * one hash, whatever version of the Public Suffix List says where that domain begins.
 */
function domainHash(hostname: string): number {
  const start = hostname.lastIndexOf('.', hostname.lastIndexOf('.') - 1) + 1;
  let hash = 0x811c9dc5;
  for (let i = start; i < hostname.length; i++) hash = Math.imul(hash ^ hostname.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
