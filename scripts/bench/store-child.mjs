// store-child.mjs WORK DIST URL COUNT: does one piece of work with a store and prints what it took.
//   record  observations, second by second through the real Recorder, as one collector hands them over
//   plain   the same with nothing merged: an HSET or a put for each, 500 in a pipeline or a durable batch
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { Redis } from 'ioredis';
import { observations } from './observations.mjs';

const [work, dist, url, count] = process.argv.slice(2);
const EMBEDDED = 'embedded://';
const DRAIN = 100_000;
const BATCH = 500;
const load = (file) => import(pathToFileURL(join(dist, file)).href);
const all = [...observations(Number(count))];
const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

async function openStore() {
  return url.startsWith(EMBEDDED)
    ? (await load('host/embedded-store.js')).openEmbeddedStore(url.slice(EMBEDDED.length))
    : (await load('host/redis-store.js')).openRedisStore({ url });
}

async function prepareRecord() {
  const { Recorder } = await load('intake/recorder.js');
  const store = await openStore();
  let at = 0;
  const table = {
    drain: () => ({ observations: all.slice(at, (at += DRAIN)), ports: [], rejections: [] }),
    waiting: () => all.length - at,
    statistics: () => ({ lost: 0 }),
  };
  const recorder = new Recorder({ table, store, source: 'bench', now: Date.now, log: silent });
  return { run: () => recorder.flush({ final: true }), close: () => store.close() };
}

const valueOf = ({ firstObservedAtMs, lastObservedAtMs, lookups }) =>
  JSON.stringify([firstObservedAtMs, lastObservedAtMs, lookups]);

async function preparePlain() {
  if (url.startsWith(EMBEDDED)) {
    const level = new ClassicLevel(url.slice(EMBEDDED.length));
    await level.open();
    const write = async (some) => {
      const batch = level.batch();
      for (const one of some) batch.put(`${one.hostname}!${one.client}`, valueOf(one));
      await batch.write({ sync: true });
    };
    return { run: () => inBatches(write), close: () => level.close() };
  }
  const redis = new Redis(url);
  const write = async (some) => {
    const pipeline = redis.pipeline();
    for (const one of some) pipeline.hset(`host:${one.hostname}`, one.client, valueOf(one));
    await pipeline.exec();
  };
  return { run: () => inBatches(write), close: () => redis.quit() };
}

async function inBatches(write) {
  for (let at = 0; at < all.length; at += BATCH) await write(all.slice(at, at + BATCH));
}

const { run, close } = work === 'record' ? await prepareRecord() : await preparePlain();
const cpu = process.cpuUsage();
const start = performance.now();
await run();
const wallSeconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpu);
await close();
process.stdout.write(`${JSON.stringify({ wallSeconds, cpuSeconds: (user + system) / 1e6 })}\n`);
process.exit(0);
