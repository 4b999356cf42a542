// The stores: merges a second with one collector beside the same client's plain writes, Redis memory for each pair of host
// and workload beside a plain hash, and `hosts` on 100,000 hosts beside plain reads.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { Redis } from 'ioredis';

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, '..', '..', 'dist');
const OBSERVATIONS = 200_000;
const RUNS = 3;
const LISTED_HOSTS = 100_000;
const NOON_MS = Date.UTC(2026, 0, 1, 12);
const DAY_MS = 86_400_000;
const SLOT_MS = 10_000;
const MEASURED_PAIRS = 10_000;

/** @returns rows of { name, ours, peer, peerName, unit, ratio } */
export async function run({ log }) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const redis = await startRedis(directory);
  try {
    return [
      await merges({ name: 'merge into Redis', urlOf: () => redis.url, peerName: 'plain HSET, ioredis', redis, log }),
      await merges({
        name: 'merge into the embedded store',
        urlOf: (index) => `embedded://${join(directory, `store-${index}`)}`,
        peerName: 'plain puts, classic-level',
        redis,
        log,
      }),
      await memory({ redis, workloads: 1, log }),
      await memory({ redis, workloads: 2, log }),
      await memory({ redis, workloads: 5, log }),
      ...(await redisListing({ redis, log })),
      ...(await embeddedListing({ directory: join(directory, 'listed'), log })),
    ];
  } finally {
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startRedis(directory) {
  const port = await freePort();
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory];
  const child = spawn('redis-server', args, { stdio: 'ignore' });
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 50 });
  client.on('error', () => {}); // it does not listen yet
  await client.ping();
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    stop: async () => {
      client.disconnect();
      child.kill();
      await new Promise((resolve) => child.once('exit', resolve));
    },
  };
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(String(port)));
    });
  });
}

async function merges({ name, urlOf, peerName, redis, log }) {
  const rates = { record: [], plain: [] };
  for (let i = 1; i <= RUNS; i++) {
    for (const work of ['record', 'plain']) {
      log(`${name}, run ${i} of ${RUNS}: ${work}`);
      await redis.client.flushall();
      const args = [join(HERE, 'store-child.mjs'), work, DIST, urlOf(`${work}-${i}`), String(OBSERVATIONS)];
      const { wallSeconds } = JSON.parse(await output(process.execPath, args));
      rates[work].push(OBSERVATIONS / wallSeconds / 1000);
    }
  }
  const [ours, peer] = [median(rates.record), median(rates.plain)];
  return { name, unit: '1000/s', ours, peer, peerName, ratio: ours / peer };
}

/**
 * All that Redis takes (`used_memory`, of a Redis with its own defaults) for hosts that were looked up on each of a month's
 * days and have an entry, each used by so many workloads and in a registrable domain of its own: keys, index, counts,
 * addresses, days, steps, a port and evidence.
 */
async function memory({ redis, workloads, log }) {
  const hosts = MEASURED_PAIRS / workloads;
  log(`memory, ${workloads} workloads a host`);
  // What Redis itself takes once and keeps, such as its interpreter of scripts, is no part of a host.
  await fillHosts(await openRedis(redis.url), { hosts: 1000, workloads, days: 1 });
  const ours = await grown(redis.client, async () =>
    fillHosts(await openRedis(redis.url), { hosts, workloads, days: 30 }),
  );
  const peer = await grown(redis.client, () => fillPlain(redis.client, hosts, workloads));
  const pairs = hosts * workloads;
  const unit = 'octets/pair';
  const name = `Redis memory, ${workloads} workload${workloads === 1 ? '' : 's'} a host`;
  return { name, unit, ours: ours / pairs, peer: peer / pairs, peerName: 'plain HSET of JSON', ratio: peer / ours };
}

async function grown(client, fill) {
  await client.flushall();
  const used = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]);
  const before = await used();
  await fill();
  return (await used()) - before;
}

const workloadOf = (host, index) => ({
  namespace: `team-${index}`,
  kind: 'Deployment',
  name: `checkout-service-${host % 10}`,
});
const hostnameOf = (host) => `api.service-${host}.example`; // a registrable domain of its own

const load = (file) => import(pathToFileURL(join(DIST, file)).href);
const openRedis = async (url) => (await load('host/redis-store.js')).openRedisStore({ url });
const openEmbedded = async (directory) => (await load('host/embedded-store.js')).openEmbeddedStore(directory);

async function fillHosts(store, { hosts, workloads, days }) {
  const steps = [
    ['candidate', 'eligible', 'stable'],
    ['eligible', 'approved', 'policy-learn'],
    ['approved', 'applied', 'written'],
  ];
  let sequence = 0;
  for (const page of pages(hosts, Math.floor(500 / workloads))) {
    for (let day = 0; day < days; day++) {
      const atMs = NOON_MS + day * DAY_MS;
      const seen = page.flatMap((host) => Array.from({ length: workloads }, (_, index) => ({ host, index })));
      const observations = seen.map(({ host, index }) => toObservation(host, `10.244.${index}.${host & 255}`, atMs));
      await store.record({ source: 'bench', sequence: ++sequence, observations, rejections: [] });
      await store.attribute(
        seen.map(({ host, index }) => ({
          hostname: hostnameOf(host),
          evidence: { client: `10.244.${index}.${host & 255}`, slotMs: Math.floor(atMs / SLOT_MS) * SLOT_MS },
          workload: workloadOf(host, index),
          attribution: 'exact',
        })),
      );
    }
    for (const [nth, [from, to, reason]] of steps.entries()) {
      const atMs = NOON_MS + nth * 600_123;
      await store.transition(page.map((host) => ({ hostname: hostnameOf(host), from, to, reason, atMs })));
    }
    const https = { number: 443, protocol: 'TLS', reason: 'https-record' };
    await store.notePorts(page.map((host) => ({ hostname: hostnameOf(host), ...https })));
  }
  await store.close();
}

function toObservation(host, client, atMs) {
  return {
    hostname: hostnameOf(host),
    client,
    addresses: [0, 1, 2, 3].map((n) => `198.51.100.${(host + n) & 255}`).toSorted(),
    ttlSeconds: { min: 30, max: 60 },
    cnames: host % 3 === 0 ? [`edge-${host}.cdn.example.net`] : [],
    firstObservedAtMs: atMs,
    lastObservedAtMs: atMs + 1234,
    lookups: 12 + (((host * 7 + (atMs / DAY_MS) * 13) >>> 0) % 80),
    origin: 'dnstap',
  };
}

async function fillPlain(client, hosts, workloads) {
  for (const page of pages(hosts, 100)) {
    const pipeline = client.pipeline();
    for (const host of page) {
      const seen = { firstSeenMs: NOON_MS, lastSeenMs: NOON_MS + DAY_MS, lookups: 84 };
      const { namespace, kind, name } = workloadOf(host, 0);
      pipeline.hset(`host:${hostnameOf(host)}`, 'core', JSON.stringify({ ...seen, addresses: ['192.0.2.1'] }));
      for (let index = 0; index < workloads; index++) {
        pipeline.hset(`host:${hostnameOf(host)}`, `${namespace}${index}/${kind}/${name}`, JSON.stringify(seen));
      }
    }
    await pipeline.exec();
  }
}

async function redisListing({ redis, log }) {
  await redis.client.flushall();
  log(`hosts, ${LISTED_HOSTS} of them, Redis`);
  await fillHosts(await openRedis(redis.url), { hosts: LISTED_HOSTS, workloads: 1, days: 1 });
  const { hostsKey, shardOf } = await load('host/keys.js');
  return listing(redis.url, 'Redis', {
    peerName: 'plain HGET, ioredis',
    peer: async () => {
      for (const page of pages(LISTED_HOSTS, 500)) {
        const pipeline = redis.client.pipeline();
        for (const name of page.map(hostnameOf)) pipeline.hget(hostsKey(shardOf(name)), name);
        await pipeline.exec();
      }
    },
  });
}

async function embeddedListing({ directory, log }) {
  log(`hosts, ${LISTED_HOSTS} of them, embedded store`);
  await fillHosts(await openEmbedded(directory), { hosts: LISTED_HOSTS, workloads: 1, days: 1 });
  return listing(`embedded://${directory}`, 'embedded', {
    peerName: 'plain iterator, classic-level',
    peer: async () => {
      const level = new ClassicLevel(directory, { valueEncoding: 'json' });
      for await (const _ of level.iterator());
      await level.close();
    },
  });
}

/** `hosts` as a person calls it, from the start of the process to its end, and to the first octet of its table. */
async function listing(url, kind, { peer, peerName }) {
  const whole = [];
  const first = [];
  const plain = [];
  for (let i = 0; i < RUNS; i++) {
    const { firstSeconds, seconds } = await printHosts(url);
    first.push(firstSeconds);
    whole.push(seconds);
    const start = performance.now();
    await peer();
    plain.push((performance.now() - start) / 1000);
  }
  const row = (name, values) => ({ name, unit: 's', ours: median(values), peer: median(plain), peerName, ratio: median(plain) / median(values) }); // prettier-ignore
  return [row(`hosts of ${LISTED_HOSTS}, ${kind}`, whole), row(`hosts of ${LISTED_HOSTS}, ${kind}, first line`, first)];
}

function printHosts(url) {
  const start = performance.now();
  const since = () => (performance.now() - start) / 1000;
  const child = spawn(process.execPath, [join(DIST, 'main.js'), 'hosts', '--store', url], { stdio: ['ignore', 'pipe', 'inherit'] }); // prettier-ignore
  return new Promise((resolve, reject) => {
    let firstSeconds;
    let lines = 0;
    child.stdout.on('data', (data) => {
      firstSeconds ??= since();
      for (const octet of data) if (octet === 10) lines += 1;
    });
    child.on('close', (code) => {
      if (code === 0 && lines > LISTED_HOSTS) resolve({ firstSeconds, seconds: since() });
      else reject(new Error(`hosts: exit code ${code}, ${lines} lines`));
    });
  });
}

function* pages(count, size) {
  for (let from = 0; from < count; from += size) {
    yield Array.from({ length: Math.min(size, count - from) }, (_, index) => from + index);
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

function output(command, args) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { maxBuffer: 1e9 }, (err, stdout) => (err === null ? resolve(stdout) : reject(err)));
  });
}
