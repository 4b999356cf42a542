import { RedisConnection, type RedisConnectionOptions } from './redis-connection.js';

/** How Redis keeps what it is given. */
export interface RedisInspection {
  /** Absent when the user may not ask. */
  readonly persistence?: 'append-only file' | 'none' | 'snapshots';
  /** `maxmemory-policy`. */
  readonly evictionPolicy?: string;
}

/**
 * Asks Redis whether it keeps its data over a restart and what it does when it is full. Writes nothing.
 *
 * @throws HostStoreError HOST_STORE_UNAVAILABLE and others when it cannot be reached
 */
export async function inspectRedis(options: RedisConnectionOptions): Promise<RedisInspection> {
  const connection = new RedisConnection(options);
  try {
    const info = await connection.call(() => connection.client.info());
    const isAppendOnly = field(info, 'aof_enabled') === '1';
    const evictionPolicy = field(info, 'maxmemory_policy');
    const persistence = isAppendOnly ? 'append-only file' : await readSnapshots(connection);
    return { ...(persistence && { persistence }), ...(evictionPolicy !== undefined && { evictionPolicy }) };
  } finally {
    await connection.close();
  }
}

/** CONFIG is a right of its own, and managed services do not have the command. */
async function readSnapshots(connection: RedisConnection): Promise<'none' | 'snapshots' | undefined> {
  try {
    const [, save] = (await connection.call(() => connection.client.config('GET', 'save'))) as readonly unknown[];
    return save === '' ? 'none' : 'snapshots';
  } catch {
    return undefined; // it was reached: only this is not known
  }
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
