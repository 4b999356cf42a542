import { Redis as Client } from 'ioredis';
import type { StoreLimits } from '../../src/host/host-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { startRedis, type Redis } from '../support/redis.js';
import { batch, describeHostStore, observation } from './host-store.contract.js';

let server: Redis;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server.stop();
});

async function openEmpty(limits?: StoreLimits) {
  const client = new Client(server.url);
  await client.flushall();
  await client.quit();
  return openRedisStore({ url: server.url }, limits);
}

describeHostStore('Redis store', openEmpty);

describe('Redis store', () => {
  it('fails at once while Redis is away and carries on when it is back', async () => {
    const store = await openEmpty();
    await store.record(batch(1, [observation()]));
    await server.kill('SIGKILL');
    await expect(store.record(batch(2, [observation()]))).rejects.toMatchObject({ code: 'HOST_STORE_UNAVAILABLE' });
    await server.restart();
    for (;;) {
      try {
        await store.record(batch(2, [observation()]));
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    expect((await store.get(observation().hostname))?.lookups).toBe(2);
    await store.close();
  });

  it('tells by code that a host was altered by hand, whether it is read or written', async () => {
    const store = await openEmpty();
    await store.record(batch(1, [observation()]));
    const client = new Client(server.url);
    const [key = ''] = await client.keys('istio-discovery:*:hosts');
    await client.hset(key, observation().hostname, 'altered');
    const corrupt = { code: 'HOST_STORE_CORRUPT' };
    await expect(store.record(batch(2, [observation()]))).rejects.toMatchObject(corrupt);
    await expect(store.get(observation().hostname)).rejects.toMatchObject(corrupt);
    await client.del(key);
    await client.set(key, 'another type');
    await expect(store.statistics()).rejects.toMatchObject(corrupt);
    await client.quit();
    await store.close();
  });

  it('keeps more entries than a function takes arguments', async () => {
    const store = await openEmpty();
    const seen = Array.from({ length: 70_000 }, (_, n) => ({ namespace: 'shop', name: `entry-${n}`, host: `h${n}.example.com` })); // prettier-ignore
    await store.noteSeen({ seen, gone: [] });
    expect((await store.seenEntries()).entries).toHaveLength(seen.length);
    await store.noteSeen({ seen: [], gone: seen.slice(1) });
    expect((await store.seenEntries()).entries).toEqual(seen.slice(0, 1));
    await store.close();
  });

  it('ends a watch when its reader has enough', async () => {
    const store = await openEmpty();
    const watching = (async () => {
      for await (const { observations } of store.tail(new AbortController().signal)) return observations.length;
      return 0;
    })();
    const seen: number[] = [];
    void watching.then((count) => seen.push(count));
    for (let sequence = 1; seen.length === 0; sequence += 1) {
      await store.record(batch(sequence, [observation()]));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(seen).toEqual([1]);
    await store.close();
  });

  it('does not pass off a list as whole when a newer version has taken the store over meanwhile', async () => {
    const store = await openEmpty();
    await store.record(batch(1, [observation()]));
    const client = new Client(server.url);
    const list = store.list()[Symbol.asyncIterator]();
    expect(await list.next()).toMatchObject({ done: false });
    await client.set('istio-discovery:schema', '99');
    await expect(list.next()).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    await client.quit();
    await store.close();
  });

  it('neither reads nor writes where a newer version of the program has been', async () => {
    const store = await openEmpty();
    const client = new Client(server.url);
    await client.set('istio-discovery:schema', '99');
    const before = await client.dbsize();
    await expect(store.record(batch(1, [observation()]))).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    await expect(store.get(observation().hostname)).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    await expect(store.statistics()).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    expect(await client.dbsize()).toBe(before);
    await client.flushall();
    await store.record(batch(1, [observation()]));
    expect(await client.get('istio-discovery:schema')).toBe('4');
    await client.quit();
    await store.close();
  });
});
