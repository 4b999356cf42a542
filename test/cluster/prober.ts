import type { OneNodeCluster } from '../support/one-node-cluster.js';
import { IMAGES } from '../support/container-images.js';
import { CLUSTER_DNS_ADDRESS } from '../support/kubelet.js';

/** One look-up of the prober. */
export interface Probe {
  readonly name: string;
  /** The UDP port that it was asked from, which the kernel chose. */
  readonly port: number;
  /** When it was asked, Unix milliseconds. */
  readonly atMs: number;
  readonly tookMs: number;
  /** How long the prober itself got no processor meanwhile: that is not the time of the answer. */
  readonly stalledMs: number;
  /** The error's code, `TIMEOUT`, or `RCODE` for an answer without addresses; undefined for an answer with some. */
  readonly error?: string;
}

const EVERY_MS = 50;

/**
 * Looks up, 20 times a second, a Service and a host outside in turn, each with a connected socket of its own as libc does, and
 * waits longer than any answer may take. Prints a line a look-up.
 */
const SCRIPT = `
const dgram = require('node:dgram');
const names = ['kubernetes.default.svc.cluster.local', 'www.example.net'];
let asked = 0, stalledMs = 0, tickedAt = performance.now();
setInterval(() => {
  const now = performance.now();
  stalledMs += Math.max(0, now - tickedAt - 40);
  tickedAt = now;
}, 20);
function queryOf(id, name) {
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]); // RD, one question
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]); // A, IN
}
function ask() {
  const id = asked++ & 65535, name = names[id % names.length], socket = dgram.createSocket('udp4');
  const atMs = Date.now(), started = performance.now(), before = stalledMs;
  let port = 0;
  function end(error) {
    clearTimeout(timer);
    socket.removeAllListeners().on('error', () => {}).close();
    console.log(JSON.stringify({ name, port, atMs, tookMs: performance.now() - started, stalledMs: stalledMs - before, error }));
  }
  const timer = setTimeout(() => end('TIMEOUT'), 4000);
  socket.on('error', (err) => end(err.code));
  socket.on('message', (answer) => {
    if (answer.readUInt16BE(0) !== id) return;
    end((answer[3] & 15) === 0 && answer.readUInt16BE(6) > 0 ? undefined : 'RCODE');
  });
  socket.connect(53, '${CLUSTER_DNS_ADDRESS}', () => {
    port = socket.address().port;
    socket.send(queryOf(id, name));
  });
}
setInterval(ask, ${EVERY_MS});
`;

/** Longer than conntrack keeps what it knows of a UDP port (`nf_conntrack_udp_timeout_stream`, 120 s). */
const PORT_FORGOTTEN_MS = 180_000;

/** Those that asked from a port that had been used shortly before. */
export function onReusedPorts(probes: readonly Probe[]): ReadonlySet<Probe> {
  const usedAtMs = new Map<number, number>();
  const reused = new Set<Probe>();
  for (const probe of probes.toSorted((a, b) => a.atMs - b.atMs)) {
    if (probe.atMs - (usedAtMs.get(probe.port) ?? -Infinity) < PORT_FORGOTTEN_MS) reused.add(probe);
    usedAtMs.set(probe.port, probe.atMs);
  }
  return reused;
}

/** A pod that looks names up all the time. */
export interface Prober {
  /** What it has seen so far. */
  probes(): Promise<readonly Probe[]>;
}

/** Starts it in a namespace of its own, and waits until it has its first answer. */
export async function startProber({ kubectl }: Pick<OneNodeCluster, 'kubectl'>): Promise<Prober> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'prober', namespace: 'prober' },
    spec: { containers: [{ name: 'prober', image: IMAGES.node, command: ['node', '-e', SCRIPT] }] },
  };
  await kubectl(['create', 'namespace', 'prober']);
  await kubectl(['-n', 'prober', 'wait', '--for=create', 'serviceaccount/default', '--timeout=30s']);
  await kubectl(['create', '-f', '-'], JSON.stringify(pod));
  await kubectl(['-n', 'prober', 'wait', '--for=condition=Ready', 'pod/prober', '--timeout=60s']);
  return {
    probes: async () =>
      (await kubectl(['-n', 'prober', 'logs', 'prober']))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Probe), // the script prints nothing else
  };
}
