import { freePort } from './free-port.js';
import { startRedis, type Redis } from './redis.js';

/** PEM files of a Redis that speaks TLS beside its plain port. Its clients need no certificate. */
export interface RedisTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A Redis, and the port on which its clients and its like speak to it. */
export interface RedisNode {
  readonly redis: Redis;
  readonly port: number;
}

/** Settings of Redis, also of sentinels, names and values. */
export function tlsSettings({ ca, cert, key }: RedisTls, port: number): Readonly<Record<string, string>> {
  return {
    'tls-port': String(port),
    'tls-ca-cert-file': ca,
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-auth-clients': 'no',
    'tls-replication': 'yes',
  };
}

/** Starts a Redis with these options, which speaks TLS if files for it are given. */
export async function startRedisNode(args: readonly string[], tls: RedisTls | undefined): Promise<RedisNode> {
  if (tls === undefined) {
    const redis = await startRedis({ args });
    return { redis, port: redis.port };
  }
  const port = await freePort();
  const settings = Object.entries(tlsSettings(tls, port)).flatMap(([name, value]) => [`--${name}`, value]);
  return { redis: await startRedis({ args: [...args, ...settings] }), port };
}

/** What tells `redis-cli` to speak TLS. */
export const tlsCliArguments = (tls: RedisTls | undefined): readonly string[] =>
  tls === undefined ? [] : ['--tls', '--cacert', tls.ca];
