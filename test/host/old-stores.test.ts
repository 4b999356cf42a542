import { ClassicLevel } from 'classic-level';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Hostname } from '../../src/dns/hostname.js';
import { openEmbeddedStore, useEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { overflowKey } from '../../src/host/keys.js';
import { oldCountsKey, oldIndexKeys } from '../../src/host/old-keys.js';
import { RedisCalls } from '../../src/host/redis-calls.js';
import { RedisConnection } from '../../src/host/redis-connection.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { ROOT } from '../support/command.js';
import { startPart } from '../support/process.js';
import { shareRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { batch, observation } from './host-store.contract.js';
import { expectedOf, readOld, stateOf, type OldStore } from './old-store.js';

const server = shareRedis();
const directory = createTemporaryDirectory();

async function fillRedis(commands: OldStore['redis']): Promise<void> {
  await server.admin.flushall();
  const pipeline = server.admin.pipeline();
  for (const [name, ...args] of commands) pipeline.call(name, ...args);
  await pipeline.exec();
}

async function fillLevel(path: string, entries: OldStore['embedded'] = []): Promise<void> {
  const level = new ClassicLevel<string, unknown>(path, { valueEncoding: 'json' });
  await level.open();
  const batch = level.batch();
  for (const [key, value] of entries) batch.put(key, value);
  await batch.write();
  await level.close();
}

/** Batches of version 1 expire by themselves. */
const oldKeys = async (): Promise<readonly string[]> =>
  (await server.admin.keys('istio-discovery:*')).filter((key) =>
    /:1:(?!.*:batch:)|:2:\{..\}:(?:host|hosts|domains)\b|:3:/.test(key),
  );

/** Many hosts of an older version, each as one of the recorded store, and where none but the name differs. */
function manyHosts({ redis }: OldStore, count: number): OldStore['redis'] {
  const model = redis.find(([, key = '']) => key.endsWith(':host:www.example.com')) ?? ['', ''];
  const [, key = '', ...fields] = model;
  const names = Array.from({ length: count }, (_, index) => `h${index}.example.com`);
  const [prefix = '', version = '', shard = ''] = /^istio-discovery:(.):(\{..\})/.exec(key) ?? [];
  const index: OldStore['redis'] =
    version === '3'
      ? [['hset', shelfOf(redis), ...names.flatMap((name) => [name, '']), '.example.com', String(count)]]
      : [['zadd', `${prefix}:hosts`, ...names.flatMap((name) => ['0', name])]];
  expect(shard).not.toBe('');
  return [
    ['set', 'istio-discovery:schema', version],
    ...index,
    ...names.map((name) => ['hset', `${prefix}:host:${name}`, ...fields] as const),
  ];
}

/** The shelf of `www.example.com`. */
const shelfOf = (redis: OldStore['redis']): string =>
  redis.find(([, key = '', ...fields]) => key.includes(':shelf:') && fields.includes('www.example.com'))?.[1] ?? '';

/** That a host which comes later has no room any more in the domain of those that were taken over. */
async function expectNoRoom(store: HostStore, old: OldStore): Promise<void> {
  const { lastSeenMs } = old.expected.hosts.find(({ hostname }) => hostname === 'www.example.com') ?? { lastSeenMs: 0 };
  const hostname = 'third.example.com' as Hostname; // valid by hand
  const later = observation({ hostname, firstObservedAtMs: lastSeenMs, lastObservedAtMs: lastSeenMs });
  await store.record(batch(1, [later], 'later'));
  expect(await store.get(hostname)).toBeUndefined();
  await store.close();
}

describe.each([1, 2, 3])('a store of version %i in Redis', (version) => {
  const old = readOld(version);

  it('is brought up to date, by several programs at once, and nothing is lost', async () => {
    await fillRedis(old.redis);
    const stores = [1, 2, 3].map(() => openRedisStore({ url: server.url }));
    const states = await Promise.all(stores.map((store) => stateOf(store, old)));
    for (const state of states) expect(state).toEqual(expectedOf(old));
    expect((await stores[0]?.statistics())?.hosts).toBe(old.expected.hosts.length);
    expect(await oldKeys()).toEqual([]);
    for (const store of stores) await store.close();
  });

  it('counts the hosts of its domains afterwards, so that caps hold', async () => {
    await fillRedis(old.redis);
    await expectNoRoom(openRedisStore({ url: server.url }, { maxHostsPerDomain: 2, maxHosts: 1000 }), old);
  });

  it('is refused by code and left as it is where a command only looks', async () => {
    await fillRedis(old.redis);
    const before = await contents();
    const store = openRedisStore({ url: server.url, mayTakeOver: false });
    await expect(stateOf(store, old)).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    await store.close();
    expect(await contents()).toEqual(before);
  });
});

/** What Redis holds, octet by octet. */
async function contents(): Promise<readonly (readonly [key: string, dump: string])[]> {
  const keys = (await server.admin.keys('*')).toSorted();
  return Promise.all(keys.map(async (key) => [key, (await server.admin.dumpBuffer(key)).toString('hex')] as const));
}

describe.each([1, 2])('a store of version %i in LevelDB', (version) => {
  const old = readOld(version);

  it('is brought up to date, and nothing is lost', async () => {
    const path = directory.file(`level-${version}`);
    await fillLevel(path, old.embedded);
    for (let opened = 0; opened < 2; opened++) {
      const store = await openEmbeddedStore(path);
      expect(await stateOf(store, old)).toEqual(expectedOf(old));
      await store.close();
    }
  });

  it('counts the hosts of its domains afterwards, so that caps hold', async () => {
    const path = directory.file(`caps-${version}`);
    await fillLevel(path, old.embedded);
    await expectNoRoom(await openEmbeddedStore(path, { maxHostsPerDomain: 2, maxHosts: 1000 }), old);
  });

  it('is refused by code and left as it is where a command only looks', async () => {
    const path = directory.file(`looked-at-${version}`);
    await fillLevel(path, old.embedded);
    await expect(useEmbeddedStore(path)).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    const level = new ClassicLevel<string, unknown>(path, { valueEncoding: 'json' });
    expect(await level.iterator().all()).toEqual(old.embedded);
    await level.close();
  });
});

describe.each([2, 3])('taking over version %i', (version) => {
  const old = readOld(version);
  const HOSTS = 6000;

  it('goes on in Redis after kill -9 half way', async () => {
    await fillRedis(manyHosts(old, HOSTS));
    const part = await startTakeOver('redis-store.js', server.url);
    const left = async (): Promise<number> => (await oldKeys()).length;
    await waitUntil(async () => (await left()) < HOSTS - 500, { what: 'the first hosts' });
    await part.kill('SIGKILL');
    expect(await left()).toBeGreaterThan(1);
    const stores = [openRedisStore({ url: server.url }), openRedisStore({ url: server.url })];
    const [first] = await Promise.all(stores.map(async (store) => lookupsOf(store)));
    const { lookups } = old.expected.hosts.find(({ hostname }) => hostname === 'www.example.com') ?? { lookups: 0 };
    expect(first).toEqual(Array.from({ length: HOSTS }, () => lookups));
    expect((await stores[0]?.statistics())?.hosts).toBe(HOSTS);
    expect(await oldKeys()).toEqual([]);
    for (const store of stores) await store.close();
  });

  it('adds in Redis what an old program that still runs stores later', async () => {
    await fillRedis(manyHosts(old, 2));
    const store = openRedisStore({ url: server.url });
    const before = await lookupsOf(store);
    const again = manyHosts(old, 3).filter(([name]) => name !== 'set');
    for (const [name, ...args] of again) await server.admin.call(name, ...args);
    const [each = 0] = before;
    expect(await lookupsOf(store)).toEqual([2 * each, 2 * each, each]);
    await store.close();
  });

  it('loses no look-up that is recorded while hosts are moved', async () => {
    await server.admin.flushall();
    const limits = { maxHostsPerDomain: 100_000, maxHosts: 100_000 };
    const recording = openRedisStore({ url: server.url }, limits);
    await recording.statistics(); // from now on it does not look for older layouts
    await fillRedis([...manyHosts(old, 500), ['set', 'istio-discovery:schema', '4']]);
    const moving = openRedisStore({ url: server.url }, limits);
    const progress = { isMoved: false };
    const moved = lookupsOf(moving).finally(() => (progress.isMoved = true));
    let recorded = 0;
    while (!progress.isMoved) {
      recorded += 1;
      const hostname = `h${(recorded * 37) % 500}.example.com` as Hostname; // valid by hand
      await recording.record(batch(recorded, [observation({ hostname })]));
    }
    await moved;
    const { lookups } = old.expected.hosts.find(({ hostname }) => hostname === 'www.example.com') ?? { lookups: 0 };
    const after = await lookupsOf(moving);
    expect(after.reduce((sum, one) => sum + one, 0)).toBe(500 * lookups + recorded);
    const [domains = ''] = await server.admin.keys('istio-discovery:4:*:domains:*');
    expect(await server.admin.hgetall(domains)).toEqual({ 'example.com': '500' });
    for (const store of [recording, moving]) await store.close();
  });
});

describe('taking over', () => {
  it('adds what an older version counted to what is counted since', async () => {
    await server.admin.flushall();
    await server.admin.hset(overflowKey(0), 'lookups', '2', 'examples', 'new.example.com');
    await server.admin.hset(oldCountsKey(3, 0), 'hosts', '0', 'lookups', '3', 'examples', 'old.example.com');
    const store = openRedisStore({ url: server.url });
    const overflow = { lookups: 5, examples: ['new.example.com', 'old.example.com'] };
    expect(await store.statistics()).toMatchObject({ overflow });
    expect(await server.admin.exists(oldCountsKey(3, 0))).toBe(0);
    await store.close();
  });

  it('ends an index of version 3 only when an old program has added no name to it meanwhile', async () => {
    await server.admin.flushall();
    const connection = new RedisConnection({ url: server.url });
    const calls = new RedisCalls(connection, async () => undefined);
    const [index = ''] = oldIndexKeys(3, 0);
    const end = async () => calls.run((of) => of(0).endIndex([index]));
    await server.admin.hset(index, 'www.example.com', '', '.example.com', '1');
    expect(await end()).toEqual([0]);
    expect(await server.admin.hlen(index)).toBe(2);
    await server.admin.hdel(index, 'www.example.com');
    expect(await end()).toEqual([1]);
    expect(await server.admin.exists(index)).toBe(0);
    await connection.close();
  });

  it('goes on in LevelDB after kill -9 half way', async () => {
    const path = directory.file('killed');
    const first = readOld(1);
    const core = first.embedded?.find(([key]) => key === 'host!www.example.com')?.[1];
    const hosts = Array.from({ length: 40_000 }, (_, index) => [`host!h${index}.example.com`, core] as const);
    await fillLevel(path, [['schema', 1], ...hosts]);
    const before = sizeOf(path);
    const part = await startTakeOver('embedded-store.js', path);
    await waitUntil(() => sizeOf(path) > before + 200_000, { what: 'the first hosts' });
    await part.kill('SIGKILL');
    const level = new ClassicLevel<string, unknown>(path, { valueEncoding: 'json' });
    expect(await level.get('schema')).toBe(1);
    await level.close();
    const store = await openEmbeddedStore(path);
    const lookups = await lookupsOf(store);
    expect([lookups.length, new Set(lookups).size]).toEqual([hosts.length, 1]);
    expect(await store.get('h1.example.com' as Hostname)).toMatchObject({ days: [], children: [] }); // valid by hand
    await store.close();
  });
});

const startTakeOver = (module: string, store: string) =>
  startPart({
    name: 'take-over',
    command: process.execPath,
    args: [join(ROOT, 'test', 'host', 'take-over-until-killed.fixture.mjs'), join(ROOT, 'dist', 'host', module), store],
    ready: () => true,
  });

async function lookupsOf(store: HostStore): Promise<readonly number[]> {
  const lookups: number[] = [];
  for await (const host of store.list()) lookups.push(host.lookups);
  return lookups;
}

const sizeOf = (path: string): number =>
  readdirSync(path).reduce((sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0), 0);
