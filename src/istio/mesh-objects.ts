/**
 * What a plan has to know of the objects beside ServiceEntries: only the facts, so that a cache of a large mesh stays
 * small. Each `read…` function takes an object as the API server or a file gives it, whatever its API version, and
 * answers `undefined` for what is no such object.
 */

/** A Kubernetes Service: its names are taken, and an ExternalName refers to a host. */
export interface ServiceFacts {
  readonly namespace: string;
  readonly name: string;
  /** `spec.externalName` of a Service of type ExternalName. */
  readonly externalName?: string;
}

/** @see istio/api networking/v1alpha3/virtual_service.proto */
export interface VirtualServiceFacts {
  readonly namespace: string;
  readonly name: string;
  /** `spec.hosts`: names, `*.` wildcards or `*`. */
  readonly hosts: readonly string[];
  /** Whether it applies to sidecars: `spec.gateways` is unset or names `mesh`. */
  readonly appliesToMesh: boolean;
  /** Every host that a route, a mirror or a TCP or TLS route sends to; sorted. */
  readonly destinations: readonly string[];
  /** Unset where the default of the mesh holds. */
  readonly exportTo?: readonly string[];
}

/** @see istio/api networking/v1alpha3/destination_rule.proto */
export interface DestinationRuleFacts {
  readonly namespace: string;
  readonly name: string;
  /** `spec.host`: a name, a `*.` wildcard or `*`. */
  readonly host: string;
  /** Nothing in it changes the traffic of a host with `resolution: NONE`, see {@link readDestinationRule}. */
  readonly isHarmless?: true;
  readonly exportTo?: readonly string[];
}

/** @see istio/api networking/v1alpha3/sidecar.proto */
export interface SidecarFacts {
  readonly namespace: string;
  readonly name: string;
  /** No `spec.workloadSelector`: it stands for all workloads of its namespace, in the root namespace for the mesh. */
  readonly isDefault: boolean;
  /** All `spec.egress[].hosts`, `namespace/name`; unset where there is no `egress`, which imports everything. */
  readonly egressHosts?: readonly string[];
}

export interface NamespaceFacts {
  readonly name: string;
  /** Another one after the namespace was deleted and made again. */
  readonly uid?: string;
  /** It is being deleted and takes no object any more. */
  readonly isTerminating: boolean;
  /** It is labelled `istio.io/use-waypoint`, so every entry in it is bound to a waypoint. */
  readonly usesWaypoint: boolean;
  /** It is labelled `istio.io/dataplane-mode: ambient`: a ztunnel stands between its pods and the network. */
  readonly isAmbient: boolean;
}

/** The state of a mesh beside its ServiceEntries. A kind that may not be read is left out: then it is unknown, not empty. */
export interface MeshObjects {
  readonly services?: readonly ServiceFacts[];
  readonly virtualServices?: readonly VirtualServiceFacts[];
  readonly destinationRules?: readonly DestinationRuleFacts[];
  readonly sidecars?: readonly SidecarFacts[];
  readonly namespaces?: readonly NamespaceFacts[];
}

const WAYPOINT_LABEL = 'istio.io/use-waypoint';
const DATAPLANE_LABEL = 'istio.io/dataplane-mode';

export function readService(value: unknown): ServiceFacts | undefined {
  const object = readNamespaced(value, 'Service');
  if (object === undefined) return undefined;
  const { namespace, name, spec } = object;
  const { type, externalName } = spec;
  const isExternal = type === 'ExternalName' && typeof externalName === 'string';
  return { namespace, name, ...(isExternal && { externalName }) };
}

export function readVirtualService(value: unknown): VirtualServiceFacts | undefined {
  const object = readNamespaced(value, 'VirtualService');
  if (object === undefined) return undefined;
  const { namespace, name, spec } = object;
  const gateways = textsOf(spec['gateways']);
  const routes = ['http', 'tls', 'tcp'].flatMap((protocol) => recordsOf(spec[protocol]));
  return {
    namespace,
    name,
    hosts: textsOf(spec['hosts']),
    appliesToMesh: gateways.length === 0 || gateways.includes('mesh'),
    destinations: [...new Set(routes.flatMap(destinationsOf))].sort(),
    ...exportToOf(spec),
  };
}

/**
 * A rule is harmless when all that it asks for is what such a host has anyway: no TLS of the proxy's own
 * (`tls.mode: DISABLE`), a load balancer (Envoy goes to the address that was dialled, whatever it says), subsets that only
 * a VirtualService can name. Any other mode of TLS would wrap the client's connection once the host is declared, and
 * limits of connections or the ejection of addresses would begin to hold.
 *
 * @see `pilot/pkg/networking/core/cluster_traffic_policy.go` and `cluster_tls.go` in istio/istio
 */
export function readDestinationRule(value: unknown): DestinationRuleFacts | undefined {
  const object = readNamespaced(value, 'DestinationRule');
  if (object === undefined) return undefined;
  const { namespace, name, spec } = object;
  const { host } = spec;
  if (typeof host !== 'string') return undefined;
  const isHarmless = isHarmlessPolicy(spec['trafficPolicy']);
  // One for chosen workloads is never exported, whatever it says.
  const exportTo = isRecord(spec['workloadSelector']) ? { exportTo: ['.'] } : exportToOf(spec);
  return { namespace, name, host, ...(isHarmless && { isHarmless }), ...exportTo };
}

function isHarmlessPolicy(policy: unknown): boolean {
  if (policy === undefined) return true;
  if (!isRecord(policy)) return false;
  return Object.entries(policy).every(([field, value]) => {
    if (field === 'tls') return isRecord(value) && (value['mode'] === 'DISABLE' || value['mode'] === undefined);
    if (field === 'portLevelSettings') {
      return recordsOf(value).every(({ port: _port, ...settings }) => isHarmlessPolicy(settings));
    }
    return field === 'loadBalancer';
  });
}

export function readSidecar(value: unknown): SidecarFacts | undefined {
  const object = readNamespaced(value, 'Sidecar');
  if (object === undefined) return undefined;
  const { namespace, name, spec } = object;
  const egress = recordsOf(spec['egress']);
  return {
    namespace,
    name,
    isDefault: spec['workloadSelector'] === undefined,
    ...(egress.length > 0 && { egressHosts: egress.flatMap((listener) => textsOf(listener['hosts'])) }),
  };
}

/** Metadata alone is enough. */
export function readNamespace(value: unknown): NamespaceFacts | undefined {
  if (!isRecord(value) || !isRecord(value['metadata']) || value['kind'] !== 'Namespace') return undefined;
  const { name, uid, deletionTimestamp, labels } = value['metadata'];
  if (typeof name !== 'string') return undefined;
  const known = isRecord(labels) ? labels : {};
  const waypoint = known[WAYPOINT_LABEL];
  return {
    name,
    ...(typeof uid === 'string' && { uid }),
    isTerminating: deletionTimestamp !== undefined,
    usesWaypoint: typeof waypoint === 'string' && waypoint !== 'none',
    isAmbient: known[DATAPLANE_LABEL] === 'ambient',
  };
}

interface Namespaced {
  readonly namespace: string;
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

function readNamespaced(value: unknown, kind: string): Namespaced | undefined {
  if (!isRecord(value) || value['kind'] !== kind || !isRecord(value['metadata'])) return undefined;
  const { namespace, name } = value['metadata'];
  if (typeof namespace !== 'string' || typeof name !== 'string') return undefined;
  const spec = value['spec'];
  return { namespace, name, spec: isRecord(spec) ? spec : {} };
}

/** `route[].destination`, `mirror` and `mirrors[].destination` of one route. */
function destinationsOf(route: Readonly<Record<string, unknown>>): readonly string[] {
  const weighted = [...recordsOf(route['route']), ...recordsOf(route['mirrors'])].map((item) => item['destination']);
  return [...weighted, route['mirror']].flatMap((destination) => {
    const host = isRecord(destination) ? destination['host'] : undefined;
    return typeof host === 'string' ? [host] : [];
  });
}

function exportToOf(spec: Readonly<Record<string, unknown>>): { readonly exportTo?: readonly string[] } {
  const exportTo = textsOf(spec['exportTo']);
  return exportTo.length === 0 ? {} : { exportTo };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function recordsOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
