import { isIP } from 'node:net';
import { isReservedPort } from './reserved-ports.js';
import type { ServiceEntry, ServiceEntryPort, ServiceEntrySpec } from './service-entry.js';

/** What {@link validateServiceEntry} can find. */
export const FINDING_CODES = [
  'hosts-empty',
  'host-syntax',
  'host-wildcard-only',
  'host-upper-case',
  'host-partial-wildcard',
  'wildcard-with-dns',
  'address-syntax',
  'address-cidr-with-dns',
  'address-single-with-none',
  'port-number',
  'port-name',
  'port-duplicate',
  'port-protocol',
  'port-tcp-without-addresses',
  'port-reserved',
  'endpoints-with-none',
  'selector-and-endpoints',
  'several-hosts-on-tcp',
  'export-to',
  'resolution',
  'location',
  'not-checked',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

export interface Finding {
  readonly code: FindingCode;
  /** What it is about, such as `spec.ports[1]`. */
  readonly path: string;
  readonly message: string;
}

export interface Findings {
  /** The CRD, the webhook or this program refuses the entry. */
  readonly errors: readonly Finding[];
  /** Accepted, with a warning that says that it does not do what it seems to do. */
  readonly warnings: readonly Finding[];
}

type Report = (severity: 'errors' | 'warnings', code: FindingCode, path: string, message: string) => void;

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const FIRST_LABEL = /^(?:\*|(?:\*-?)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/i;
const HTTP_PROTOCOLS = ['http', 'http2', 'http_proxy', 'grpc', 'grpc-web'];
const TLS_PROTOCOLS = ['https', 'tls'];
const PROTOCOLS = [...HTTP_PROTOCOLS, ...TLS_PROTOCOLS, 'tcp', 'udp', 'mongo', 'redis', 'mysql'];
const RESOLUTIONS = ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'];
const MAX_HOST_CHARACTERS = 255; // istiod's limit; one more than a host can have on the wire

/**
 * Checks an entry by the rules of Istio's CRD and of istiod's webhook, and refuses what both forget: upper case in hosts
 * (plain HTTP then gets 503), single addresses with resolution NONE (a capturing proxy answers with them for ever), and
 * the proxy's own ports.
 *
 * Covered are the rules for what this program writes. Endpoints, selectors and DYNAMIC_DNS are reported as `not-checked`.
 *
 * @see `ValidateServiceEntry` in istio/istio pkg/config/validation/validation.go
 */
export function validateServiceEntry(entry: ServiceEntry): Findings {
  const errors: Finding[] = [];
  const warnings: Finding[] = [];
  const report: Report = (severity, code, path, message) => {
    (severity === 'errors' ? errors : warnings).push({ code, path, message });
  };
  const { spec } = entry;
  checkModes(spec, report);
  checkHosts(spec, report);
  checkAddresses(spec, report);
  checkPorts(spec, report);
  checkEndpoints(spec, report);
  checkExportTo(spec.exportTo ?? [], entry.metadata.namespace, report);
  return { errors, warnings };
}

function resolutionOf(spec: ServiceEntrySpec): string {
  return spec.resolution ?? 'NONE';
}

function checkModes(spec: ServiceEntrySpec, report: Report): void {
  if (!RESOLUTIONS.includes(resolutionOf(spec))) {
    report('errors', 'resolution', 'spec.resolution', `${spec.resolution} is none of ${RESOLUTIONS.join(', ')}`);
  }
  if (!['MESH_EXTERNAL', 'MESH_INTERNAL'].includes(spec.location ?? 'MESH_EXTERNAL')) {
    report('errors', 'location', 'spec.location', `${spec.location} is neither MESH_EXTERNAL nor MESH_INTERNAL`);
  }
  if (resolutionOf(spec) === 'DYNAMIC_DNS') {
    report('warnings', 'not-checked', 'spec.resolution', 'the rules of DYNAMIC_DNS are not checked');
  }
}

function checkHosts(spec: ServiceEntrySpec, report: Report): void {
  if (spec.hosts.length === 0) report('errors', 'hosts-empty', 'spec.hosts', 'no host');
  for (const [index, host] of spec.hosts.entries()) {
    checkHost(host, { spec, path: `spec.hosts[${index}]`, report });
  }
  const textPort = (spec.ports ?? []).find((port) => !isHttpOrTls(port));
  if (spec.hosts.length > 1 && resolutionOf(spec) !== 'NONE' && textPort !== undefined) {
    report('errors', 'several-hosts-on-tcp', 'spec.hosts', `port ${textPort.name} cannot tell several hosts apart`);
  }
}

function checkHost(
  host: string,
  { spec, path, report }: { readonly spec: ServiceEntrySpec; readonly path: string; readonly report: Report },
): void {
  if (host === '*') return report('errors', 'host-wildcard-only', path, 'a host cannot be *');
  if (!isHostSyntax(host)) return report('errors', 'host-syntax', path, `${JSON.stringify(host)} is no domain name`);
  if (host !== host.toLowerCase()) report('errors', 'host-upper-case', path, `${host} is not in lower case`);
  if (!host.includes('*')) return;
  const resolution = resolutionOf(spec);
  if (!host.startsWith('*.') && resolution !== 'DYNAMIC_DNS') {
    report('warnings', 'host-partial-wildcard', path, `${host} makes Envoy reject the whole listener`);
  }
  if (resolution.startsWith('DNS') && (spec.endpoints ?? []).length === 0) {
    report('errors', 'wildcard-with-dns', path, `${host} cannot be resolved`);
  }
}

function isHostSyntax(host: string): boolean {
  if (host.length === 0 || host.length > MAX_HOST_CHARACTERS) return false;
  const labels = (host.endsWith('.') ? host.slice(0, -1) : host).split('.');
  const [first = '', ...others] = labels;
  if (!FIRST_LABEL.test(first) || !others.every((label) => LABEL.test(label))) return false;
  return !/^[0-9]+$/.test(labels[labels.length - 1] ?? '');
}

function checkAddresses(spec: ServiceEntrySpec, report: Report): void {
  const resolution = resolutionOf(spec);
  for (const [index, address] of (spec.addresses ?? []).entries()) {
    const path = `spec.addresses[${index}]`;
    const kind = addressKindOf(address);
    if (kind === 'invalid') {
      report('errors', 'address-syntax', path, `${JSON.stringify(address)} is neither an address nor a CIDR`);
    } else if (address.includes('/') && !['NONE', 'STATIC'].includes(resolution)) {
      report('errors', 'address-cidr-with-dns', path, `a CIDR cannot stand with resolution ${resolution}`);
    } else if (resolution === 'NONE' && kind === 'single') {
      report('errors', 'address-single-with-none', path, `a capturing proxy would answer ${address} for ever`);
    }
  }
}

/** A prefix of full length is one address, too: Istio's name table takes it for one. */
function addressKindOf(address: string): 'invalid' | 'single' | 'range' {
  const [ip = '', prefix, ...rest] = address.split('/');
  const family = isIP(ip);
  if (family === 0 || rest.length > 0) return 'invalid';
  const maxPrefix = family === 6 ? 128 : 32;
  if (prefix === undefined) return 'single';
  if (!/^[0-9]{1,3}$/.test(prefix) || Number(prefix) > maxPrefix) return 'invalid';
  return Number(prefix) === maxPrefix ? 'single' : 'range';
}

function checkPorts(spec: ServiceEntrySpec, report: Report): void {
  const ports = spec.ports ?? [];
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    checkPort(port, path, report);
    const isBefore = (other: ServiceEntryPort): boolean => other.name === port.name || other.number === port.number;
    if (ports.slice(0, index).some(isBefore)) report('errors', 'port-duplicate', path, `${port.name} is there twice`);
    const catchesAll = port.protocol === undefined || port.protocol === '' || port.protocol === 'TCP';
    const allocates = resolutionOf(spec) !== 'NONE';
    if (catchesAll && (spec.addresses ?? []).length === 0 && !allocates) {
      report('warnings', 'port-tcp-without-addresses', path, `port ${port.number} is opened to every address`);
    }
  }
}

function checkPort(port: ServiceEntryPort, path: string, report: Report): void {
  for (const number of new Set([port.number, port.targetPort ?? port.number])) {
    if (!Number.isInteger(number) || number < 1 || number > 65_535) {
      report('errors', 'port-number', path, `${number} is not within 1 to 65535`);
    }
  }
  if (!LABEL.test(port.name)) report('errors', 'port-name', path, `${JSON.stringify(port.name)} is no DNS label`);
  if (port.protocol !== undefined && port.protocol !== '' && !PROTOCOLS.includes(port.protocol.toLowerCase())) {
    report('errors', 'port-protocol', path, `${port.protocol} is no protocol that Istio knows`);
  }
  if (isReservedPort(port.number)) report('errors', 'port-reserved', path, `${port.number} is the proxy's own`);
}

function isHttpOrTls(port: ServiceEntryPort): boolean {
  const protocol = (port.protocol ?? '').toLowerCase();
  return HTTP_PROTOCOLS.includes(protocol) || TLS_PROTOCOLS.includes(protocol);
}

function checkEndpoints(spec: ServiceEntrySpec, report: Report): void {
  if (spec.endpoints !== undefined && spec.workloadSelector !== undefined) {
    report('errors', 'selector-and-endpoints', 'spec', 'only one of workloadSelector and endpoints can be set');
  }
  if (spec.endpoints === undefined && spec.workloadSelector === undefined) return;
  if (resolutionOf(spec) === 'NONE' && spec.endpoints !== undefined) {
    report('errors', 'endpoints-with-none', 'spec.endpoints', 'resolution NONE cannot have endpoints');
  } else {
    report('warnings', 'not-checked', 'spec', 'the rules of endpoints and selectors are not checked');
  }
}

function checkExportTo(exportTo: readonly string[], namespace: string, report: Report): void {
  const path = 'spec.exportTo';
  const resolved = exportTo.map((item) => (item === '.' ? namespace : item));
  if (new Set(resolved).size !== resolved.length) report('errors', 'export-to', path, 'a namespace is there twice');
  for (const item of exportTo) {
    if ((item === '*' || item === '~') && exportTo.length > 1) {
      report('errors', 'export-to', path, `${item} cannot stand with others`);
    } else if (!['*', '~', '.'].includes(item) && !LABEL.test(item)) {
      report('errors', 'export-to', path, `${JSON.stringify(item)} is no namespace`);
    }
  }
}
