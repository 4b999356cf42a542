import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hostname } from '../../src/dns/hostname.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { ROOT } from '../support/command.js';
import { shareRedis } from '../support/redis.js';
import { batch, observation } from './host-store.contract.js';

const LINE = /^ACL SETUSER istio-discovery .*$/m.exec(
  readFileSync(join(ROOT, 'src', 'host', 'README.md'), 'utf8'),
)?.[0];
const WORDS = (LINE ?? '').split(' ').slice(2);
const COMMANDS = WORDS.filter((word) => word.startsWith('+')).map((word) => word.slice(1));

const redis = shareRedis();

async function setUser(words: readonly string[]): Promise<void> {
  await redis.admin.call('acl', 'deluser', 'istio-discovery');
  await redis.admin.call('acl', 'setuser', ...words);
  await redis.admin.call('acl', 'log', 'reset');
  await redis.admin.flushall();
  await redis.admin.zadd('istio-discovery:2:{07}:hosts', 0, 'old.example.com'); // of an older version
}

/** What the ACL refused: `command hset`, `key …`, `channel …`. */
async function refused(): Promise<readonly string[]> {
  const log = (await redis.admin.call('acl', 'log')) as readonly (readonly string[])[];
  return log.map((entry) => {
    const field = (name: string): string => String(entry[entry.indexOf(name) + 1]).toLowerCase();
    return `${field('reason')} ${field('object')}`;
  });
}

/** Everything that is ever asked of the store; failures are what the ACL's log is for. */
async function useEverything(): Promise<number> {
  const store = openRedisStore({ url: redis.url.replace('//', '//istio-discovery:PASSWORD@') });
  let failures = 0;
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    await work().catch(() => (failures += 1));
  };
  const [www, api] = ['www.example.com', 'api.example.com'] as [Hostname, Hostname]; // valid by hand
  const row = '*.example.com' as Hostname; // as records of parents are named
  const evidence = { client: '10.244.0.7', slotMs: observation().firstObservedAtMs };
  const workload = { namespace: 'shop', kind: 'Deployment', name: 'web' };
  const atMs = 1;
  const gone = new AbortController();
  const watching = (async () => {
    for await (const _ of store.tail(gone.signal)) gone.abort();
  })().catch(() => (failures += 1));
  const rejections = [{ reason: 'nxdomain' as const, responses: 1, examples: ['a.example.com'] }];
  // The lease of the watcher has to be there before the collector looks for it.
  for (let tries = 0; tries < 100 && (await redis.admin.exists('istio-discovery:2:{00}:tail')) === 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const both = [observation(), observation({ hostname: api })];
  await attempt(() => store.record({ ...batch(1, both), rejections }));
  await attempt(() => store.attribute([{ hostname: www, evidence, workload, attribution: 'exact' }]));
  await attempt(() => store.transition([{ hostname: www, from: 'candidate', to: 'eligible', reason: 'stable', atMs }]));
  await attempt(() => store.decide({ hostname: www, kind: 'approve', by: 'alice', why: '', atMs }));
  await attempt(() => store.quarantine([{ hostname: row, children: [api], atMs }]));
  await attempt(() => store.record(batch(2, [observation({ hostname: 'new.example.com' as Hostname })])));
  await attempt(() => store.decide({ hostname: row, kind: 'unignore', by: 'alice', why: '', atMs: 2 }));
  await attempt(() => store.setRules([], 0));
  await attempt(() => Promise.all([store.rules(), store.sources(), store.rejections(), store.statistics()]));
  await attempt(async () => {
    for await (const _ of store.list()) await store.get(www);
  });
  gone.abort();
  await watching;
  await store.close();
  return failures;
}

describe('the user of the ACL in the README', () => {
  it('has all the rights that the store ever needs', async () => {
    await setUser(WORDS);
    expect(await useEverything()).toBe(0);
    expect(await refused()).toEqual([]);
  });

  it.each(COMMANDS)('misses %s', async (command) => {
    await setUser([...WORDS, `-${command}`]);
    await useEverything();
    expect(await refused()).toContain(`command ${command}`);
  });

  it.each([
    ['keys', '~istio-discovery:*'],
    ['channels', '&istio-discovery:*'],
  ])('misses its %s', async (_, word) => {
    await setUser(WORDS.filter((known) => known !== word));
    expect(await useEverything()).toBeGreaterThan(0);
  });

  it('is told by code that it lacks a right', async () => {
    await setUser([...WORDS, '-hset']);
    const store = openRedisStore({ url: redis.url.replace('//', '//istio-discovery:PASSWORD@') });
    await expect(store.record(batch(1, [observation()]))).rejects.toMatchObject({ code: 'HOST_STORE_DENIED' });
    await store.close();
  });
});
