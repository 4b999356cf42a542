import { ClassicLevel } from 'classic-level';
import { Redis as Client } from 'ioredis';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Hostname } from '../../src/dns/hostname.js';
import { openEmbeddedStore, useEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostRecord } from '../../src/host/host-record.js';
import type { HostStore } from '../../src/host/host-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { ROOT } from '../support/command.js';
import { startPart } from '../support/process.js';
import { startRedis, type Redis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

/** Written by the programs of those versions: what they said of their store, and all that was in it. */
interface OldStore {
  readonly expected: { readonly hosts: readonly HostRecord[] } & Readonly<Record<string, unknown>>;
  /** Commands that fill a Redis. */
  readonly redis: readonly (readonly [string, ...string[]])[];
  readonly embedded: readonly (readonly [string, unknown])[];
}

const VERSIONS = [1, 2] as const;
const directory = createTemporaryDirectory();
let server: Redis;
let admin: Client;

beforeAll(async () => {
  server = await startRedis({ args: ['--appendonly', 'no'] });
  admin = new Client(server.url);
});

afterAll(async () => {
  await admin.quit();
  await server.stop();
});

function readOld(version: number): OldStore {
  return JSON.parse(readFileSync(join(ROOT, 'test', 'host', 'old-stores', `${version}.json`), 'utf8')) as OldStore;
}

/** What the program says of it now: version 1 had no days, flags, ports, decisions and children. */
function expectedOf({ expected }: OldStore) {
  const none = { days: [], flags: [], ports: [], decisions: [], children: [] };
  return { ...expected, hosts: expected.hosts.map((host) => ({ ...none, ...host })) };
}

async function stateOf(store: HostStore, { expected }: OldStore) {
  const hosts: HostRecord[] = [];
  for await (const host of store.list()) hosts.push(host);
  const rejections = await store.rejections();
  if (expected['sources'] === undefined) return { hosts, rejections };
  return { hosts, rejections, sources: await store.sources(), blindWindows: await store.blindWindows() };
}

async function fillRedis(commands: OldStore['redis']): Promise<void> {
  await admin.flushall();
  const pipeline = admin.pipeline();
  for (const [name, ...args] of commands) pipeline.call(name, ...args);
  await pipeline.exec();
}

async function fillLevel(path: string, entries: OldStore['embedded']): Promise<void> {
  const level = new ClassicLevel<string, unknown>(path, { valueEncoding: 'json' });
  await level.open();
  const batch = level.batch();
  for (const [key, value] of entries) batch.put(key, value);
  await batch.write();
  await level.close();
}

/** Batches of version 1 expire by themselves. */
const oldKeys = async (): Promise<readonly string[]> =>
  (await admin.keys('istio-discovery:*')).filter((key) =>
    /:1:(?!.*:batch:)|:2:\{..\}:(?:host|hosts|domains)\b/.test(key),
  );

/** Many hosts of version 2, each as the one of the recorded store, and where none but the name differs. */
function manyHosts({ redis }: OldStore, count: number): OldStore['redis'] {
  const [, , ...fields] = redis.find(([, key]) => key?.endsWith(':host:www.example.com') === true) ?? ['', ''];
  const names = Array.from({ length: count }, (_, index) => `h${index}.example.com`);
  const prefix = `istio-discovery:2:${/\{..\}/.exec(redis.find(([, key]) => key?.endsWith(':host:www.example.com') === true)?.[1] ?? '')?.[0] ?? ''}`; // prettier-ignore
  return [
    ['set', 'istio-discovery:schema', '2'],
    ['zadd', `${prefix}:hosts`, ...names.flatMap((name) => ['0', name])],
    ...names.map((name) => ['hset', `${prefix}:host:${name}`, ...fields] as const),
  ];
}

describe.each(VERSIONS)('a store of version %i', (version) => {
  const old = readOld(version);

  it('is brought up to date in Redis, by several programs at once, and nothing is lost', async () => {
    await fillRedis(old.redis);
    const stores = [1, 2, 3].map(() => openRedisStore({ url: server.url }));
    const states = await Promise.all(stores.map((store) => stateOf(store, old)));
    for (const state of states) expect(state).toEqual(expectedOf(old));
    expect((await stores[0]?.statistics())?.hosts).toBe(old.expected.hosts.length);
    expect(await oldKeys()).toEqual([]);
    for (const store of stores) await store.close();
  });

  it('is brought up to date in LevelDB, and nothing is lost', async () => {
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
    await fillRedis(old.redis);
    const limits = { maxHostsPerDomain: 2, maxHosts: 1000 };
    for (const store of [openRedisStore({ url: server.url }, limits), await openEmbeddedStore(path, limits)]) {
      const [known] = old.expected.hosts.filter(({ hostname }) => hostname === 'www.example.com');
      await store.record({
        source: 'later',
        sequence: 1,
        rejections: [],
        observations: [
          {
            hostname: 'third.example.com' as Hostname, // valid by hand
            client: '10.244.0.1',
            addresses: ['192.0.2.1'],
            ttlSeconds: { min: 1, max: 1 },
            cnames: [],
            firstObservedAtMs: known?.lastSeenMs ?? 0,
            lastObservedAtMs: known?.lastSeenMs ?? 0,
            lookups: 1,
            origin: 'dnstap',
          },
        ],
      });
      expect(await store.get('third.example.com' as Hostname)).toBeUndefined(); // valid by hand
      await store.close();
    }
  });

  it('is refused by code and left as it is where a command only looks', async () => {
    await fillRedis(old.redis);
    const before = await admin.keys('*');
    const store = openRedisStore({ url: server.url, mayTakeOver: false });
    await expect(stateOf(store, old)).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    await store.close();
    expect((await admin.keys('*')).toSorted()).toEqual(before.toSorted());

    const path = directory.file(`looked-at-${version}`);
    await fillLevel(path, old.embedded);
    await expect(useEmbeddedStore(path)).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    const level = new ClassicLevel<string, unknown>(path, { valueEncoding: 'json' });
    expect(await level.iterator().all()).toEqual(old.embedded);
    await level.close();
  });
});

describe('taking over', () => {
  const old = readOld(2);
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
    for (const [name, ...args] of again) await admin.call(name, ...args);
    const [each = 0] = before;
    expect(await lookupsOf(store)).toEqual([2 * each, 2 * each, each]);
    await store.close();
  });

  it('goes on in LevelDB after kill -9 half way', async () => {
    const path = directory.file('killed');
    const first = readOld(1);
    const core = first.embedded.find(([key]) => key === 'host!www.example.com')?.[1];
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
