import type { SearchList } from '../host/search-list.js';
import { normalizeAddress } from './address.js';
import { arrayOf, objectOf, textOf, timeMsOf, type JsonObject } from './json-value.js';

/** The controlling owner of an object, from `metadata.ownerReferences`. */
export interface ControllerReference {
  readonly kind: string;
  readonly name: string;
  readonly uid?: string | undefined;
}

/**
 * What a pod does with DNS. A ztunnel asks for the pods of its node; a gateway or waypoint asks for itself, for its own
 * connections, even where somebody else's request is the reason.
 */
export type PodRole = 'workload' | 'gateway' | 'ztunnel';

interface ObjectFacts {
  /** `metadata.uid`; made of namespace, name and creation time where a file leaves it out. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly createdAtMs?: number | undefined;
}

/**
 * What is kept of a Pod. Every field is there in every object, if only as undefined: with the fields of some left out, V8
 * makes a hidden class for each of twenty thousand objects, which is more memory than the facts.
 */
export interface PodFacts extends ObjectFacts {
  readonly kind: 'Pod';
  readonly role: PodRole;
  readonly nodeName?: string | undefined;
  readonly isHostNetwork: boolean;
  /** A static pod's image in the API (annotation `kubernetes.io/config.mirror`). */
  readonly isMirror: boolean;
  readonly controller?: ControllerReference | undefined;
  /** Of a pod with a search list of its own (`dnsPolicy` None or Default). Others also walk the cluster's domains. */
  readonly searchList?: SearchList | undefined;
  /** Label `pod-template-hash`, which a Deployment's ReplicaSet sets. */
  readonly templateHash?: string | undefined;
  /** Label `rollouts-pod-template-hash`, which an Argo Rollout's ReplicaSet sets. */
  readonly rolloutHash?: string | undefined;
  readonly addresses: readonly string[];
  readonly nodeAddresses: readonly string[];
  /** `status.startTime`: the kubelet has seen the pod, which is before it has an address. */
  readonly startedAtMs?: number | undefined;
  /** Start of the first container; undefined when a restart has hidden it, or when nothing has started. */
  readonly firstContainerAtMs?: number | undefined;
  /** End of the last container (of its second, as the time has whole seconds); undefined while one may run again. */
  readonly finishedAtMs?: number | undefined;
  /** Phase Succeeded or Failed: no container will run again. */
  readonly isFinished: boolean;
  /** `metadata.deletionTimestamp` with the grace period once more: at the latest then the kubelet has killed it. */
  readonly killedByMs?: number | undefined;
}

/** What is kept of a Node. */
export interface NodeFacts extends ObjectFacts {
  readonly kind: 'Node';
  readonly addresses: readonly string[];
}

/** What is kept of a ReplicaSet or Job: who controls it. */
export interface OwnerFacts extends ObjectFacts {
  readonly kind: 'ReplicaSet' | 'Job';
  readonly controller?: ControllerReference | undefined;
}

/** What is kept of a CronJob: when it runs. */
export interface CronJobFacts extends ObjectFacts {
  readonly kind: 'CronJob';
  /** Five fields, or a macro such as `@monthly`. */
  readonly schedule: string;
  /** IANA name. */
  readonly timeZone?: string | undefined;
  readonly isSuspended: boolean;
}

export type KubernetesObject = PodFacts | NodeFacts | OwnerFacts | CronJobFacts;

/** The kinds worth watching: every other object says nothing about who a client is. */
export const WORKLOAD_KINDS = ['Pod', 'Node', 'ReplicaSet', 'Job', 'CronJob'] as const;

/** `status.*.finishedAt` has whole seconds: the container ran until some moment of that second. */
const SECOND_MS = 1000;

export type ObjectSkip = 'kind-not-needed' | 'no-kind' | 'no-name';

/**
 * Reads a Kubernetes object: JSON, or what a typed client made of it (times as Date).
 *
 * @param kind for items of a typed list, which do not name their kind.
 */
export function readKubernetesObject(
  value: unknown,
  kind?: string,
): KubernetesObject | { readonly skipped: ObjectSkip } {
  const object = objectOf(value);
  const known = textOf(object['kind']) ?? kind;
  if (known === undefined) return { skipped: 'no-kind' };
  const facts = readFacts(objectOf(object['metadata']));
  if (facts === undefined) return { skipped: 'no-name' };
  switch (known) {
    case 'Pod':
      return readPod(object, facts);
    case 'Node':
      return { ...facts, kind: 'Node', addresses: readNodeAddresses(object) };
    case 'ReplicaSet':
    case 'Job':
      return { ...facts, kind: known, controller: readController(objectOf(object['metadata'])) };
    case 'CronJob':
      return readCronJob(objectOf(object['spec']), facts);
    default:
      return { skipped: 'kind-not-needed' };
  }
}

function readFacts(metadata: JsonObject): ObjectFacts | undefined {
  const name = textOf(metadata['name']);
  if (name === undefined) return undefined;
  const namespace = textOf(metadata['namespace']) ?? '';
  const createdAtMs = timeMsOf(metadata['creationTimestamp']);
  const uid = textOf(metadata['uid']) ?? `${namespace}/${name}/${createdAtMs ?? ''}`;
  return { uid, namespace, name, createdAtMs };
}

function readPod(object: JsonObject, facts: ObjectFacts): PodFacts {
  const metadata = objectOf(object['metadata']);
  const labels = objectOf(metadata['labels']);
  const spec = objectOf(object['spec']);
  const status = objectOf(object['status']);
  const containers = readContainers(status);
  const isFinished = status['phase'] === 'Succeeded' || status['phase'] === 'Failed';
  const killedByMs = killedByOf(metadata);
  return {
    ...facts,
    kind: 'Pod',
    role: readRole(labels),
    isHostNetwork: spec['hostNetwork'] === true,
    isMirror: objectOf(metadata['annotations'])['kubernetes.io/config.mirror'] !== undefined,
    controller: readController(metadata),
    searchList: readSearchList(spec),
    addresses: readAddresses(status, 'podIP', 'podIPs'),
    nodeAddresses: readAddresses(status, 'hostIP', 'hostIPs'),
    isFinished,
    nodeName: textOf(spec['nodeName']),
    templateHash: textOf(labels['pod-template-hash']),
    rolloutHash: textOf(labels['rollouts-pod-template-hash']),
    startedAtMs: timeMsOf(status['startTime']),
    firstContainerAtMs: firstStartOf(containers),
    finishedAtMs: lastFinishOf(status, containers, { isFinished, killedByMs }),
    killedByMs,
  };
}

function readCronJob(spec: JsonObject, facts: ObjectFacts): CronJobFacts {
  return {
    ...facts,
    kind: 'CronJob',
    schedule: textOf(spec['schedule']) ?? '',
    isSuspended: spec['suspend'] === true,
    timeZone: textOf(spec['timeZone']),
  };
}

/** Labels can only lower an attribution, so it does no harm that a pod can set its own. */
function readRole(labels: JsonObject): PodRole {
  if (labels['app'] === 'ztunnel' || labels['app.kubernetes.io/name'] === 'ztunnel') return 'ztunnel';
  const isGateway =
    labels['gateway.networking.k8s.io/gateway-name'] !== undefined ||
    labels['istio'] === 'ingressgateway' ||
    labels['istio'] === 'egressgateway';
  return isGateway ? 'gateway' : 'workload';
}

function readController(metadata: JsonObject): ControllerReference | undefined {
  for (const value of arrayOf(metadata['ownerReferences'])) {
    const reference = objectOf(value);
    const kind = textOf(reference['kind']);
    const name = textOf(reference['name']);
    if (reference['controller'] !== true || kind === undefined || name === undefined) continue;
    return { kind, name, uid: textOf(reference['uid']) };
  }
  return undefined;
}

const OWN_LISTS: ReadonlySet<unknown> = new Set(['None', 'Default']);
const DEFAULT_NDOTS = 1; // resolv.conf(5)

function readSearchList(spec: JsonObject): SearchList | undefined {
  const config = objectOf(spec['dnsConfig']);
  const domains = arrayOf(config['searches']).flatMap((domain) => textOf(domain) ?? []);
  if (!OWN_LISTS.has(spec['dnsPolicy']) || domains.length === 0) return undefined;
  const ndots = arrayOf(config['options'])
    .map(objectOf)
    .findLast(({ name }) => name === 'ndots')?.['value'];
  return {
    domains: domains.map((domain) => domain.toLowerCase().replace(/\.$/, '')),
    ndots: /^\d+$/.test(textOf(ndots) ?? '') ? Number(ndots) : DEFAULT_NDOTS,
  };
}

/** `status.podIP` and `status.podIPs` (dual stack), or the node's `hostIP` and `hostIPs`. */
function readAddresses(status: JsonObject, single: string, plural: string): readonly string[] {
  return normalized([status[single], ...arrayOf(status[plural]).map((entry) => objectOf(entry)['ip'])]);
}

/**
 * Annotations in which network plugins write addresses of the node itself, on its tunnel or its bridge: what the host
 * network (a node cache, say) sends to a pod comes from these.
 */
const NODE_ADDRESS_ANNOTATIONS = [
  'projectcalico.org/IPv4Address',
  'projectcalico.org/IPv6Address',
  'projectcalico.org/IPv4IPIPTunnelAddr',
  'projectcalico.org/IPv4VXLANTunnelAddr',
  'projectcalico.org/IPv6VXLANTunnelAddr',
  'projectcalico.org/IPv4WireguardInterfaceAddr',
  'projectcalico.org/IPv6WireguardInterfaceAddr',
  'network.cilium.io/ipv4-cilium-host',
  'network.cilium.io/ipv6-cilium-host',
  'io.cilium.network.ipv4-cilium-host',
  'io.cilium.network.ipv6-cilium-host',
  'k3s.io/internal-ip',
] as const;

/** Flannel gives a node `spec.podCIDRs` and takes the first address for its tunnel and the next one for its bridge. */
const FLANNEL_ANNOTATION = 'flannel.alpha.coreos.com/backend-type';

function readNodeAddresses(object: JsonObject): readonly string[] {
  const annotations = objectOf(objectOf(object['metadata'])['annotations']);
  const stated = arrayOf(objectOf(object['status'])['addresses']).map(objectOf);
  const spec = objectOf(object['spec']);
  const ranges = annotations[FLANNEL_ANNOTATION] === undefined ? [] : [spec['podCIDR'], ...arrayOf(spec['podCIDRs'])];
  return normalized([
    ...stated.filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
    ...NODE_ADDRESS_ANNOTATIONS.flatMap((name) => (textOf(annotations[name]) ?? '').split(',')).map(withoutLength),
    ...ranges.map((range) => withoutLength(textOf(range) ?? '')).flatMap((first) => [first, nextAddress(first)]),
  ]);
}

/** The address of `192.0.2.1/24`. */
function withoutLength(text: string): string {
  return text.split('/')[0] ?? '';
}

/** The address after the first one of a range, which ends in 0 or in `::`; otherwise nothing. */
function nextAddress(first: string): string | undefined {
  if (first.endsWith('::')) return `${first}1`;
  return first.endsWith('.0') ? `${first.slice(0, -1)}1` : undefined;
}

function normalized(values: readonly unknown[]): readonly string[] {
  return [...new Set(values.flatMap((value) => normalizeAddress(textOf(value) ?? '') ?? []))];
}

interface PodEnd {
  readonly isFinished: boolean;
  readonly killedByMs: number | undefined;
}

interface ContainerFacts {
  readonly isTerminated: boolean;
  readonly isRestarted: boolean;
  readonly startedAtMs?: number | undefined;
  readonly finishedAtMs?: number | undefined;
}

function readContainers(status: JsonObject): readonly ContainerFacts[] {
  return ['initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses']
    .flatMap((field) => arrayOf(status[field]).map(objectOf))
    .map((container) => {
      const state = objectOf(container['state']);
      const terminated = objectOf(state['terminated']);
      return {
        isTerminated: state['terminated'] !== undefined && state['terminated'] !== null,
        isRestarted: typeof container['restartCount'] === 'number' && container['restartCount'] > 0,
        startedAtMs: timeMsOf(objectOf(state['running'])['startedAt']) ?? timeMsOf(terminated['startedAt']),
        finishedAtMs: timeMsOf(terminated['finishedAt']),
      };
    });
}

function firstStartOf(containers: readonly ContainerFacts[]): number | undefined {
  if (containers.some(({ isRestarted }) => isRestarted)) return undefined; // the status shows the last start only
  const starts = containers.flatMap(({ startedAtMs }) => startedAtMs ?? []);
  return starts.length === 0 ? undefined : Math.min(...starts);
}

/** A container that has ended may be restarted, unless the pod is finished, or being deleted with nothing left to run. */
function lastFinishOf(status: JsonObject, containers: readonly ContainerFacts[], pod: PodEnd): number | undefined {
  const isKilled =
    pod.killedByMs !== undefined && arrayOf(status['containerStatuses']).length > 0 && containers.every(hasEnd);
  if (!pod.isFinished && !isKilled) return undefined;
  const finishes = containers.flatMap(({ finishedAtMs }) => finishedAtMs ?? []);
  if (finishes.length > 0) return Math.max(...finishes) + SECOND_MS - 1;
  // An evicted pod may show no container at all; its conditions changed when it ended.
  const changes = arrayOf(status['conditions']).flatMap(
    (entry) => timeMsOf(objectOf(entry)['lastTransitionTime']) ?? [],
  );
  return changes.length === 0 ? undefined : Math.max(...changes) + SECOND_MS - 1;
}

function hasEnd(container: ContainerFacts): boolean {
  return container.isTerminated && container.finishedAtMs !== undefined;
}

function killedByOf(metadata: JsonObject): number | undefined {
  const deletionAtMs = timeMsOf(metadata['deletionTimestamp']);
  const graceSeconds = metadata['deletionGracePeriodSeconds'];
  return deletionAtMs === undefined
    ? undefined
    : deletionAtMs + (typeof graceSeconds === 'number' ? graceSeconds * SECOND_MS : 0);
}
