import { randomUUID } from 'node:crypto';
import { reconcileSettings } from '../../src/app/reconcile-settings.js';
import { loadConfiguration } from '../../src/config/load.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { EVIDENCE_SLOT_MS, type Observation } from '../../src/observation/observation.js';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { ClusterSink } from '../../src/reconciler/cluster-sink.js';
import { ReconcileLoop } from '../../src/reconciler/loop.js';
import type { ReconcileStatus } from '../../src/reconciler/reconcile-once.js';
import type { SinkFailure } from '../../src/reconciler/sink.js';
import { WatchedCluster } from '../../src/reconciler/watched-cluster.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { PodIndex } from '../../src/workload/pod-index.js';
import { knowPod } from './known-pod.js';
import { lookUpOf } from '../observation/look-up.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

/** A reconciler that runs in this process as `reconcile` runs it, with a store of its own. */
export interface LiveReconciler {
  readonly store: HostStore;
  readonly loop: ReconcileLoop;
  /** Every run that came to its end. */
  readonly runs: ReconcileStatus[];
  /** A pod of the namespace looks the host up. */
  readonly lookUp: (host: string, namespace: string) => Promise<void>;
  /** Lets the clocks jump, so that nothing is postponed any longer. */
  readonly skip: (ms: number) => void;
  /** Waits for a run that ends with this failure of the host. */
  readonly waitForFailure: (host: string, code: string) => Promise<SinkFailure>;
  close(): Promise<void>;
}

export interface LiveOptions {
  readonly kubeconfigFile: string;
  readonly owner?: string;
  readonly onDeleted?: 'restore' | 'ignore';
  readonly maxWritesPerSecond?: number;
  /** Other settings, by the name of their flag. */
  readonly flags?: Readonly<Record<string, string | readonly string[]>>;
  /** Of a reconciler before, which it outlives. @defaultValue one of its own */
  readonly store?: HostStore;
}

const DISCARD = { write: () => true, writableLength: 0 } as unknown as NodeJS.WriteStream; // all that a logger uses

export async function startLiveReconciler(options: LiveOptions): Promise<LiveReconciler> {
  const { kubeconfigFile, owner = 'main', onDeleted = 'restore', maxWritesPerSecond = 1000 } = options;
  const store = options.store ?? (await openEmbeddedStore(createTemporaryDirectory().file('store')));
  const client = KubernetesClient.load({ kubeconfig: kubeconfigFile });
  const index = new PodIndex();
  const stop = new AbortController();
  let skippedMs = 0;
  const monotonicMs = (): number => performance.now() + skippedMs;
  const state = new WatchedCluster({
    client,
    owner,
    onChange: () => loop.wake(),
    onError: () => undefined,
    monotonicMs,
  });
  const sink = new ClusterSink({ client, state, mayWrite: () => true, maxWritesPerSecond, monotonicMs });
  const runs: ReconcileStatus[] = [];
  const flags = { 'istio-owner': owner, 'reconcile-on-deleted': onDeleted, ...options.flags };
  const settings = reconcileSettings(loadConfiguration({ flags, environment: {} }), { graceMs: () => 0 });
  const loop: ReconcileLoop = new ReconcileLoop({
    input: { store, sink, index, settings },
    intervalMs: 200,
    now: () => Date.now() + skippedMs,
    log: createLogger({ level: 'error', format: 'json', stream: DISCARD, now: Date.now }),
    mayRun: () => true,
    onStatus: (status) => runs.push(status),
  });
  const running = Promise.all([state.run(stop.signal), loop.run(stop.signal)]);
  const pods = new Map<string, string>();
  const source = randomUUID();
  let sequence = 0;
  return {
    store,
    loop,
    runs,
    lookUp: async (host, namespace) => {
      if (!pods.has(namespace)) pods.set(namespace, `10.244.0.${pods.size + 1}`);
      const client = pods.get(namespace) ?? '';
      knowPod(index, { namespace, address: client, startedMs: Date.now() - 3_600_000 });
      sequence += 1;
      await store.record({ source, sequence, observations: [observation(host, client)], rejections: [] });
    },
    skip: (ms) => {
      skippedMs += ms;
    },
    waitForFailure: async (host, code) =>
      waitUntil(
        () => runs.at(-1)?.result.failures.find((failure) => failure.host === host && failure.code === code) ?? false,
        { what: `failure ${code} of ${host}`, timeoutMs: 40_000 },
      ),
    close: async () => {
      stop.abort();
      await running;
      await client.close();
      if (options.store === undefined) await store.close();
    },
  };
}

function observation(host: string, client: string): Observation {
  return lookUpOf(host, client, Math.floor(Date.now() / EVIDENCE_SLOT_MS) * EVIDENCE_SLOT_MS); // all within one slot
}
