/** API versions that this program writes, the preferred one first. Their schemas are identical. */
export const SERVICE_ENTRY_API_VERSIONS = ['networking.istio.io/v1', 'networking.istio.io/v1beta1'] as const;
export type ServiceEntryApiVersion = (typeof SERVICE_ENTRY_API_VERSIONS)[number];

export const SERVICE_ENTRY_GROUP = 'networking.istio.io';
/** API versions of a ServiceEntry that some supported Istio takes. */
export const SERVED_API_VERSIONS: readonly string[] = [
  ...SERVICE_ENTRY_API_VERSIONS,
  `${SERVICE_ENTRY_GROUP}/v1alpha3`,
];

/** One `spec.ports[]` item. */
export interface ServiceEntryPort {
  readonly name: string;
  readonly number: number;
  /** Absent only in entries of others; without it Istio sniffs. */
  readonly protocol?: string;
  readonly targetPort?: number;
}

/** One `metadata.managedFields[]` item, as far as ownership needs it. */
export interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: Readonly<Record<string, unknown>>;
}

export interface ServiceEntryMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** What follows is set by the API server; no entry that is built here carries it. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly managedFields?: readonly ManagedFields[];
}

export interface ServiceEntrySpec {
  readonly hosts: readonly string[];
  readonly addresses?: readonly string[];
  readonly ports?: readonly ServiceEntryPort[];
  readonly location?: string;
  readonly resolution?: string;
  readonly endpoints?: readonly unknown[];
  readonly workloadSelector?: Readonly<Record<string, unknown>>;
  readonly exportTo?: readonly string[];
  readonly subjectAltNames?: readonly string[];
}

/**
 * An Istio ServiceEntry, field names untouched.
 *
 * @see istio/api networking/v1alpha3/service_entry.proto
 */
export interface ServiceEntry {
  readonly apiVersion: string;
  readonly kind: 'ServiceEntry';
  readonly metadata: ServiceEntryMetadata;
  readonly spec: ServiceEntrySpec;
}

/** A port by what it is; its name follows from that. */
export interface PortSpec {
  readonly number: number;
  readonly protocol: PortProtocol;
}

/** The default ports: what a browser, an SDK or a package manager connects to. */
export const DEFAULT_PORTS: readonly PortSpec[] = [
  { number: 80, protocol: 'HTTP' },
  { number: 443, protocol: 'TLS' },
];

/** Protocols by which a proxy tells hosts apart: by SNI or by the Host header. To a proxy HTTPS is another word for TLS. */
export const NAMED_PROTOCOLS = ['TLS', 'HTTPS', 'HTTP', 'HTTP2', 'GRPC'] as const;
/** Protocols that an entry of ours may declare. TCP needs ranges of addresses, else it opens the port to any address. */
export const PORT_PROTOCOLS = [...NAMED_PROTOCOLS, 'TCP'] as const;
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];

/**
 * Reads an object that a cluster or a file holds; `undefined` when it is no ServiceEntry that has a name, a namespace and
 * hosts. Unknown fields are passed over.
 */
export function readServiceEntry(value: unknown): ServiceEntry | undefined {
  if (!isRecord(value) || value['kind'] !== 'ServiceEntry') return undefined;
  const { apiVersion, metadata, spec } = value;
  if (typeof apiVersion !== 'string' || !apiVersion.startsWith('networking.istio.io/')) return undefined;
  if (!isMetadata(metadata) || !isSpec(spec)) return undefined;
  // Every field that this program reads was checked above, or is only compared with others.
  return value as unknown as ServiceEntry;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMetadata(value: unknown): boolean {
  return isRecord(value) && typeof value['name'] === 'string' && typeof value['namespace'] === 'string';
}

function isSpec(value: unknown): boolean {
  if (!isRecord(value) || !isStrings(value['hosts']) || !arePorts(value['ports'])) return false;
  return isOptionalStrings(value['exportTo']) && isOptionalStrings(value['addresses']);
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isOptionalStrings(value: unknown): boolean {
  return value === undefined || isStrings(value);
}

function arePorts(value: unknown): boolean {
  if (value === undefined) return true;
  return (
    Array.isArray(value) &&
    value.every((port) => isRecord(port) && typeof port['name'] === 'string' && typeof port['number'] === 'number')
  );
}
