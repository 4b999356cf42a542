import type { ReconcileStatus } from '../../src/reconciler/reconcile-once.js';
import { hostname } from '../istio/hostname.js';
import { startLiveReconciler, type LiveReconciler } from '../reconciler/live-reconciler.js';
import { applyObjects, startIstiod, type Istiod, type IstiodOptions, type MeshProxy } from '../support/istiod.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { configChanges, type ProxyConfig } from '../support/proxy-config.js';
import { waitUntil } from '../support/wait-until.js';

/** `[host, namespace of the pod that looks it up]` */
export type LookUp = readonly [host: string, namespace: string];

/** @see TestMesh.learn */
export interface Learning {
  readonly lookUps: readonly LookUp[];
  /** Settings, by the name of their flag. */
  readonly flags?: Readonly<Record<string, string | readonly string[]>>;
  /** Hosts that a person decides about after the look-ups. */
  readonly approved?: readonly string[];
  readonly ignored?: readonly string[];
}

/** A cluster with an istiod, and the program that writes entries into it. */
export interface TestMesh {
  readonly apiServer: KubeApiserver;
  readonly istiod: Istiod;
  /** Lets the real reconciler learn hosts and write what it would, until it has nothing left to do; returns its last run. */
  learn(learning: Learning): Promise<ReconcileStatus>;
  /** Writes objects as an operator of the mesh would. */
  apply(...objects: readonly object[]): Promise<void>;
  /** What each proxy is served, as soon as istiod serves by all that was written, Sidecars excepted. */
  served<T extends Readonly<Record<string, MeshProxy>>>(proxies: T): Promise<Record<keyof T, ProxyConfig>>;
  /** Removes all objects of Istio, whoever wrote them. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

const KINDS = 'serviceentries,virtualservices,destinationrules,sidecars';

export async function startTestMesh(
  namespaces: readonly string[],
  options: Omit<IstiodOptions, 'apiServer'> = {},
): Promise<TestMesh> {
  const apiServer = await startKubeApiserver({ crds: 'istio-crds' });
  await applyObjects(
    apiServer,
    namespaces.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
  );
  const istiod = await startIstiod({ apiServer, ...options });
  return {
    apiServer,
    istiod,
    learn: async (learning) => {
      const flags = { 'reconcile-delete-after-seconds': '0', 'reconcile-delete-after-runs': '1', ...learning.flags };
      const live = await startLiveReconciler({
        kubeconfigFile: apiServer.kubeconfigFile,
        flags: { 'reconcile-max-deletion-share': '1', ...flags },
      });
      try {
        return await learnIn(live, learning);
      } finally {
        await live.close();
      }
    },
    apply: async (...objects) => applyObjects(apiServer, objects),
    served: async (proxies) => {
      const configs = await istiod.settledConfigs(Object.values(proxies));
      const named = Object.keys(proxies).map((name, index) => [name, configs[index]]);
      return Object.fromEntries(named) as Record<keyof typeof proxies, ProxyConfig>; // one for each
    },
    clear: async () => {
      await apiServer.kubectl(['delete', KINDS, '--all', '--all-namespaces', '--wait=false']);
    },
    stop: async () => {
      await istiod.stop();
      await apiServer.stop();
    },
  };
}

async function learnIn(live: LiveReconciler, learning: Learning): Promise<ReconcileStatus> {
  const { lookUps, approved = [], ignored = [] } = learning;
  for (const [host, namespace] of lookUps) await live.lookUp(host, namespace);
  const decide = async (host: string, kind: 'approve' | 'ignore'): Promise<void> => {
    await live.store.decide({ hostname: hostname(host), kind, by: 'test', why: '', atMs: Date.now() });
  };
  for (const host of approved) await decide(host, 'approve');
  await waitForRest(live, lookUps.length);
  for (const host of ignored) await decide(host, 'ignore');
  if (ignored.length > 0) live.runs.length = 0;
  return waitForRest(live, lookUps.length);
}

/** Waits for a run that knows of all look-ups and changes nothing. */
async function waitForRest(live: LiveReconciler, lookUps: number): Promise<ReconcileStatus> {
  const resting = (): ReconcileStatus | false => {
    const last = live.runs.at(-1);
    if (last === undefined || last.waiting > 0) return false;
    const { create, update, delete: deletes } = last.plan;
    const known = Object.values(last.hosts).reduce((sum, count) => sum + count, 0);
    return create.length + update.length + deletes.length === 0 && (known > 0 || lookUps === 0) && last;
  };
  return waitUntil(resting, { what: 'a run that changes nothing' });
}

/** What became different between two looks at a proxy. */
export const changes = configChanges;
