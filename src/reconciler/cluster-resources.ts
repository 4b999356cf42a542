import {
  readDestinationRule,
  readNamespace,
  readService,
  readSidecar,
  readVirtualService,
  type MeshObjects,
} from '../istio/mesh-objects.js';
import { SERVICE_ENTRY_API_VERSIONS, type ServiceEntry } from '../istio/service-entry.js';
import type { KubernetesResource } from '../kubernetes/kubernetes-object.js';
import type { SinkState } from './sink.js';

/** A resource and the versions in which it is understood, the preferred one first. */
export interface ClusterResource {
  readonly group: string;
  readonly plural: string;
  readonly versions: readonly string[];
}

const GROUP = 'networking.istio.io';
const ISTIO = { group: GROUP, versions: SERVICE_ENTRY_API_VERSIONS.map((known) => known.slice(GROUP.length + 1)) };
const CORE = { group: '', versions: ['v1'] };

export const SERVICE_ENTRIES: ClusterResource = { ...ISTIO, plural: 'serviceentries' };

export type MeshKind = keyof MeshObjects;
export type MeshFacts = NonNullable<MeshObjects[MeshKind]>[number];

export interface MeshResource extends ClusterResource {
  readonly kind: string;
  readonly read: (value: unknown) => MeshFacts | undefined;
  readonly metadataOnly?: true;
}

/** What beside ServiceEntries a plan depends on. */
export const MESH_RESOURCES: Readonly<Record<MeshKind, MeshResource>> = {
  services: { ...CORE, plural: 'services', kind: 'Service', read: readService },
  virtualServices: { ...ISTIO, plural: 'virtualservices', kind: 'VirtualService', read: readVirtualService },
  destinationRules: { ...ISTIO, plural: 'destinationrules', kind: 'DestinationRule', read: readDestinationRule },
  sidecars: { ...ISTIO, plural: 'sidecars', kind: 'Sidecar', read: readSidecar },
  namespaces: { ...CORE, plural: 'namespaces', kind: 'Namespace', read: readNamespace, metadataOnly: true },
};
export const MESH_KINDS = Object.keys(MESH_RESOURCES) as readonly MeshKind[]; // its own keys

/** Facts of each kind that could be read. */
export type MeshFactsByKind = ReadonlyMap<MeshKind, readonly MeshFacts[]>;

/** What a plan is told, of what was read. Where only some namespaces are read, these are the ones that take entries. */
export function toSinkState(read: {
  readonly entries: readonly ServiceEntry[];
  readonly version: string | undefined;
  readonly facts: MeshFactsByKind;
  readonly namespaces: readonly string[] | undefined;
  readonly clusterVersion: string | undefined;
}): SinkState {
  const { entries, version, namespaces, facts, clusterVersion } = read;
  const mesh = Object.fromEntries(facts) as MeshObjects; // each kind's facts come from that kind's reader
  const living = mesh.namespaces?.filter(({ isTerminating }) => !isTerminating).map(({ name }) => name);
  const known = namespaces ?? living;
  const apiVersion = SERVICE_ENTRY_API_VERSIONS.find((item) => item === `${GROUP}/${version}`);
  return {
    entries,
    mesh,
    ...(known && { namespaces: new Set(known) }),
    ...(apiVersion && { apiVersion }),
    ...(clusterVersion !== undefined && { clusterVersion }),
  };
}

/** The resource of an entry, in the entry's own version. */
export function resourceOf({ apiVersion }: ServiceEntry): KubernetesResource {
  return { ...SERVICE_ENTRIES, version: apiVersion.slice(GROUP.length + 1) };
}
