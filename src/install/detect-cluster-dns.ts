import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import type { ClusterObjects } from './cluster-objects.js';
import { importsCustomKey } from './custom-import.js';
import { detectNodeCache, type NodeCache } from './detect-node-cache.js';
import { versionOfImage } from './image-version.js';
import { type LiveCorefile, readLiveCorefile } from './live-corefile.js';
import { detectPlatform, kubeletVersion, type Platform } from './platform.js';
import { type ContainerFields, fieldManagersOf, labelsOf, podSpec, workloadFields } from './pod-template.js';

/** Through what the Corefile of this cluster has to be changed so that nobody changes it back. */
export type CorefileRoute =
  /** The ConfigMap itself. */
  | 'configmap'
  /** A key of our own in ConfigMap `coredns-custom` (k3s, AKS). */
  | 'coredns-custom'
  /** Values of the add-on (EKS). */
  | 'eks-addon'
  /** Values of the chart, in a HelmChartConfig (RKE2). */
  | 'helm-chart-config'
  /** The ConfigMap of NodeLocal DNSCache, in place of that of CoreDNS; see {@link tapPoint}. */
  | 'node-cache'
  /** The ConfigMap itself, by a person: CoreDNS is something else than one Deployment, which is all that `install` changes. */
  | 'by-hand'
  /** Nothing: whatever runs it undoes every change, or it has no Corefile. */
  | 'none';

/** The Deployment or DaemonSet that answers for the Service of the cluster DNS. */
export interface DnsWorkload {
  readonly kind: 'Deployment' | 'DaemonSet';
  readonly name: string;
  /** Other workloads whose pods answer for the same Service. */
  readonly others: readonly string[];
  /** Name of the container that answers. */
  readonly container: string;
  readonly image: string;
  /** Pods that are wanted, and those that are ready. */
  readonly replicas: number;
  readonly readyReplicas: number;
  /** Who else writes it, if that is known: `Helm`, `eks`, `addon-manager`, `aks`, `k3s` or `openshift`. */
  readonly managedBy?: string;
  /** As it was read. */
  readonly object: KubernetesObject;
}

/** What answers DNS in a cluster. */
export interface ClusterDns {
  /** `none`: no pods of the cluster answer; a service of the nodes or of the provider does. */
  readonly kind: 'coredns' | 'kube-dns' | 'none';
  readonly platform: Platform;
  readonly namespace: string;
  readonly service?: { readonly name: string; readonly clusterIp: string };
  readonly workload?: DnsWorkload;
  /** Version of CoreDNS as the tag of its image has it; absent where the image is named by digest. */
  readonly version?: string;
  readonly corefile?: LiveCorefile;
  readonly route: CorefileRoute;
  /** A cache on each node in front of it. */
  readonly nodeCache?: NodeCache;
  /** Versions of the kubelets, each once, sorted. */
  readonly kubeletVersions: readonly string[];
}

/** Where cluster DNS is found; the first in which there is one counts. */
const NAMESPACES = ['kube-system', 'openshift-dns'] as const;

const DNS_PORT = 53;
/** The one that NodeLocal DNSCache asks; it selects the same pods. */
const UPSTREAM_SERVICE = 'kube-dns-upstream';

/**
 * Finds the cluster DNS by its Service, the workload by the Service's selector, and the Corefile by the workload's volumes.
 *
 * @throws KubernetesError where a right is missing: nothing is known then, which is not the same as nothing being there
 */
export async function detectClusterDns(objects: ClusterObjects): Promise<ClusterDns> {
  const nodes = await objects.list('Node');
  const hasKubeadmConfig = (await objects.get('ConfigMap', 'kube-system', 'kubeadm-config')) !== undefined;
  const kubeletVersions = [...new Set(nodes.map(kubeletVersion).filter((version) => version !== ''))].sort();
  const found = await findDns(objects);
  const isOpenshiftDns = found?.at.namespace === 'openshift-dns';
  const platform = detectPlatform({ nodes, hasKubeadmConfig, isOpenshiftDns });
  const nodeCache = await detectNodeCache(objects, nodes, found?.at.service.clusterIp ?? '');
  const common = { platform, kubeletVersions, ...(nodeCache && { nodeCache }) };
  if (found?.selected !== undefined)
    return { ...common, ...(await describeDns(objects, found.selected, platform)), ...found.at };
  return { ...common, kind: 'none', route: 'none', ...(found?.at ?? { namespace: NAMESPACES[0] }) };
}

/**
 * Where the tap has to be to see external names: where NodeLocal DNSCache sends those past CoreDNS, its own Corefile and
 * version in place of CoreDNS's.
 */
export function tapPoint(dns: ClusterDns): ClusterDns {
  const { nodeCache, version: _, ...rest } = dns;
  if (dns.kind !== 'coredns' || nodeCache?.bypassesClusterDns !== true || nodeCache.corefile === undefined) return dns;
  const { corefile, version } = nodeCache;
  return { ...rest, nodeCache, corefile, route: 'node-cache', ...(version !== undefined && { version }) };
}

type WorkloadDns = Pick<ClusterDns, 'corefile' | 'kind' | 'route' | 'version' | 'workload'>;

async function describeDns(
  objects: ClusterObjects,
  { workload, others }: Selected,
  platform: Platform,
): Promise<WorkloadDns> {
  const containers = podSpec(workload).containers ?? [];
  const container = containers.find(isCoreDns);
  if (container === undefined) {
    const first = containers[0] ?? {};
    const described = { ...describeWorkload(workload, first, platform), others };
    return { kind: 'kube-dns', route: 'none', workload: described };
  }
  const corefile = await readLiveCorefile(objects, { workload, container });
  const version = versionOfImage(container.image ?? '');
  return {
    kind: 'coredns',
    route: corefile === undefined ? 'none' : routeOf(platform, { workload, others, corefile }),
    workload: { ...describeWorkload(workload, container, platform), others },
    ...(version !== undefined && { version }),
    ...(corefile && { corefile }),
  };
}

interface FoundDns {
  readonly at: { readonly namespace: string; readonly service: NonNullable<ClusterDns['service']> };
  readonly selected?: Selected;
}

interface Selected {
  readonly workload: KubernetesObject;
  /** Names of further ones. */
  readonly others: readonly string[];
}

async function findDns(objects: ClusterObjects): Promise<FoundDns | undefined> {
  for (const namespace of NAMESPACES) {
    const services = (await objects.list('Service', namespace)).filter(isDnsService);
    const service = services.find(hasUsualName) ?? services[0];
    if (service === undefined) continue;
    const { clusterIP = '', selector = {} } = (service as ServiceFields).spec ?? {}; // every field is optional
    const at = { namespace, service: { name: service.metadata.name, clusterIp: clusterIP } };
    const selected = await findSelected(objects, namespace, selector);
    return selected === undefined ? { at } : { at, selected };
  }
  return undefined;
}

interface ServiceFields {
  readonly spec?: {
    readonly clusterIP?: string;
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly { readonly port?: number }[];
  };
}

function isDnsService(service: KubernetesObject): boolean {
  const { clusterIP, ports = [] } = (service as ServiceFields).spec ?? {}; // every field is optional
  // What the chart of CoreDNS installs has only this label of the usual ones.
  const isNamedSo = hasUsualName(service) || labelsOf(service)['kubernetes.io/name']?.toLowerCase() === 'coredns';
  const isUpstream = service.metadata.name === UPSTREAM_SERVICE;
  return isNamedSo && !isUpstream && clusterIP !== 'None' && ports.some(({ port }) => port === DNS_PORT);
}

function hasUsualName(service: KubernetesObject): boolean {
  return ['kube-dns', 'dns-default'].includes(service.metadata.name) || labelsOf(service)['k8s-app'] === 'kube-dns';
}

/** The workload whose pods the Service selects, a CoreDNS first; one that is scaled to nothing has been replaced by another. */
async function findSelected(
  objects: ClusterObjects,
  namespace: string,
  selector: Readonly<Record<string, string>>,
): Promise<Selected | undefined> {
  const wanted = Object.entries(selector);
  if (wanted.length === 0) return undefined;
  const workloads = [...(await objects.list('Deployment', namespace)), ...(await objects.list('DaemonSet', namespace))];
  const running = workloads
    .filter((workload) => {
      const labels = workloadFields(workload).spec?.template?.metadata?.labels ?? {};
      return wanted.every(([name, value]) => labels[name] === value);
    })
    .filter((workload) => workloadFields(workload).spec?.replicas !== 0);
  const workload = running.find((each) => podSpec(each).containers?.some(isCoreDns)) ?? running[0];
  if (workload === undefined) return undefined;
  return { workload, others: running.filter((each) => each !== workload).map(({ metadata }) => metadata.name) };
}

/** By its arguments too: a mirror may call its image anything. */
function isCoreDns({ image = '', args = [], command = [] }: ContainerFields): boolean {
  return /coredns/.test(image) || [...command, ...args].some((word) => /^--?conf(?:=|$)|^\/?coredns$/.test(word));
}

function describeWorkload(
  object: KubernetesObject,
  container: ContainerFields,
  platform: Platform,
): Omit<DnsWorkload, 'others'> {
  const managedBy = managerOf(object, platform);
  const { name: containerName = '', image = '' } = container;
  return {
    name: object.metadata.name,
    container: containerName,
    image,
    ...replicasOf(object),
    ...(managedBy !== undefined && { managedBy }),
    object,
  };
}

function replicasOf(object: KubernetesObject): Pick<DnsWorkload, 'kind' | 'readyReplicas' | 'replicas'> {
  const { spec = {}, status = {} } = workloadFields(object);
  if (object.kind === 'DaemonSet') {
    const { desiredNumberScheduled: replicas = 0, numberReady: readyReplicas = 0 } = status;
    return { kind: 'DaemonSet', replicas, readyReplicas };
  }
  return { kind: 'Deployment', replicas: spec.replicas ?? 1, readyReplicas: status.readyReplicas ?? 0 };
}

function managerOf(object: KubernetesObject, platform: Platform): string | undefined {
  const labels = labelsOf(object);
  if (platform === 'openshift' || platform === 'aks' || platform === 'k3s') return platform;
  if (isEksAddon(object)) return 'eks';
  if (labels['app.kubernetes.io/managed-by'] === 'Helm') return 'Helm';
  return labels['addonmanager.kubernetes.io/mode'] === 'Reconcile' ? 'addon-manager' : undefined;
}

function routeOf(
  platform: Platform,
  { workload, others, corefile }: Selected & { readonly corefile: LiveCorefile },
): CorefileRoute {
  if (platform === 'openshift') return 'none';
  if (platform === 'rke2') return 'helm-chart-config';
  if (isEksAddon(workload)) return 'eks-addon';
  const hasCustom = podSpec(workload).volumes?.some(({ configMap }) => configMap?.name === 'coredns-custom');
  if (hasCustom === true && importsCustomKey(corefile)) return 'coredns-custom';
  return workload.kind === 'Deployment' && others.length === 0 ? 'configmap' : 'by-hand';
}

/** The add-on writes by server-side apply as `eks`; a CoreDNS that somebody installed has the same labels, but not that. */
function isEksAddon(object: KubernetesObject): boolean {
  return fieldManagersOf(object).includes('eks');
}
