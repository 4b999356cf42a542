import { HostStoreError } from './host-store-error.js';

export interface RedisEndpoint {
  readonly host: string;
  readonly port: number;
}

/** Where a Redis is, as its URL says. */
export interface RedisLocation {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** One server, the sentinels, or some nodes of the cluster. */
  readonly endpoints: readonly RedisEndpoint[];
  /** The name that sentinels know the master by; empty for the other kinds. */
  readonly master: string;
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26_379;

const AUTHORITY = String.raw`(?:(?<credentials>[^@/]*)@)?(?<hosts>[^/?#@]+)`;
const FORMS: Readonly<Record<RedisLocation['kind'], RegExp>> = {
  single: new RegExp(String.raw`^(?<scheme>rediss?)://${AUTHORITY}(?:/(?<database>\d{1,4})?)?$`),
  sentinel: new RegExp(
    String.raw`^(?<scheme>rediss?)\+sentinel://${AUTHORITY}/(?<master>[^/?#]+)(?:/(?<database>\d{1,4})?)?$`,
  ),
  cluster: new RegExp(String.raw`^(?<scheme>rediss?)\+cluster://${AUTHORITY}/?$`),
};
const ENDPOINT = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/;

/**
 * Reads the URL of a Redis:
 *
 * ```
 *   redis://[user[:password]@]host[:port][/database]                      one server
 *   redis+sentinel://[user[:password]@]host[:port],…/name[/database]      the master `name` of these sentinels
 *   redis+cluster://[user[:password]@]host[:port],…                       a cluster, by some of its nodes
 * ```
 * `rediss` instead of `redis` is TLS. User and password are percent-encoded.
 *
 * @throws HostStoreError HOST_STORE_URL; the message holds no part of the URL, which may have a password in it.
 */
export function parseRedisUrl(url: string): RedisLocation {
  for (const kind of ['single', 'sentinel', 'cluster'] as const) {
    const parts = FORMS[kind].exec(url)?.groups;
    if (parts === undefined) continue;
    const endpoints = (parts['hosts'] ?? '').split(',').map((host) => parseEndpoint(host, kind));
    if (kind === 'single' && endpoints.length > 1) throw refused('several hosts need redis+sentinel or redis+cluster');
    return {
      kind,
      tls: parts['scheme'] === 'rediss',
      endpoints,
      master: decode(parts['master'] ?? ''),
      database: Number(parts['database'] ?? 0),
      ...parseCredentials(parts['credentials']),
    };
  }
  throw refused('it is not redis://host, redis+sentinel://host,host/name or redis+cluster://host,host');
}

function parseEndpoint(text: string, kind: string): RedisEndpoint {
  const match = ENDPOINT.exec(text);
  const port = Number(match?.[2] ?? (kind === 'sentinel' ? DEFAULT_SENTINEL_PORT : DEFAULT_PORT));
  if (match?.[1] === undefined || port < 1 || port > 65_535) throw refused('a host is not of the form host:port');
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

function parseCredentials(text: string | undefined): Pick<RedisLocation, 'username' | 'password'> {
  if (text === undefined || text === '') return { username: undefined, password: undefined };
  const colon = text.indexOf(':');
  const username = colon < 0 ? text : text.slice(0, colon);
  return {
    username: username === '' ? undefined : decode(username),
    password: colon < 0 ? undefined : decode(text.slice(colon + 1)),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused('a % is followed by no two hexadecimal digits');
  }
}

function refused(why: string): HostStoreError {
  return new HostStoreError('HOST_STORE_URL', `cannot use the URL of the store: ${why}`);
}
