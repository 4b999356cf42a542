import { PassThrough } from 'node:stream';
import { openRedisStore } from '../../src/host/redis-store.js';
import { Recorder } from '../../src/intake/recorder.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { responseView } from '../support/dns-response.js';
import { startRedis } from '../support/redis.js';
import { waitUntil } from '../support/wait-until.js';
import { newTable, NOON_MS } from './table.js';

const log = createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now });

it('keeps what comes in while Redis is away, merged, and records it exactly once when Redis is back', async () => {
  const redis = await startRedis();
  const store = openRedisStore({ url: redis.url });
  const table = newTable();
  const recorder = new Recorder({ table, store, source: 'one', now: () => NOON_MS, log });
  const look = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const answers = ['www.example.com A 192.0.2.1'];
      table.add(responseView({ name: 'www.example.com', answers }, NOON_MS + i));
    }
  };
  recorder.start(20);
  look(3);
  await waitUntil(() => recorder.statistics().batches > 0);
  await redis.kill('SIGKILL');
  look(1);
  await waitUntil(() => recorder.statistics().failures > 0);
  look(100);
  await redis.restart();
  await waitUntil(() => recorder.statistics().fault === undefined);
  await recorder.close(5_000);
  const hosts = [];
  for await (const record of store.list()) hosts.push([record.hostname, record.lookups]);
  expect(hosts).toEqual([['www.example.com', 104]]);
  await store.close();
});

it('gives up at the end after the time that it was given', async () => {
  const store = openRedisStore({ url: 'redis://127.0.0.1:1' });
  const table = newTable();
  table.add(responseView({ name: 'www.example.com', answers: ['www.example.com A 192.0.2.1'] }, NOON_MS));
  const recorder = new Recorder({ table, store, source: 'one', now: () => NOON_MS, log });
  await recorder.close(100);
  expect(recorder.unsent).toBe(1);
  await store.close();
});
