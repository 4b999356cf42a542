import { PassThrough } from 'node:stream';
import { openRedisStore } from '../../src/host/redis-store.js';
import { PeerCount } from '../../src/intake/peer-count.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { startRedis } from '../support/redis.js';

const NOON_MS = Date.UTC(2026, 0, 1, 12);
const log = createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now });
const report = (source: string, untilMs: number) => ({
  source,
  kind: 'dnstap' as const,
  name: source,
  fromMs: NOON_MS - 3_600_000,
  untilMs,
  connections: 1,
  lost: 0,
});

it('counts the collectors that reported lately, and takes one for granted until they can have', async () => {
  const redis = await startRedis();
  const store = openRedisStore({ url: redis.url });
  for (const [source, agoMs] of Object.entries({ own: 0, other: 5_000, third: 59_000, dead: 61_000 })) {
    await store.reportSource(report(source, NOON_MS + 60_000 - agoMs));
  }
  await store.reportSource({ ...report('capture', NOON_MS + 60_000), kind: 'replay' });
  const peers = new PeerCount({ store, source: 'own', isShared: true, fromMs: NOON_MS, log });
  await peers.refresh(NOON_MS + 59_000);
  expect(peers.count).toBe(1);
  await peers.refresh(NOON_MS + 60_000);
  expect(peers.count).toBe(2);
  await peers.refresh(NOON_MS + 80_000); // too soon to look again
  expect(peers.count).toBe(2);
  await peers.refresh(NOON_MS + 200_000);
  expect(peers.count).toBe(0);
  await store.close();
});

it('knows of none beside an embedded store, which no other process can write', () => {
  const store = { sources: () => Promise.reject(new Error('never asked')) };
  expect(new PeerCount({ store, source: 'own', isShared: false, fromMs: NOON_MS, log }).count).toBe(0);
});
