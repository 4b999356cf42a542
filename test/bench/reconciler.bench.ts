import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { encode } from 'dns-packet';
import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { applyObject } from '../../src/kubernetes/write.js';
import { forEachInFlight } from '../../src/reconciler/in-flight.js';
import { createBundle } from '../deploy/create-bundle.js';
import { hostname } from '../istio/hostname.js';
import { lookUpOf } from '../observation/look-up.js';
import { startClusterDns } from '../support/cluster-dns.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { startBuild, startProgram, type Program } from '../support/program.js';
import { startRedis, type Redis } from '../support/redis.js';
import { createRunningPod } from '../support/running-pod.js';
import { startSmallInternet } from '../support/small-internet.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { BenchObjects } from './bench-objects.js';
import { addressOf, BenchPods } from './bench-pods.js';

/*
 * The reconciler at its size, against the real API server: `npm run bench` runs this with jest for the sake of the
 * harness; what is measured is the program in a process of its own. Prints rows as JSON lines into BENCH_ROWS.
 */

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  readonly ratio: number;
}

/** A smaller share of the full size, for a quick look. */
const SCALE = Number(process.env['BENCH_SCALE'] ?? 1);
const HOSTS = 10_000 * SCALE;
const NAMESPACES = 200;
const PODS = 20_000 * SCALE;
const CHURN = { perSecond: 100, seconds: 20 };
const UNCHANGED_RUNS = 6;
const LOOKUPS = 20;
const CREATES = 1000;
const LIMIT = 'the limit set';
const LONG_MS = 900_000;

const rows: Row[] = [];
let server: KubeApiserver;
let client: KubernetesClient;
let redis: Redis;
let program: string;
let pods: BenchPods;

const namespaceOf = (index: number): string => `n${index % NAMESPACES}`;

/** A figure that must not be larger than its limit. */
function cost(name: string, unit: string, ours: number, limit: number): void {
  rows.push({ name, unit, ours, peer: limit, peerName: LIMIT, ratio: limit / ours });
}

beforeAll(async () => {
  [server, redis] = await Promise.all([
    startKubeApiserver({ crds: 'istio-crds' }),
    startRedis({ args: ['--appendonly', 'no'] }),
  ]);
  program = join(await createBundle(), 'main.js');
  client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile, timeoutMs: 120_000 });
}, 120_000);

afterAll(async () => {
  await client.close();
  const file = process.env['BENCH_ROWS'];
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  if (file === undefined) process.stdout.write(text);
  else writeFileSync(file, text);
});

async function fillCluster(): Promise<void> {
  const namespaces = Array.from({ length: NAMESPACES }, (_, index) => namespaceOf(index));
  await forEachInFlight(namespaces, 8, async (name) => {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    await client.request({ method: 'POST', path: '/api/v1/namespaces', body });
  });
  pods = await BenchPods.open({ server, client, namespaceOf });
  await pods.start(Array.from({ length: PODS }, (_, index) => index));
}

/** The entries as the program itself would have written them. */
async function fillEntries(): Promise<void> {
  const resource = { group: 'networking.istio.io', version: 'v1', plural: 'serviceentries' };
  const copies = Array.from({ length: HOSTS }, (_, index) => {
    const request = { hostname: hostname(`api.host-${index}.example`), owner: 'istio-discovery' };
    return buildServiceEntry({ ...request, namespace: namespaceOf(index) });
  });
  const [first] = copies;
  if (first === undefined) return;
  const { object } = await applyObject({ client, resource, object: first, fieldManager: 'istio-discovery' });
  const entries = new BenchObjects(server, '/registry/networking.istio.io/serviceentries', object);
  await entries.put(copies.slice(1).map(({ metadata, spec }) => ({ ...metadata, fields: { spec } })));
}

/** Each host was looked up by one pod, so it asks for one entry. */
async function fillStore(): Promise<void> {
  const store = openRedisStore({ url: redis.url, onConnection: () => undefined });
  const atMs = Date.now();
  for (let start = 0; start < HOSTS; start += 500) {
    const observations = Array.from({ length: 500 }, (_, at) =>
      lookUpOf(`api.host-${start + at}.example`, addressOf(start + at), atMs),
    );
    await store.record({ source: 'bench', sequence: start / 500 + 1, observations, rejections: [] });
  }
  await store.close();
}

/**
 * As the chart starts it: the bundle, with the heap that Node gives itself (half) below a memory limit of 512 MiB, and the
 * young generation that the chart asks for. Without a limit Node would take what this machine has before it collects.
 */
async function start(storeUrl: string, ...args: readonly string[]): Promise<Program> {
  return startBuild({
    program,
    role: 'reconcile',
    args: ['--store', storeUrl, '--kubeconfig', server.kubeconfigFile, ...args],
    environment: { NODE_OPTIONS: '--max-old-space-size=256 --max-semi-space-size=16' },
  });
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

const entriesOf = async ({ url }: Program): Promise<number> => metric(url, 'istio_discovery_reconciler_entries');
const runsOf = async ({ url }: Program): Promise<number> => metric(url, 'istio_discovery_reconciler_runs_total');

/** Waits for the end of a run, so that whole runs are measured. */
async function nextRun(program: Program): Promise<number> {
  const before = await runsOf(program);
  return waitUntil(
    async () => {
      const runs = await runsOf(program);
      return runs > before && runs;
    },
    { timeoutMs: 60_000, everyMs: 250 },
  );
}

/** Processor time of a process so far, in seconds. */
function cpuSecondsOf(program: Program): number {
  const fields = readFileSync(`/proc/${program.pid()}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100; // utime and stime in ticks of 10 ms, proc(5)
}

function residentMegabytesOf(program: Program): number {
  const status = readFileSync(`/proc/${program.pid()}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** Requests that changed an object of Istio or an Event, as the API server counts them. */
async function writesSoFar(): Promise<number> {
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { Authorization: `Bearer ${server.token}` };
    get(`${server.url}/metrics`, { ca: readFileSync(server.caFile), headers }, (answer) => {
      answer.setEncoding('utf8');
      let body = '';
      answer.on('data', (piece: string) => (body += piece));
      answer.on('end', () => resolve(body));
    }).on('error', reject);
  });
  const lines = text.split('\n').filter((line) => line.startsWith('apiserver_request_total{'));
  return lines
    .filter((line) => /resource="(?:serviceentries|events)"/.test(line) && !/verb="(?:GET|LIST|WATCH)"/.test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const log = (text: string): void => void process.stderr.write(`bench: reconciler: ${text}\n`);

it(
  '10,000 hosts in 200 namespaces with 20,000 pods',
  async () => {
    log(`${PODS} pods, ${HOSTS} hosts`);
    await fillCluster();
    await fillStore(); // the pods were there before
    log(`${HOSTS} entries`);

    await fillEntries();

    log('a cold start with everything in place');
    const before = performance.now();
    const reconciler = await start(redis.url);
    await waitUntil(async () => (await entriesOf(reconciler)) === HOSTS, { timeoutMs: LONG_MS });
    cost(`cold start, ${HOSTS} hosts, ${PODS} pods`, 's', (performance.now() - before) / 1000, 30);
    cost('the same', 'CPU s', cpuSecondsOf(reconciler), 30);

    log('runs in which nothing has changed');
    const writes = await writesSoFar();
    const [runs, cpu] = [await nextRun(reconciler), cpuSecondsOf(reconciler)];
    await waitUntil(async () => (await runsOf(reconciler)) >= runs + UNCHANGED_RUNS, {
      timeoutMs: 120_000,
      everyMs: 250,
    });
    cost(`a run without a change, ${HOSTS} hosts`, 'CPU s', (cpuSecondsOf(reconciler) - cpu) / UNCHANGED_RUNS, 1);
    expect((await writesSoFar()) - writes).toBe(0);
    log(`${UNCHANGED_RUNS} runs, no write`);

    log(`${CHURN.perSecond} pods a second come and go`);
    const churned = await churn();
    cost(`memory at its highest, pod churn ${churned.toFixed(0)}/s`, 'MB', residentMegabytesOf(reconciler), 300);
    const followedMs = await followNewPod();
    cost('a new pod is known after that churn', 's', followedMs / 1000, 5);
    await reconciler.stop();
  },
  LONG_MS,
);

/** Returns how many pods a second came and went. */
async function churn(): Promise<number> {
  const startedMs = performance.now();
  const all = Array.from({ length: CHURN.perSecond * CHURN.seconds }, (_, index) => PODS + index);
  const tickMs = 1000 / CHURN.perSecond;
  await forEachInFlight(all, 16, async (index) => {
    const waitMs = startedMs + (index - PODS) * tickMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    await pods.create([index]);
    await pods.start([index]);
    await pods.delete([index]);
  });
  return all.length / ((performance.now() - startedMs) / 1000);
}

/** How long it takes until a pod that is new has its host's entry. */
async function followNewPod(): Promise<number> {
  const index = PODS + CHURN.perSecond * CHURN.seconds;
  await pods.start([index]);
  const store = openRedisStore({ url: redis.url, onConnection: () => undefined });
  const observation = lookUpOf('after.churn.example', addressOf(index));
  const startedMs = performance.now();
  await store.record({ source: 'churn', sequence: 1, observations: [observation], rejections: [] });
  await store.close();
  const path = `/apis/networking.istio.io/v1/namespaces/${namespaceOf(index)}/serviceentries/learned-after.churn.example`;
  await waitUntil(async () => client.request({ method: 'GET', path }));
  return performance.now() - startedMs;
}

it(
  'creates',
  async () => {
    const fast = await createRate('--reconcile-max-writes-per-second', '10000');
    const peer = await kubectlRate();
    const name = `${CREATES} creates, 8 in flight, each looked at and tried first`;
    rows.push({ name, unit: '1/s', ours: fast, peer, peerName: 'kubectl apply', ratio: fast / peer });
    const limited = await createRate();
    rows.push({
      name: 'creates a second by default',
      unit: '1/s',
      ours: limited,
      peer: 20,
      peerName: LIMIT,
      ratio: 20 / limited,
    });
  },
  LONG_MS,
);

let rounds = 0;

/** How many creates a second the program makes, between the hundredth and the last. */
async function createRate(...args: readonly string[]): Promise<number> {
  rounds += 1;
  const namespace = `creates-${rounds}`;
  await server.kubectl(['create', 'namespace', namespace]);
  const hosts = args.length > 0 ? CREATES : 300;
  const fresh = await startRedis({ args: ['--appendonly', 'no'] });
  const store = openRedisStore({ url: fresh.url, onConnection: () => undefined });
  const atMs = Date.now() - 60_000;
  const observations = Array.from({ length: hosts }, (_, at) =>
    lookUpOf(`api.create-${at}.example`, '192.0.2.77', atMs),
  );
  await store.record({ source: 'bench', sequence: 1, observations, rejections: [] });
  const reconciler = await start(fresh.url, '--istio-default-namespace', namespace, ...args);
  const count = async (): Promise<number> => countEntries(namespace);
  const from = await waitUntil(
    async () => {
      const there = await count();
      return there >= 50 && { there, atMs: performance.now() };
    },
    { timeoutMs: 120_000 },
  );
  await waitUntil(async () => (await count()) === hosts, { timeoutMs: 120_000, everyMs: 50 });
  const seconds = (performance.now() - from.atMs) / 1000;
  await reconciler.stop();
  await store.close();
  await fresh.stop();
  return (hosts - from.there) / seconds;
}

/** Asks for one entry and how many more there are, so that the asking is no load. */
async function countEntries(namespace: string): Promise<number> {
  const path = `/apis/networking.istio.io/v1/namespaces/${namespace}/serviceentries`;
  const { body } = await client.request({ method: 'GET', path, query: { limit: 1 } });
  const { items, metadata } = body as { items: object[]; metadata: { remainingItemCount?: number } };
  return items.length + (metadata.remainingItemCount ?? 0);
}

async function kubectlRate(): Promise<number> {
  const namespace = 'creates-kubectl';
  await server.kubectl(['create', 'namespace', namespace]);
  const items = Array.from({ length: CREATES }, (_, at) =>
    buildServiceEntry({ hostname: hostname(`api.create-${at}.example`), namespace, owner: 'peer' }),
  );
  const startedMs = performance.now();
  await server.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return CREATES / ((performance.now() - startedMs) / 1000);
}

it(
  'from the first query to the ServiceEntry, with CoreDNS and Redis',
  async () => {
    const address = '127.0.0.7';
    await server.kubectl(['create', 'namespace', 'queries']);
    await createRunningPod(server, { namespace: 'queries', name: 'web', podIp: address });
    const tap = `unix://${createTemporaryDirectory().file('dnstap.sock')}`;
    const fresh = await startRedis({ args: ['--appendonly', 'no'] });
    const internet = await startSmallInternet();
    const collect = await startProgram('collect', ['--dnstap', tap, '--store', fresh.url]);
    const reconcile = await start(fresh.url);
    const dns = await startClusterDns({ apiServer: server, upstream: internet.address, dnstap: tap });
    const times: number[] = [];
    for (let round = 0; round < LOOKUPS; round += 1) {
      const name = `host-${round}.wild.example.org`;
      const path = `/apis/networking.istio.io/v1/namespaces/queries/serviceentries/learned-${name}`;
      await delay(Math.random() * 1000); // at any moment of the program's own rhythm
      const startedMs = performance.now();
      await query(name, { from: address, host: dns.host, port: dns.port });
      await waitUntil(async () => client.request({ method: 'GET', path }), { everyMs: 10 });
      times.push(performance.now() - startedMs);
    }
    const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
    log(`first query to ServiceEntry: ${times.map((ms) => Math.round(ms)).join(' ')} ms`);
    cost('first query to ServiceEntry, median', 's', median / 1000, 2);
    for (const part of [reconcile, collect, dns, internet, fresh]) await part.stop();
  },
  LONG_MS,
);

async function query(
  name: string,
  where: { readonly from: string; readonly host: string; readonly port: number },
): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.bind(0, where.from, resolve);
  });
  const message = encode({ type: 'query', id: 1, flags: 256, questions: [{ type: 'A', name }] }); // recursion desired
  await new Promise<void>((resolve) => {
    socket.once('message', () => resolve());
    socket.send(message, where.port, where.host);
  });
  socket.close();
}
