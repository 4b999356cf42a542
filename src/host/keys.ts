/**
 * The keys in Redis. Everything of one host lies in one slot of a Redis cluster, by the hash tag in braces, and every
 * script touches one shard only.
 *
 * ```
 *   istio-discovery:2:{07}:host:<hostname>    hash, see lua/record.ts
 *   istio-discovery:2:{07}:hosts              sorted set of hostnames, all with score 0, so in order of the name
 *   istio-discovery:2:{07}:domains            hash: <registrable domain> its hosts; what was not stored: |lookups, |examples
 *   istio-discovery:2:{07}:parents            set: parents whose children are not stored
 *   istio-discovery:2:{07}:batch:<source>     string: sequences recorded, highest first; expires BATCH_TTL_SECONDS
 *                                             after the source's last batch
 *   istio-discovery:2:{00}:rejections         hash: <reason> responses; <reason>|examples names
 *   istio-discovery:2:{00}:sources            hash: <source>|r SourceReport as JSON; <source>|n "<batches> <highest>"
 *   istio-discovery:2:{00}:blind              hash: <source>|<reason> [[from, until], …] as JSON
 *   istio-discovery:2:{00}:rules              hash: v version; r the rules, one a line
 *   istio-discovery:2:{00}:tail               string that expires: somebody watches; also the channel to watch
 *   istio-discovery:schema                    string: the version of the layout that is in use
 * ```
 * The number after the product is the version of this layout.
 */
export const SCHEMA = 2;
/** Of every version of the layout. */
export const schemaKey = (): string => 'istio-discovery:schema';
/** What version 1 had, which wrote no {@link schemaKey}. */
export const FIRST_SCHEMA = 1;
export const firstSchemaIndexKey = (shard: number): string => `istio-discovery:1:${tag(shard)}:hosts`;
const PREFIX = `istio-discovery:${SCHEMA}`;
export const SHARDS = 16;

/** A source is not heard of again after this: a collector's is one life of a process. */
export const BATCH_TTL_SECONDS = 30 * 86_400;

const tag = (shard: number): string => `{${String(shard).padStart(2, '0')}}`;

export const hostKey = (hostname: string): string => `${PREFIX}:${tag(shardOf(hostname))}:host:${hostname}`;
export const indexKey = (shard: number): string => `${PREFIX}:${tag(shard)}:hosts`;
export const batchKey = (shard: number, source: string): string => `${PREFIX}:${tag(shard)}:batch:${source}`;
export const domainsKey = (shard: number): string => `${PREFIX}:${tag(shard)}:domains`;
export const parentsKey = (shard: number): string => `${PREFIX}:${tag(shard)}:parents`;
/** What comes before the name in {@link hostKey}. */
export const hostKeyPrefix = (shard: number): string => `${PREFIX}:${tag(shard)}:host:`;
export const rejectionsKey = (): string => `${PREFIX}:${tag(0)}:rejections`;

export const sourcesKey = (): string => `${PREFIX}:${tag(0)}:sources`;
export const blindKey = (): string => `${PREFIX}:${tag(0)}:blind`;
export const tailKey = (): string => `${PREFIX}:${tag(0)}:tail`;
export const rulesKey = (): string => `${PREFIX}:${tag(0)}:rules`;

/**
 * FNV-1a over the last two labels (names are ASCII): all names of a registrable domain are in one shard, whatever version
 * of the Public Suffix List says where that domain begins.
 */
export function shardOf(hostname: string): number {
  const start = hostname.lastIndexOf('.', hostname.lastIndexOf('.') - 1) + 1;
  let hash = 0x811c9dc5;
  for (let i = start; i < hostname.length; i++) hash = Math.imul(hash ^ hostname.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % SHARDS;
}
