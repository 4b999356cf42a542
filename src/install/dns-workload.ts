import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesObject, KubernetesResource } from '../kubernetes/kubernetes-object.js';
import { listResource } from '../kubernetes/list.js';
import { InstallError } from './install-error.js';

export const DEPLOYMENTS: KubernetesResource = { group: 'apps', version: 'v1', plural: 'deployments' };
export const CONFIG_MAPS: KubernetesResource = { group: '', version: 'v1', plural: 'configmaps' };
export const SERVICES: KubernetesResource = { group: '', version: 'v1', plural: 'services' };
export const PODS: KubernetesResource = { group: '', version: 'v1', plural: 'pods' };
const NODES: KubernetesResource = { group: '', version: 'v1', plural: 'nodes' };

/** The label that every installer of a cluster DNS uses, also for CoreDNS. */
const DNS_LABEL = 'k8s-app=kube-dns';

/** Where the CoreDNS of a cluster and its Corefile are. */
export interface DnsWorkload {
  readonly namespace: string;
  /** Name of its Deployment. */
  readonly name: string;
  /** The container that is CoreDNS. */
  readonly container: string;
  /** As its image's tag says; undefined for an image that is named by its digest. */
  readonly version: string | undefined;
  readonly labelSelector: string;
  /** The ConfigMap and its key that are mounted as the file that `-conf` names. */
  readonly configMap: string;
  readonly key: string;
  /** Address of the Service that pods ask. */
  readonly serviceAddress: string;
}

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly image?: string;
  readonly args?: readonly string[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

/** As much of a Deployment as is read here. */
export interface Deployment extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly template: {
      readonly metadata?: {
        readonly annotations?: Readonly<Record<string, string>>;
        readonly [field: string]: unknown;
      };
      readonly spec: PodSpec;
    };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
  };
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly [field: string]: unknown;
}

interface Volume {
  readonly name: string;
  readonly configMap?: {
    readonly name?: string;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
}

interface Service extends KubernetesObject {
  readonly spec: { readonly clusterIP?: string };
}

/**
 * Finds CoreDNS by its label and its Corefile through what its container mounts: during an upgrade by kubeadm the live key
 * is another one than `Corefile`.
 *
 * @throws InstallError INSTALL_ERR_NO_COREDNS, naming what there is instead
 * @throws KubernetesError
 */
export async function findDnsWorkload(
  client: KubernetesClient,
  namespace: string,
  signal?: AbortSignal,
): Promise<DnsWorkload> {
  const options = { client, namespace, labelSelector: DNS_LABEL, ...(signal && { signal }) };
  const { items: deployments } = await listResource({ ...options, resource: DEPLOYMENTS });
  const { items: services } = await listResource({ ...options, resource: SERVICES });
  // The server has checked them against its schema.
  const [service] = services as readonly Service[];
  const found = (deployments as readonly Deployment[]).flatMap((deployment) => {
    const coredns = corednsOf(deployment);
    return coredns === undefined
      ? []
      : [{ ...coredns, name: deployment.metadata.name, selector: selectorOf(deployment) }];
  });
  const [only] = found;
  if (only === undefined || found.length > 1 || service?.spec.clusterIP === undefined) {
    const names = deployments.map(({ metadata }) => metadata.name).join(', ');
    const what = `${names === '' ? 'no Deployment' : names} and ${services.length} Services`;
    throw new InstallError(
      'INSTALL_ERR_NO_COREDNS',
      `expected one Deployment of CoreDNS with a Corefile in a ConfigMap, and its Service, labelled ${DNS_LABEL} in ${namespace}; found ${what}`,
    );
  }
  const { selector: labelSelector, ...rest } = only;
  return { namespace, labelSelector, serviceAddress: service.spec.clusterIP, ...rest };
}

function corednsOf({ spec }: Deployment): Pick<DnsWorkload, 'container' | 'version' | 'configMap' | 'key'> | undefined {
  const { containers, volumes = [] } = spec.template.spec;
  for (const container of containers) {
    const corefile = corefileOf(container, volumes);
    if (corefile !== undefined) {
      return { container: container.name, version: versionOf(container.image ?? ''), ...corefile };
    }
  }
  return undefined;
}

/** The ConfigMap and key behind the file that `-conf` names. */
function corefileOf(
  { args = [], volumeMounts = [] }: Container,
  volumes: readonly Volume[],
): Pick<DnsWorkload, 'configMap' | 'key'> | undefined {
  const file = args.includes('-conf') ? args[args.indexOf('-conf') + 1] : undefined;
  const mount = volumeMounts.find(({ mountPath }) => file?.startsWith(`${mountPath}/`));
  const { name, items } = volumes.find((volume) => volume.name === mount?.name)?.configMap ?? {};
  if (file === undefined || mount === undefined || name === undefined) return undefined;
  const path = file.slice(mount.mountPath.length + 1);
  const key = items === undefined ? path : items.find((item) => item.path === path)?.key;
  return key === undefined ? undefined : { configMap: name, key };
}

/** `v1.11.3` of `…/coredns:v1.11.3`; a colon before a slash is that of a port. */
function versionOf(image: string): string | undefined {
  return /:(v?\d+\.\d+[^/:@]*)(?:@.*)?$/.exec(image)?.[1];
}

function selectorOf({ spec }: Deployment): string {
  return Object.entries(spec.selector.matchLabels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** A pod that answers. */
export interface ReadyPod {
  readonly name: string;
  readonly ip: string;
}

interface Pod extends KubernetesObject {
  readonly status?: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** The ready pods of a selector, and how many there are in all that are not being deleted. */
export async function readyPods(options: {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly labelSelector: string;
  readonly signal?: AbortSignal;
}): Promise<{ readonly ready: readonly ReadyPod[]; readonly total: number }> {
  const { items } = await listResource({ ...options, resource: PODS });
  const alive = (items as readonly Pod[]).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const ready = alive.flatMap(({ metadata, status }) => {
    const isReady = status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True');
    return isReady === true && status?.podIP !== undefined ? [{ name: metadata.name, ip: status.podIP }] : [];
  });
  return { ready, total: alive.length };
}

/** Whether every pod of a Deployment is of its present template and available. */
export function isRolledOut({ metadata, spec, status = {} }: Deployment): boolean {
  const replicas = spec.replicas ?? 1;
  const { observedGeneration = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  const isSeen = observedGeneration >= Number(metadata['generation'] ?? 0);
  return isSeen && updatedReplicas === replicas && status.replicas === replicas && availableReplicas === replicas;
}

interface Node extends KubernetesObject {
  readonly status?: { readonly nodeInfo?: { readonly kubeletVersion?: string } };
}

/** First version in which a kubelet keeps a container of `initContainers` running without a feature gate. */
const NATIVE_SIDECARS_SINCE_MINOR = 29;

/**
 * Whether the API server and every node know sidecar containers. Others would wait for the end of what they take for an
 * ordinary init container, and CoreDNS would never start.
 */
export async function hasNativeSidecars(client: KubernetesClient, signal?: AbortSignal): Promise<boolean> {
  const { body } = await client.request({ method: 'GET', path: '/version', ...(signal && { signal }) });
  const { gitVersion = '' } = body as { readonly gitVersion?: string }; // version.Info of every API server
  const { items } = await listResource({ client, resource: NODES, ...(signal && { signal }) });
  const versions = (items as readonly Node[]).map(({ status }) => status?.nodeInfo?.kubeletVersion ?? '');
  return [gitVersion, ...versions].every((version) => {
    const minor = /^v1\.(\d+)\./.exec(version)?.[1];
    return minor !== undefined && Number(minor) >= NATIVE_SIDECARS_SINCE_MINOR;
  });
}
