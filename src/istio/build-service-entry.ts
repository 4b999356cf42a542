import type { Hostname } from '../dns/hostname.js';
import { IstioError } from './istio-error.js';
import { portName, serviceEntryName } from './names.js';
import { ownerLabels } from './ownership.js';
import { isReservedPort } from './reserved-ports.js';
import {
  DEFAULT_PORTS,
  PORT_PROTOCOLS,
  type PortProtocol,
  type ServiceEntry,
  type ServiceEntryApiVersion,
  type ServiceEntryPort,
} from './service-entry.js';

export interface ServiceEntryRequest {
  readonly hostname: Hostname;
  readonly namespace: string;
  /** Installation that owns the entry; see {@link ownerLabels}. */
  readonly owner: string;
  /** @defaultValue `["."]`, the own namespace only */
  readonly exportTo?: readonly string[];
  /** @defaultValue 80/HTTP and 443/TLS */
  readonly ports?: readonly { readonly number: number; readonly protocol: PortProtocol }[];
  /** @defaultValue networking.istio.io/v1 */
  readonly apiVersion?: ServiceEntryApiVersion;
}

const MAX_PORTS = 256; // maxItems of spec.ports in Istio's CRD
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/; // RFC 1123 label

/**
 * Builds the ServiceEntry that declares a host without changing what its traffic does: with resolution NONE and no
 * addresses a proxy keeps the address that the client dialled, asks no DNS and answers none, and TLS and HTTP ports are
 * matched by SNI and Host header only.
 *
 * Equal input gives an equal object; nothing in it is volatile.
 *
 * @throws IstioError ISTIO_ERR_NAMESPACE, ISTIO_ERR_OWNER, ISTIO_ERR_EXPORT_TO, ISTIO_ERR_PORTS, ISTIO_ERR_RESERVED_PORT
 */
export function buildServiceEntry(request: ServiceEntryRequest): ServiceEntry {
  const { hostname, namespace, owner } = request;
  if (!NAMESPACE.test(namespace)) {
    throw new IstioError('ISTIO_ERR_NAMESPACE', `namespace ${JSON.stringify(namespace)} is no RFC 1123 label`);
  }
  return {
    apiVersion: request.apiVersion ?? 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: {
      name: serviceEntryName(hostname),
      namespace,
      labels: ownerLabels(owner),
    },
    spec: {
      hosts: [hostname],
      exportTo: buildExportTo(request.exportTo ?? ['.'], namespace),
      location: 'MESH_EXTERNAL',
      resolution: 'NONE',
      ports: buildPorts(request.ports ?? DEFAULT_PORTS),
    },
  };
}

function buildExportTo(exportTo: readonly string[], ownNamespace: string): readonly string[] {
  const fail = (problem: string): never => {
    throw new IstioError('ISTIO_ERR_EXPORT_TO', `exportTo ${JSON.stringify(exportTo)} ${problem}`);
  };
  if (exportTo.length === 0) fail('is empty, which would mean the default of the mesh');
  if (exportTo.includes('*') && exportTo.length > 1) fail('names * and more');
  const invalid = exportTo.find((item) => item !== '.' && item !== '*' && !NAMESPACE.test(item));
  if (invalid !== undefined) fail(`has ${JSON.stringify(invalid)}, which is neither ".", "*" nor a namespace`);
  // istiod calls "." next to the own namespace's name a duplicate.
  const own = exportTo.map((item) => (item === ownNamespace ? '.' : item));
  return [...new Set(own)].sort();
}

function buildPorts(ports: Required<ServiceEntryRequest>['ports']): readonly ServiceEntryPort[] {
  if (ports.length === 0 || ports.length > MAX_PORTS) {
    throw new IstioError('ISTIO_ERR_PORTS', `${ports.length} ports, expected 1 to ${MAX_PORTS}`);
  }
  if (new Set(ports.map((port) => port.number)).size !== ports.length) {
    throw new IstioError('ISTIO_ERR_PORTS', 'two ports have the same number');
  }
  return ports.map(buildPort).sort((a, b) => a.number - b.number);
}

function buildPort(port: { readonly number: number; readonly protocol: PortProtocol }): ServiceEntryPort {
  const { number, protocol } = port;
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw new IstioError('ISTIO_ERR_PORTS', `port ${number} is not within 1 to 65535`);
  }
  if (isReservedPort(number)) {
    throw new IstioError('ISTIO_ERR_RESERVED_PORT', `port ${number} is one of the proxy's own`);
  }
  if (!PORT_PROTOCOLS.includes(protocol)) {
    throw new IstioError('ISTIO_ERR_PORTS', `protocol ${protocol} is none of ${PORT_PROTOCOLS.join(', ')}`);
  }
  return { name: portName(port), number, protocol };
}
