import { defaultStateDirectory, processEnvironment } from '../config/load.js';
import type { Configuration } from '../config/schema.js';
import type { HostStore } from '../host/host-store.js';
import type { RedisConnectionOptions } from '../host/redis-connection.js';
import type { RedisStoreOptions } from '../host/redis-store.js';
import type { Logger } from '../telemetry/logger.js';

const EMBEDDED = 'embedded://';

function storeUrl({ store }: Configuration): string {
  return store.url?.reveal() ?? `${EMBEDDED}${defaultStateDirectory(processEnvironment())}`;
}

/** Whether other processes can record into the same store. */
export function isSharedStore(configuration: Configuration): boolean {
  return !storeUrl(configuration).startsWith(EMBEDDED);
}

/**
 * What a command does with the store; an embedded one also while another process has it open.
 *
 * @param options `isLive`: it is about what another process records, so that one must have an embedded store open.
 */
export async function withStore<T>(
  configuration: Configuration,
  work: (store: HostStore) => Promise<T>,
  { isLive = false }: { readonly isLive?: boolean } = {},
): Promise<T> {
  const url = storeUrl(configuration);
  if (isLive && url.startsWith(EMBEDDED)) {
    const { connectStore } = await import('../host/store-socket.js');
    return work(connectStore(url.slice(EMBEDDED.length)));
  }
  const store = await openSharedStore(configuration);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** As {@link openStore}, for a command: an embedded one also while another process has it open. */
export async function openSharedStore(configuration: Configuration, log?: Logger): Promise<HostStore> {
  const url = storeUrl(configuration);
  if (!url.startsWith(EMBEDDED)) return openRedis(configuration, { log, mayTakeOver: false });
  const { useEmbeddedStore } = await import('../host/embedded-store.js');
  return useEmbeddedStore(url.slice(EMBEDDED.length), configuration.store);
}

/** Opens the store that the settings name; the embedded one in the user's state directory by default. */
export async function openStore(configuration: Configuration, log?: Logger): Promise<HostStore> {
  const url = storeUrl(configuration);
  // Loaded on demand: no role needs both, and the collector's memory counts on every DNS pod.
  if (url.startsWith(EMBEDDED)) {
    const { openEmbeddedStore } = await import('../host/embedded-store.js');
    return openEmbeddedStore(url.slice(EMBEDDED.length), configuration.store);
  }
  return openRedis(configuration, { log, mayTakeOver: true });
}

/** What lasts brings an older store up to date; a command must not do that to those that still run. */
async function openRedis(
  configuration: Configuration,
  { log, mayTakeOver }: { readonly log: Logger | undefined; readonly mayTakeOver: boolean },
): Promise<HostStore> {
  const { openRedisStore } = await import('../host/redis-store.js');
  let wasConnected: boolean | undefined;
  const options: RedisStoreOptions = {
    ...redisOptions(configuration, storeUrl(configuration)),
    mayTakeOver,
    onConnection: ({ connected, err }) => {
      if (connected === wasConnected) return;
      wasConnected = connected;
      if (connected) log?.info({}, 'Redis connected');
      else log?.warn({ err }, 'Redis is away');
    },
  };
  return openRedisStore(options, configuration.store);
}

export function redisOptions(configuration: Configuration, url: string): RedisConnectionOptions {
  const { password, sentinelPassword, ...settings } = configuration.store;
  return { ...settings, url, password: password?.reveal(), sentinelPassword: sentinelPassword?.reveal() };
}
