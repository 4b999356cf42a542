import { Cluster } from 'ioredis';
import { openRedisStore } from '../../src/host/redis-store.js';
import { runCommand } from '../support/command.js';
import { startRedisCluster, type RedisCluster } from '../support/redis-cluster.js';
import { describeHostStore } from './host-store.contract.js';
import { expectedOf, readOld, stateOf, type OldStore } from './old-store.js';

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(async () => {
  for (const node of cluster.nodes) await node.stop();
});

async function flushAll(): Promise<void> {
  for (const { port } of cluster.nodes) await runCommand('redis-cli', ['-p', String(port), 'flushall']);
}

describeHostStore('Redis cluster', async (limits) => {
  await flushAll();
  return openRedisStore({ url: cluster.url }, limits);
});

describe('Redis cluster with a store of an older version', () => {
  let admin: Cluster;

  beforeAll(() => {
    admin = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
  });

  afterAll(async () => {
    await admin.quit();
  });

  async function fill({ redis }: OldStore): Promise<void> {
    await flushAll();
    await Promise.all(redis.map(async ([name, ...args]) => admin.call(name, ...args)));
  }

  /** Of all nodes. */
  async function keys(): Promise<readonly string[]> {
    return (await Promise.all(admin.nodes('master').map((node) => node.keys('*')))).flat().sort();
  }

  it.each([2, 3])('brings version %i up to date, by several programs at once, and loses nothing', async (version) => {
    const old = readOld(version);
    await fill(old);
    const stores = [1, 2, 3].map(() => openRedisStore({ url: cluster.url }));
    for (const state of await Promise.all(stores.map((store) => stateOf(store, old)))) {
      expect(state).toEqual(expectedOf(old));
    }
    expect((await stores[0]?.statistics())?.hosts).toBe(old.expected.hosts.length);
    expect((await keys()).filter((key) => /:3:|:2:\{..\}:(?:host|hosts|domains)\b/.test(key))).toEqual([]);
    for (const store of stores) await store.close();
  });

  it('refuses version 1, whose hosts lie in other slots, by code, and leaves them as they are', async () => {
    const old = readOld(1);
    await fill(old);
    const before = await keys();
    const store = openRedisStore({ url: cluster.url });
    await expect(stateOf(store, old)).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    await store.close();
    expect(await keys()).toEqual(before);
  });
});
