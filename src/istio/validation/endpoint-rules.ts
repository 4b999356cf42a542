import { isIP } from 'node:net';
import { isDomain, isLabel, isLabelKey, isLabelValue } from './domain-syntax.js';
import type { Report } from './finding.js';
import type { EndpointView, SpecView } from './spec-view.js';

const SOCKET_PREFIX = 'unix://';
const MAX_ENDPOINT_PORT_NAME_CHARACTERS = 62; // a rule of the CRD, one less than a label can have
const ENDPOINTS = ['spec', 'endpoints'];
const SELECTOR = ['spec', 'workloadSelector'];

export function checkEndpoints(spec: SpecView, report: Report): void {
  checkSelector(spec, report);
  const { endpoints, resolution } = spec;
  if (endpoints === undefined) return;
  if (spec.selector !== undefined) {
    report('endpoints-with-selector', ENDPOINTS, 'only one of workloadSelector and endpoints can be set');
  }
  if (resolution === 'NONE') report('endpoints-with-none', ENDPOINTS, 'resolution NONE cannot have endpoints');
  if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) {
    report('endpoints-several-with-round-robin', ENDPOINTS, 'DNS_ROUND_ROBIN takes one endpoint at the most');
  }
  const declared = new Set(spec.ports.flatMap(({ name }) => name ?? []));
  for (const endpoint of endpoints) {
    checkShape(endpoint, report);
    if (resolution === 'NONE' || resolution === 'DYNAMIC_DNS') continue;
    checkPortsAndLabels(endpoint, declared, report);
    if (resolution === 'STATIC') checkStatic(endpoint, declared, report);
    else checkDns(endpoint, report);
  }
}

function checkSelector({ selector, resolution }: SpecView, report: Report): void {
  if (selector === undefined) return;
  if (selector.length === 0)
    report('selector-without-labels', SELECTOR, 'it stands for every workload of the namespace');
  if (resolution === 'NONE') report('selector-with-none', SELECTOR, 'resolution NONE does not select workloads');
  for (const { value, path } of selector) {
    const [key, text] = value;
    if (key === '') report('selector-key', path, 'the key is empty');
    if (key.includes('*')) report('selector-key', path, 'a key cannot have a *');
    if (text.includes('*')) report('selector-wildcard', path, 'a value cannot have a *');
  }
}

/** What the CRD asks of an endpoint, whatever the resolution. */
function checkShape(endpoint: EndpointView, report: Report): void {
  const { address, network, path } = endpoint;
  if (address === '' && network === '') report('endpoint-address-missing', path, 'neither address nor network is set');
  if (address.startsWith(SOCKET_PREFIX)) {
    const socket = address.slice(SOCKET_PREFIX.length);
    if (!/^[/@]/.test(socket) || address.endsWith('/')) {
      report('endpoint-socket-path', [...path, 'address'], 'a socket is an absolute path or an abstract name');
    }
    if (endpoint.hasPorts) report('endpoint-socket-ports', [...path, 'ports'], 'a socket has no ports');
  }
  for (const { value, path: where } of endpoint.ports) {
    const [name] = value;
    if (name.length > MAX_ENDPOINT_PORT_NAME_CHARACTERS || !isLabel(name)) {
      report('endpoint-port-name', where, `${JSON.stringify(name)} is no name of a port`);
    }
  }
}

function checkPortsAndLabels(endpoint: EndpointView, declared: ReadonlySet<string>, report: Report): void {
  for (const { value, path } of endpoint.ports) {
    const [name] = value;
    if (!declared.has(name)) report('endpoint-port-undeclared', path, `the entry has no port ${JSON.stringify(name)}`);
  }
  for (const { value, path } of endpoint.labels) {
    const [key, text] = value;
    if (!isLabelKey(key) || !isLabelValue(text)) report('endpoint-label', path, `${key}=${text} is no label`);
  }
}

function checkStatic(endpoint: EndpointView, declared: ReadonlySet<string>, report: Report): void {
  const { address, network, path } = endpoint;
  if (address === '' && network !== '') {
    report('endpoint-without-address', path, `only the gateway of network ${network} can reach it`);
  } else if (address.startsWith(SOCKET_PREFIX)) {
    if (declared.size !== 1) report('endpoint-socket-needs-one-port', path, 'a socket needs an entry with one port');
  } else if (address !== '' && isIP(address) === 0) {
    report('endpoint-address', [...path, 'address'], `resolution STATIC needs an IP address, found ${address}`);
  }
}

function checkDns({ address, path }: EndpointView, report: Report): void {
  if (isIP(address) !== 0 || isDomain(address)) return;
  report(
    'endpoint-address',
    [...path, 'address'],
    `${JSON.stringify(address)} is neither a domain name nor an address`,
  );
}
