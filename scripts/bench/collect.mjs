// collect.mjs SOCKET DIST: receives one connection through the whole collect pipeline, Frame Streams to merged
// Observations, and prints what it took.
import { BlockList } from 'node:net';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [path, dist] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(join(dist, file)).href);
const { Collector } = await load('intake/dnstap/collector.js');
const { createFrameIntake } = await load('intake/frame-intake.js');
const { createObservationTable } = await load('observation/observation-table.js');

const table = createObservationTable({
  clusterDomains: ['cluster.local'],
  internalZones: [],
  searchDomains: [],
  clusterNetworks: new BlockList(),
  maxPairs: 262_144,
  seed: 1,
  origin: 'dnstap',
  now: Date.now,
});
let frames = 0;
let observations = 0;
let lookups = 0;
const drain = (final) => {
  for (const observation of table.drain({ final, nowMs: Date.now() }).observations) {
    observations++;
    lookups += observation.lookups;
  }
};
const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const done = () => {
  drain(true);
  const { user, system } = process.cpuUsage(before);
  const { responses } = table.statistics();
  process.stdout.write(
    `${JSON.stringify({ frames, responses, lookups, observations, wallSeconds: (performance.now() - start) / 1000, cpuUserSeconds: user / 1e6, cpuSystemSeconds: system / 1e6 })}\n`,
  );
  process.exit(0);
};
const intake = createFrameIntake(table);
const collector = new Collector({
  endpoints: [`unix://${path}`],
  intake: (buffer, from, to) => {
    frames++;
    intake(buffer, from, to);
  },
  maxConnections: 16,
  maxFrameBytes: 262_144,
  socketMode: 0o600,
  log: { ...silent, info: (_, message) => message === 'dnstap disconnected' && done() },
});
await collector.listen();
setInterval(() => drain(false), 1000);
let before = process.cpuUsage();
let start = performance.now();
