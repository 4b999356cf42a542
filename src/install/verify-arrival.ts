import type { KubernetesClient } from '../kubernetes/client.js';
import { KubernetesError } from '../kubernetes/kubernetes-error.js';
import { type KubernetesObject, resourcePath } from '../kubernetes/kubernetes-object.js';
import { listResource } from '../kubernetes/list.js';
import type { StoredCollector } from './store-report.js';

/** A collector, as its metrics say. */
export interface CollectorStatus {
  /** Namespace and name of its pod. */
  readonly pod: string;
  readonly connections: number;
  /** CLIENT_RESPONSE messages since it started; batches, where only the store could be asked. */
  readonly responses: number;
}

/**
 * Whether queries arrive, seen from outside.
 *
 * - `absent`: no collector is installed.
 * - `unreadable`: there are collectors, and none gives its metrics.
 * - `alone`: no CoreDNS is connected.
 * - `silent`: connected, and nothing has come.
 * - `arriving`: queries come.
 */
export interface ArrivalCheck {
  readonly state: 'absent' | 'alone' | 'arriving' | 'silent' | 'unreadable';
  readonly collectors: readonly CollectorStatus[];
  /** Why metrics could not be read, by pod. */
  readonly unreadable: readonly string[];
}

const LABELS = 'app.kubernetes.io/name=istio-discovery,app.kubernetes.io/component=collector';
/** Name of our container in the pods of CoreDNS. */
const SIDECAR = 'istio-discovery';
const DNS_LABELS = 'k8s-app=kube-dns';
const PODS = { group: '', version: 'v1', plural: 'pods' } as const;
const DEFAULT_HTTP_PORT = 8080;
const METRICS = 'text/plain';

/**
 * Reads the metrics of every collector, central or sidecar of CoreDNS, through the API server, which needs
 * `get pods/proxy`.
 *
 * @throws KubernetesError when pods cannot be listed
 */
export async function verifyArrival(
  client: KubernetesClient,
  dnsNamespace: string,
  signal?: AbortSignal,
): Promise<ArrivalCheck> {
  const options = { client, resource: PODS, ...(signal && { signal }) };
  const { items: central } = await listResource({ ...options, labelSelector: LABELS });
  const { items: dns } = await listResource({ ...options, namespace: dnsNamespace, labelSelector: DNS_LABELS });
  const pods = [...central, ...dns.filter((pod) => containersOf(pod).some(({ name }) => name === SIDECAR))];
  const collectors: CollectorStatus[] = [];
  const unreadable: string[] = [];
  for (const pod of pods) {
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    try {
      collectors.push({ pod: name, ...readCounts(await readMetrics(client, pod, signal)) });
    } catch (err) {
      if (!(err instanceof KubernetesError)) throw err;
      unreadable.push(`${name}: ${err.message}`);
    }
  }
  return { state: stateOf(pods.length, collectors), collectors, unreadable };
}

interface Container {
  readonly name?: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort?: number }[];
  readonly livenessProbe?: { readonly httpGet?: { readonly port?: number | string } };
}

interface PodFields {
  readonly spec?: { readonly containers?: readonly Container[]; readonly initContainers?: readonly Container[] };
}

/** Native sidecars are among the init containers. */
function containersOf(pod: KubernetesObject): readonly Container[] {
  const { containers = [], initContainers = [] } = (pod as PodFields).spec ?? {}; // every field is optional
  return [...containers, ...initContainers];
}

/** Where its liveness is asked: a sidecar declares no ports. */
function httpPort(pod: KubernetesObject): number {
  const containers = containersOf(pod);
  const ours = containers.find(({ name }) => name === SIDECAR) ?? containers[0];
  const port = ours?.livenessProbe?.httpGet?.port ?? 'http';
  if (typeof port === 'number') return port;
  return ours?.ports?.find(({ name }) => name === port)?.containerPort ?? DEFAULT_HTTP_PORT;
}

/** A collector that has not reported for longer has ended; they report every ten seconds. */
const MAX_SILENT_SECONDS = 120;

/** What the store knows, where the metrics could not be read. */
export function completeArrival(arrival: ArrivalCheck, stored: readonly StoredCollector[] = []): ArrivalCheck {
  if (arrival.state !== 'absent' && arrival.state !== 'unreadable') return arrival;
  const alive = stored.filter(({ secondsSinceReport }) => secondsSinceReport <= MAX_SILENT_SECONDS);
  const collectors = alive.map(({ name, connections, batches }) => ({ pod: name, connections, responses: batches }));
  return collectors.length === 0 ? arrival : { ...arrival, state: stateOf(collectors.length, collectors), collectors };
}

function stateOf(pods: number, collectors: readonly CollectorStatus[]): ArrivalCheck['state'] {
  if (pods === 0) return 'absent';
  if (collectors.length === 0) return 'unreadable';
  if (collectors.every(({ connections }) => connections === 0)) return 'alone';
  return collectors.every(({ responses }) => responses === 0) ? 'silent' : 'arriving';
}

/** @internal Connections and responses in the text of `/metrics`; what is not there counts as 0. */
export function readCounts(metrics: string): Omit<CollectorStatus, 'pod'> {
  const value = (name: string): number =>
    metrics
      .split('\n')
      .filter((line) => line.startsWith(`istio_discovery_${name} `) || line.startsWith(`istio_discovery_${name}{`))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  return { connections: value('intake_connections'), responses: value('observation_responses_total') };
}

/** A metrics page of ours has some kilobytes. */
const MAX_METRICS_BYTES = 1_048_576;
const SILENCE_MS = 5_000;

async function readMetrics(client: KubernetesClient, pod: KubernetesObject, signal?: AbortSignal): Promise<string> {
  const { namespace = '', name } = pod.metadata;
  const path = `${resourcePath(PODS, { namespace, name: `${name}:${httpPort(pod)}` })}/proxy/metrics`;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  await client.stream(
    { method: 'GET', path, accept: METRICS, ...(signal && { signal }) },
    {
      silenceMs: SILENCE_MS,
      onStart: () => undefined,
      onPiece: (piece) => {
        bytes += piece.length;
        if (bytes > MAX_METRICS_BYTES) {
          throw new KubernetesError('KUBERNETES_ERR_TOO_LARGE', `${path}: more than ${MAX_METRICS_BYTES} bytes`);
        }
        pieces.push(piece);
      },
    },
  );
  return Buffer.concat(pieces).toString('utf8');
}
