import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesObject, KubernetesResource } from '../kubernetes/kubernetes-object.js';
import { listResource } from '../kubernetes/list.js';
import { readObject } from '../kubernetes/objects.js';
import { liveObjects } from './cluster-objects.js';
import { parseCorefile } from './corefile/parser.js';
import { clusterDomainsOf } from './corefile/served-zones.js';
import type { CorefileContext } from './corefile/survey.js';
import { type CorefileRoute, detectClusterDns } from './detect-cluster-dns.js';
import { InstallError } from './install-error.js';
import type { LiveCorefile } from './live-corefile.js';

export const DEPLOYMENTS: KubernetesResource = { group: 'apps', version: 'v1', plural: 'deployments' };
export const CONFIG_MAPS: KubernetesResource = { group: '', version: 'v1', plural: 'configmaps' };
export const SERVICES: KubernetesResource = { group: '', version: 'v1', plural: 'services' };
export const PODS: KubernetesResource = { group: '', version: 'v1', plural: 'pods' };
const NODES: KubernetesResource = { group: '', version: 'v1', plural: 'nodes' };

/** Where the CoreDNS of a cluster and its Corefile are. */
export interface DnsPlace {
  readonly namespace: string;
  /** Name of its Deployment. */
  readonly name: string;
  /** Of its pods. */
  readonly labelSelector: string;
  /** The ConfigMap and its key that are mounted as the file that `-conf` names. */
  readonly configMap: string;
  readonly key: string;
}

/** The same, with what is needed to change it. */
export interface DnsWorkload extends DnsPlace {
  /** The container that is CoreDNS. */
  readonly container: string;
  /** Address of the Service that pods ask. */
  readonly serviceAddress: string;
  /** Domains of the cluster that it serves by its Corefile. */
  readonly clusterDomains: readonly string[];
  /** Whether a cache on the nodes keeps external names from it. */
  readonly isBypassed: boolean;
  /** The version, and what its Corefile may import. */
  readonly context: Pick<CorefileContext, 'environment' | 'files' | 'version'>;
}

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly ports?: readonly { readonly hostPort?: number }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

/** How pods are replaced. */
export interface DeploymentStrategy {
  readonly type?: string;
  readonly rollingUpdate?: { readonly maxUnavailable?: number | string; readonly maxSurge?: number | string };
}

/** As much of a Deployment as is read and changed here. */
export interface Deployment extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly strategy?: DeploymentStrategy;
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
  readonly volumes?: readonly { readonly name: string }[];
  readonly hostNetwork?: boolean;
  readonly affinity?: {
    readonly podAntiAffinity?: { readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly object[] };
  };
  readonly [field: string]: unknown;
}

/** What to do instead, where the Corefile is not ours to write. */
const OTHER_ROUTES: Readonly<Record<Exclude<CorefileRoute, 'configmap'>, string>> = {
  'by-hand': 'the pods are not those of one Deployment; add the dnstap line to the Corefile yourself',
  'coredns-custom': 'add the dnstap line under a key *.override of the ConfigMap coredns-custom',
  'eks-addon': 'add the dnstap line through the configuration values of the EKS add-on',
  'helm-chart-config': 'add the dnstap line through the values of a HelmChartConfig',
  'node-cache': 'external names pass only by the cache on the nodes; add the dnstap line to its Corefile',
  none: 'it cannot be tapped',
};

/**
 * The CoreDNS of the cluster, where it is ours to change.
 *
 * @throws InstallError INSTALL_ERR_NO_COREDNS, with what there is instead and what can be done
 * @throws KubernetesError
 */
export async function findDnsWorkload(client: KubernetesClient, signal?: AbortSignal): Promise<DnsWorkload> {
  const dns = await detectClusterDns(liveObjects(client, signal));
  const { kind, platform, route, namespace, service, workload, corefile, version } = dns;
  if (kind !== 'coredns' || service === undefined || workload?.kind !== 'Deployment' || corefile === undefined) {
    const found = `${kind}${workload === undefined ? '' : ` in ${workload.kind} ${namespace}/${workload.name}`}`;
    throw new InstallError(
      'INSTALL_ERR_NO_COREDNS',
      `expected a Deployment of CoreDNS with a Corefile, found ${found}`,
    );
  }
  if (route !== 'configmap') {
    const what = `CoreDNS of this cluster (${platform}) gets its Corefile from elsewhere: ${OTHER_ROUTES[route]}`;
    throw new InstallError(
      'INSTALL_ERR_NO_COREDNS',
      `${what}; \`istio-discovery doctor\` has the commands. Install with clusterDns.configure=false`,
    );
  }
  const { configMap, key, files, environment } = corefile;
  return {
    namespace,
    name: workload.name,
    container: workload.container,
    labelSelector: labelSelectorOf(workload.object as Deployment), // by its kind
    configMap,
    key,
    serviceAddress: service.clusterIp,
    clusterDomains: servedDomains(corefile),
    isBypassed: dns.nodeCache?.bypassesClusterDns ?? false,
    context: { files, environment, ...(version !== undefined && { version }) },
  };
}

function servedDomains({ text, ...imports }: LiveCorefile): readonly string[] {
  const corefile = parseCorefile(Buffer.from(text), imports);
  return 'problem' in corefile ? [] : clusterDomainsOf(corefile.blocks);
}

/** Where something was changed once, to put it back: undefined where it is gone. @throws KubernetesError */
export async function recordedDnsWorkload(
  client: KubernetesClient,
  place: Pick<DnsPlace, 'configMap' | 'key' | 'namespace'> & { readonly deployment: string },
  signal?: AbortSignal,
): Promise<DnsPlace | undefined> {
  const { namespace, deployment: name, configMap, key } = place;
  const at = { client, namespace, ...(signal && { signal }) };
  const deployment = (await readObject({ ...at, resource: DEPLOYMENTS, name })) as Deployment | undefined; // by its resource
  const map = await readObject({ ...at, resource: CONFIG_MAPS, name: configMap });
  if (deployment === undefined || map === undefined) return undefined;
  return { namespace, name, configMap, key, labelSelector: labelSelectorOf(deployment) };
}

function labelSelectorOf({ spec }: Deployment): string {
  return Object.entries(spec.selector.matchLabels ?? {})
    .map(([label, value]) => `${label}=${value}`)
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
