import type { Hostname } from '../dns/hostname.js';
import type { HostRecord, HostSummary } from './host-record.js';
import { hostsKey, SHARDS } from './keys.js';
import type { RedisCalls } from './redis-calls.js';
import { readHost, readSummary } from './redis-host.js';
import type { RedisSchema } from './redis-schema.js';

/** Hosts that are read at once; a script reads what of them is in one shard. */
const PAGE_HOSTS = 512;
/** Pages that are on their way while one is looked at. */
const PAGES_AHEAD = 2;

/** Every host in order of its name. Only the names of all are held at once. */
export function listHosts(calls: RedisCalls, schema: RedisSchema): AsyncGenerator<HostRecord> {
  return listPages({ calls, schema }, readHost);
}

/** As {@link listHosts}, what a list shows of them. */
export function listSummaries(calls: RedisCalls, schema: RedisSchema): AsyncGenerator<HostSummary> {
  return listPages({ calls, schema }, readSummary);
}

async function* listPages<T>(
  { calls, schema }: { readonly calls: RedisCalls; readonly schema: RedisSchema },
  decode: (name: Hostname, reply: string) => T | undefined,
): AsyncGenerator<T> {
  await schema.checkAgain();
  const names = await listNames(calls);
  const pages: Promise<readonly T[]>[] = [];
  for (let from = 0; from < names.length || pages.length > 0;) {
    while (pages.length <= PAGES_AHEAD && from < names.length) {
      const page = readPage(calls, names.slice(from, from + PAGE_HOSTS), decode);
      page.catch(() => undefined); // thrown at its turn, unless nobody reads on
      pages.push(page);
      from += PAGE_HOSTS;
    }
    for (const host of (await pages.shift()) ?? []) yield host;
  }
  await schema.checkAgain(); // what a newer program took over meanwhile was not seen here: this was no whole list
}

async function readPage<T>(
  calls: RedisCalls,
  names: readonly Hostname[],
  decode: (name: Hostname, reply: string) => T | undefined,
): Promise<readonly T[]> {
  const replies = await calls.read(names);
  return names.flatMap((name, index) => decode(name, replies[index] ?? '') ?? []);
}

async function listNames(calls: RedisCalls): Promise<readonly Hostname[]> {
  const names = await calls.pipeline((of) => {
    for (let shard = 0; shard < SHARDS; shard++) of(shard).hkeys(hostsKey(shard));
  });
  return (names as Hostname[][]).flat().sort();
}
