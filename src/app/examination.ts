import { isInCluster, processEnvironment } from '../config/load.js';
import type { Configuration } from '../config/schema.js';
import type { DoctorReport } from '../install/doctor.js';
import type { StoreReport } from '../install/store-report.js';
import type { InstallationView } from '../install/view-installation.js';
import { openSharedStore, redisOptions } from './store.js';

/** Where the chart goes unless told. */
const DEFAULT_NAMESPACE = 'istio-discovery';

/** Whether the cluster takes ServiceEntries; `unknown` where there is no cluster to ask, or it does not answer. */
export type IstioPresence =
  | { readonly crds: 'present'; readonly version: string }
  | { readonly crds: 'absent' }
  | { readonly crds: 'unknown'; readonly code: string; readonly reason: string };

/** A person waits for it. */
const ISTIO_LOOK_MS = 3000;

/** Looks for Istio's custom resource definitions, as every process may that reaches the cluster. */
export async function lookForIstio({ kubernetes }: Configuration): Promise<IstioPresence> {
  const [{ KubernetesClient }, { KubernetesError }, { discoverVersion }, { SERVICE_ENTRIES }] = await Promise.all([
    import('../kubernetes/client.js'),
    import('../kubernetes/kubernetes-error.js'),
    import('../kubernetes/discovery.js'),
    import('../reconciler/cluster-resources.js'),
  ]);
  const { kubeconfig, context } = kubernetes;
  try {
    const named = { ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) };
    const client = KubernetesClient.load({ ...named, timeoutMs: ISTIO_LOOK_MS });
    try {
      return { crds: 'present', version: await discoverVersion({ client, ...SERVICE_ENTRIES }) };
    } finally {
      await client.close();
    }
  } catch (err) {
    if (!(err instanceof KubernetesError)) throw err;
    if (err.code === 'KUBERNETES_ERR_RESOURCE_ABSENT') return { crds: 'absent' };
    return { crds: 'unknown', code: err.code, reason: err.message };
  }
}

export interface ExaminationOptions {
  /** A directory of objects in place of a cluster. */
  readonly offline: string | undefined;
  readonly endpoint: string | undefined;
  readonly signal: AbortSignal;
}

/** What the cluster is and what installation would do, or does. Changes nothing. */
export async function examineCluster(
  configuration: Configuration,
  { offline, endpoint, signal }: ExaminationOptions,
): Promise<DoctorReport> {
  const { examine } = await import('../install/examine.js');
  const { kubeconfig, context, namespace = DEFAULT_NAMESPACE } = configuration.kubernetes;
  const options = { namespace, endpoint, store: await examineStore(configuration), signal };
  if (offline !== undefined) return examine({ ...options, from: { directory: offline } });
  const { KubernetesClient } = await import('../kubernetes/client.js');
  const client = KubernetesClient.load({ ...(kubeconfig && { kubeconfig }), ...(context && { context }) });
  try {
    return await examine({ ...options, from: { client } });
  } finally {
    await client.close();
  }
}

/** Looks at the cluster that the settings name, or that this is a pod of; undefined where there is none. Changes nothing. */
export async function lookAtInstallation(
  { istio, kubernetes }: Configuration,
  signal: AbortSignal,
): Promise<InstallationView | undefined> {
  const { kubeconfig, context } = kubernetes;
  if (kubeconfig === undefined && context === undefined && !isInCluster(processEnvironment())) return undefined;
  const [{ openClient }, { viewInstallation }] = await Promise.all([
    import('../install/open-client.js'),
    import('../install/view-installation.js'),
  ]);
  const client = openClient(kubernetes);
  try {
    const namespace = kubernetes.namespace ?? client.namespace ?? DEFAULT_NAMESPACE;
    return await viewInstallation({ client, namespace, owner: istio.owner, nowMs: Date.now(), signal });
  } finally {
    await client.close();
  }
}

/** Only a Redis is asked: to open an embedded store would make one. */
async function examineStore(configuration: Configuration): Promise<StoreReport | undefined> {
  const url = configuration.store.url?.reveal();
  if (url === undefined || url.startsWith('embedded://')) return undefined;
  const { inspectRedis } = await import('../host/inspect-redis.js');
  try {
    const inspection = await inspectRedis(redisOptions(configuration, url));
    return { kind: 'redis', reachable: true, ...inspection, collectors: await readCollectors(configuration) };
  } catch (err) {
    return { kind: 'redis', reachable: false, reason: err instanceof Error ? err.message : String(err) };
  }
}

async function readCollectors(configuration: Configuration): Promise<NonNullable<StoreReport['collectors']>> {
  const store = await openSharedStore(configuration);
  try {
    const sources = (await store.sources()).filter(({ kind, untilMs }) => kind === 'dnstap' && untilMs > 0);
    return sources.map(({ name, connections, batches, untilMs }) => {
      return { name, connections, batches, secondsSinceReport: Math.round((Date.now() - untilMs) / 1000) };
    });
  } finally {
    await store.close();
  }
}
