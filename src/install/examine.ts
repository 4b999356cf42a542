import type { KubernetesClient } from '../kubernetes/client.js';
import { discoverVersion } from '../kubernetes/discovery.js';
import { KubernetesError } from '../kubernetes/kubernetes-error.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { type ClusterObjects, isForbidden, liveObjects } from './cluster-objects.js';
import { checkCorefile } from './corefile/check-corefile.js';
import { type ClusterDns, detectClusterDns } from './detect-cluster-dns.js';
import { detectIstio } from './detect-istio.js';
import { detectStore } from './detect-store.js';
import { diagnose, type DoctorReport } from './doctor.js';
import { readOfflineObjects } from './offline-objects.js';
import { labelsOf } from './pod-template.js';
import { type ReviewedRight, reviewRights, rightsToInstall } from './rights.js';
import type { StoreReport } from './store-report.js';
import { completeArrival, verifyArrival } from './verify-arrival.js';

export interface ExamineOptions {
  /** A cluster, or a directory of its objects, where rights and collectors cannot be asked. */
  readonly from: { readonly client: KubernetesClient } | { readonly directory: string };
  /** Our namespace. */
  readonly namespace: string;
  /** Where CoreDNS sends to, or is to send to. @defaultValue the Service of the collector, else what the Corefile has */
  readonly endpoint?: string | undefined;
  /** @defaultValue what the objects of the bundled Redis tell */
  readonly store?: StoreReport | undefined;
  readonly signal?: AbortSignal;
}

/** Stands in commands for the address of a Service that does not exist yet (RFC 5737). */
const EXAMPLE_ENDPOINT = 'tcp://192.0.2.1:6000';

/** Where nothing can be said about the cluster without reading it. */
const ESSENTIAL_NAMESPACES: readonly (string | undefined)[] = ['kube-system', 'openshift-dns'];

/**
 * Finds out what a cluster is and what installation would do, or does. Changes nothing.
 *
 * @throws KubernetesError, also when the cluster DNS cannot be read for want of rights; OfflineObjectsError
 */
export async function examine(options: ExamineOptions): Promise<DoctorReport> {
  const { from, namespace, signal } = options;
  const notRead = new Set<string>();
  const source = 'client' in from ? liveObjects(from.client, signal) : await readOfflineObjects(from.directory);
  const objects = tolerant(source, notRead);
  const dns = await detectClusterDns(objects);
  const istio = await detectIstio(objects);
  const endpoint = options.endpoint ?? (await findEndpoint(objects, { namespace, dns }));
  const store = options.store ?? (await detectStore(objects, namespace));
  return diagnose({
    dns,
    istio,
    mayHaveIstio: istio === undefined && notRead.size > 0,
    store,
    namespace,
    endpoint: endpoint ?? EXAMPLE_ENDPOINT,
    isExampleEndpoint: endpoint === undefined,
    ...('client' in from && (await askCluster(from.client, { dns, namespace, store, signal, notRead }))),
    notRead: [...notRead].sort(),
  });
}

interface Question {
  readonly dns: ClusterDns;
  readonly namespace: string;
  readonly store: StoreReport | undefined;
  readonly signal: AbortSignal | undefined;
  readonly notRead: Set<string>;
}

async function askCluster(client: KubernetesClient, { dns, namespace, store, signal, notRead }: Question) {
  const changesCorefile = dns.route === 'configmap';
  const wanted = rightsToInstall({ dnsNamespace: dns.namespace, namespace, changesCorefile });
  const rights: readonly ReviewedRight[] = await reviewRights(client, wanted, signal);
  const asked = { rights, servesServiceEntries: await servesServiceEntries(client, signal) };
  try {
    return {
      ...asked,
      arrival: completeArrival(await verifyArrival(client, dns.namespace, signal), store?.collectors),
    };
  } catch (err) {
    if (!isForbidden(err)) throw err;
    notRead.add('Pod');
    return asked;
  }
}

async function servesServiceEntries(client: KubernetesClient, signal: AbortSignal | undefined): Promise<boolean> {
  const options = { group: 'networking.istio.io', plural: 'serviceentries', versions: ['v1', 'v1beta1', 'v1alpha3'] };
  try {
    await discoverVersion({ client, ...options, ...(signal && { signal }) });
    return true;
  } catch (err) {
    if (err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_RESOURCE_ABSENT') return false;
    throw err;
  }
}

/** The Service of the central collector, else the endpoint of the tap that we have put into the Corefile. */
async function findEndpoint(
  objects: ClusterObjects,
  { namespace, dns }: { readonly namespace: string; readonly dns: ClusterDns },
): Promise<string | undefined> {
  const service = (await objects.list('Service', namespace)).find(isCollector);
  return (service && endpointOf(service)) ?? endpointInCorefile(dns);
}

function endpointOf(service: KubernetesObject): string | undefined {
  const { clusterIP, ports } = (service as ServiceFields).spec ?? {};
  const port = ports?.[0]?.port;
  if (clusterIP === undefined || port === undefined) return undefined;
  return `tcp://${clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP}:${port}`;
}

function endpointInCorefile({ corefile }: ClusterDns): string | undefined {
  if (corefile === undefined) return undefined;
  const check = checkCorefile(corefile.text, corefile);
  const taps = 'refused' in check ? [] : check.blocks.flatMap((block) => block.taps);
  const endpoint = taps.find(({ ours }) => ours)?.endpoint;
  return endpoint?.startsWith('/') === true ? `unix://${endpoint}` : endpoint;
}

/** Every field is optional: a file may hold anything. */
interface ServiceFields {
  readonly spec?: { readonly clusterIP?: string; readonly ports?: readonly { readonly port?: number }[] };
}

function isCollector(service: KubernetesObject): boolean {
  const labels = labelsOf(service);
  return (
    labels['app.kubernetes.io/name'] === 'istio-discovery' && labels['app.kubernetes.io/component'] === 'collector'
  );
}

/** Goes on without what a right is missing for, and says so, except where the cluster DNS is. */
function tolerant(objects: ClusterObjects, notRead: Set<string>): ClusterObjects {
  const orElse = async <T>(reading: Promise<T>, what: string, fallback: T): Promise<T> => {
    try {
      return await reading;
    } catch (err) {
      if (!isForbidden(err)) throw err;
      notRead.add(what);
      return fallback;
    }
  };
  const describe = (kind: string, namespace?: string): string =>
    namespace === undefined ? kind : `${kind} in ${namespace}`;
  return {
    list: (kind, namespace) => {
      const reading = objects.list(kind, namespace);
      return ESSENTIAL_NAMESPACES.includes(namespace) ? reading : orElse(reading, describe(kind, namespace), []);
    },
    get: (kind, namespace, name) => {
      const reading = objects.get(kind, namespace, name);
      if (ESSENTIAL_NAMESPACES.includes(namespace)) return reading;
      return orElse(reading, describe(kind, namespace), undefined);
    },
  };
}
