import type { OneNodeCluster } from '../support/one-node-cluster.js';
import { IMAGES } from '../support/container-images.js';
import { CLUSTER_DNS_ADDRESS } from '../support/kubelet.js';

/** One look-up of the prober. */
export interface Probe {
  readonly name: string;
  /** When it was asked, Unix milliseconds. */
  readonly atMs: number;
  readonly tookMs: number;
  /** How long the prober itself got no processor meanwhile: that is not the time of the answer. */
  readonly stalledMs: number;
  /** The error's code; undefined for an answer. */
  readonly error?: string;
}

const EVERY_MS = 50;

/**
 * Looks up, 20 times a second, a Service and a host outside in turn, each with a socket of its own as libc does, and waits
 * longer than any answer may take. Prints a line a look-up.
 */
const SCRIPT = `
const { Resolver } = require('node:dns').promises;
const names = ['kubernetes.default.svc.cluster.local', 'www.example.net'];
let asked = 0, stalledMs = 0, tickedAt = performance.now();
setInterval(() => {
  const now = performance.now();
  stalledMs += Math.max(0, now - tickedAt - 40);
  tickedAt = now;
}, 20);
async function ask() {
  const name = names[asked++ % names.length];
  const resolver = new Resolver({ timeout: 4000, tries: 1 });
  resolver.setServers(['${CLUSTER_DNS_ADDRESS}']);
  const atMs = Date.now(), started = performance.now(), before = stalledMs;
  let error;
  try { await resolver.resolve4(name); } catch (err) { error = err.code; }
  console.log(JSON.stringify({ name, atMs, tookMs: performance.now() - started, stalledMs: stalledMs - before, error }));
}
setInterval(ask, ${EVERY_MS});
`;

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
