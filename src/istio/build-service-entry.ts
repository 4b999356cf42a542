import { parseHostname, type Hostname } from '../dns/hostname.js';
import { isSharedParent } from '../host/registrable-domain.js';
import { IstioError } from './istio-error.js';
import { portName, serviceEntryName } from './names.js';
import { ownerLabels } from './ownership.js';
import { isReservedPort } from './reserved-ports.js';
import {
  DEFAULT_PORTS,
  PORT_PROTOCOLS,
  type PortSpec,
  type ServiceEntry,
  type ServiceEntryApiVersion,
  type ServiceEntryPort,
} from './service-entry.js';
import { addressKindOf } from './validation/address-rules.js';
import { isHttp, isTls } from './validation/protocols.js';

export interface ServiceEntryRequest {
  /** Exact, or `*.` and a domain: every name below it. */
  readonly hostname: Hostname | `*.${string}`;
  readonly namespace: string;
  /** Installation that owns the entry; see {@link ownerLabels}. */
  readonly owner: string;
  /** @defaultValue `["."]`, the own namespace only */
  readonly exportTo?: readonly string[];
  /** @defaultValue 80/HTTP and 443/TLS */
  readonly ports?: readonly PortSpec[];
  /** Ranges behind a TCP port, wider than one address: a proxy answers DNS with single ones. */
  readonly addresses?: readonly string[];
  /**
   * Anything but NONE takes the host from DNS as this program sees it, and only where a person asked for it: DNS for one
   * name, DYNAMIC_DNS for a wildcard. @defaultValue NONE
   */
  readonly resolution?: 'NONE' | 'DNS' | 'DYNAMIC_DNS';
  /** @defaultValue networking.istio.io/v1 */
  readonly apiVersion?: ServiceEntryApiVersion;
}

const MAX_PORTS = 256; // maxItems of spec.ports in Istio's CRD
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/; // RFC 1123 label

/**
 * Builds the ServiceEntry that declares a host without changing what its traffic does: with resolution NONE and no single
 * addresses a proxy keeps the address that the client dialled, asks no DNS and answers none, and TLS and HTTP ports are
 * matched by SNI and Host header only.
 *
 * Equal input gives an equal object; nothing in it is volatile.
 *
 * @throws IstioError ISTIO_ERR_NAMESPACE, ISTIO_ERR_OWNER, ISTIO_ERR_EXPORT_TO, ISTIO_ERR_HOST, ISTIO_ERR_ADDRESSES,
 *   ISTIO_ERR_PORTS, ISTIO_ERR_RESERVED_PORT
 */
export function buildServiceEntry(request: ServiceEntryRequest): ServiceEntry {
  const { hostname, namespace, owner } = request;
  checkHost(hostname);
  if (!NAMESPACE.test(namespace)) {
    throw new IstioError('ISTIO_ERR_NAMESPACE', `namespace ${JSON.stringify(namespace)} is no RFC 1123 label`);
  }
  const ports = buildPorts(request.ports ?? DEFAULT_PORTS);
  const resolution = request.resolution ?? 'NONE';
  checkResolution({ hostname, resolution, ports });
  const addresses = buildAddresses(request.addresses ?? [], { hostname, ports, resolution });
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
      ...(addresses.length > 0 && { addresses }),
      exportTo: buildExportTo(request.exportTo ?? ['.'], namespace),
      location: 'MESH_EXTERNAL',
      resolution,
      ports,
    },
  };
}

function checkHost(host: string): void {
  const isWildcard = host.startsWith('*.');
  const name = isWildcard ? host.slice(2) : host;
  // Also an exact host, although its type has been checked before: it may come out of a store that others can write to.
  if (parseHostname(name) !== name || (isWildcard && isSharedParent(name))) {
    throw new IstioError('ISTIO_ERR_HOST', `${JSON.stringify(host)} is no hostname, or covers names of other parties`);
  }
}

interface Resolved {
  readonly hostname: string;
  readonly resolution: string;
  readonly ports: readonly ServiceEntryPort[];
}

/** Envoy finds the hosts of a wildcard by SNI and by Host header, so only TLS and plain HTTP can be resolved when used. */
const DYNAMIC_PROTOCOLS: ReadonlySet<string | undefined> = new Set(['TLS', 'HTTP']);

function checkResolution({ hostname, resolution, ports }: Resolved): void {
  if (resolution === 'NONE') return;
  const isDynamic = resolution === 'DYNAMIC_DNS';
  if (hostname.startsWith('*') !== isDynamic) {
    throw new IstioError('ISTIO_ERR_HOST', `${resolution} is for ${isDynamic ? 'wildcards' : 'single hosts'} only`);
  }
  if (isDynamic && !ports.every(({ protocol }) => DYNAMIC_PROTOCOLS.has(protocol))) {
    throw new IstioError('ISTIO_ERR_PORTS', 'DYNAMIC_DNS is for TLS and HTTP only');
  }
}

function buildAddresses(addresses: readonly string[], { hostname, ports, resolution }: Resolved): readonly string[] {
  const hasTcp = ports.some(({ protocol }) => protocol === 'TCP');
  const single = addresses.find((address) => addressKindOf(address) !== 'range');
  const fail = (problem: string): never => {
    throw new IstioError('ISTIO_ERR_ADDRESSES', problem);
  };
  if (resolution !== 'NONE') {
    if (addresses.length > 0) fail(`ranges of addresses do not go with ${resolution}`);
    return [];
  }
  if (single !== undefined) fail(`address ${JSON.stringify(single)} is no range of addresses`);
  if (hasTcp && addresses.length === 0) fail('a TCP port without addresses is open to every address');
  if (hasTcp && hostname.startsWith('*')) fail('a TCP port knows no names, so it cannot have a wildcard');
  if (!hasTcp && addresses.length > 0) fail('addresses are for TCP ports only');
  return [...new Set(addresses)].sort();
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

function buildPorts(ports: readonly PortSpec[]): readonly ServiceEntryPort[] {
  if (ports.length === 0 || ports.length > MAX_PORTS) {
    throw new IstioError('ISTIO_ERR_PORTS', `${ports.length} ports, expected 1 to ${MAX_PORTS}`);
  }
  if (new Set(ports.map((port) => port.number)).size !== ports.length) {
    throw new IstioError('ISTIO_ERR_PORTS', 'two ports have the same number');
  }
  return ports.map(buildPort).sort((a, b) => a.number - b.number);
}

function buildPort({ number, protocol }: PortSpec): ServiceEntryPort {
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw new IstioError('ISTIO_ERR_PORTS', `port ${number} is not within 1 to 65535`);
  }
  if (isReservedPort(number)) {
    throw new IstioError('ISTIO_ERR_RESERVED_PORT', `port ${number} is one of the proxy's own`);
  }
  if (!PORT_PROTOCOLS.includes(protocol)) {
    throw new IstioError('ISTIO_ERR_PORTS', `protocol ${protocol} is none of ${PORT_PROTOCOLS.join(', ')}`);
  }
  // The host would not be matched: its traffic would be blocked as soon as egress is closed.
  if ((number === 443 && isHttp(protocol)) || (number === 80 && isTls(protocol))) {
    throw new IstioError('ISTIO_ERR_PORTS', `port ${number} cannot speak ${protocol}`);
  }
  return { name: portName({ number, protocol }), number, protocol };
}
