import { isSharedParent } from '../../host/registrable-domain.js';
import { isDomain, isWildcardDomain } from './domain-syntax.js';
import type { Report } from './finding.js';
import { isHttp, isTls } from './protocols.js';
import type { Placed, SpecView } from './spec-view.js';

const DIGITS = /^[0-9]+$/;
const MAX_HOSTNAME_CHARACTERS = 253; // RFC 1035 section 2.3.4: 255 octets on the wire

export function checkHosts(spec: SpecView, report: Report): void {
  for (const host of spec.hosts) {
    if (host.value === '*') report('host-wildcard-only', host.path, 'a host cannot be *');
    else if (!isWildcardDomain(host.value)) {
      report('host-syntax', host.path, `${JSON.stringify(host.value)} is no domain name`);
    } else checkHost(host, spec, report);
  }
  checkHostsWithDns(spec, report);
  checkSeveralHosts(spec, report);
}

function checkHost({ value: host, path }: Placed<string>, spec: SpecView, report: Report): void {
  const name = host.replace(/\.$/, '');
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (name === '*' || DIGITS.test(last) || name.length > MAX_HOSTNAME_CHARACTERS) {
    return report('host-unusable', path, `${host} is accepted, but no name can be like that`);
  }
  if (host !== host.toLowerCase()) {
    report('host-upper-case', path, `plain HTTP to ${host} gets 503 unless it is in lower case`);
  }
  if (host.endsWith('.') && spec.ports.some(({ protocol }) => isTls(protocol))) {
    report('host-trailing-dot', path, 'no client puts a trailing dot into SNI, so TLS does not match');
  }
  if (host.startsWith('*')) checkWildcard({ value: host, path }, spec, report);
}

function checkWildcard({ value: host, path }: Placed<string>, spec: SpecView, report: Report): void {
  if (!host.startsWith('*.')) {
    const code = spec.resolution === 'DYNAMIC_DNS' ? 'dynamic-dns-partial-wildcard' : 'host-partial-wildcard';
    return report(code, path, `${host} makes Envoy reject the whole listener of a TLS port`);
  }
  const zone = host.slice(2).replace(/\.$/, '').toLowerCase();
  if (isSharedParent(zone)) report('host-public-suffix', path, `anybody can have a name below ${zone}`);
}

/** Without endpoints a proxy resolves the host itself, so it has to be a plain name. */
function checkHostsWithDns({ hosts, resolution, endpoints = [] }: SpecView, report: Report): void {
  if (!['DNS', 'DNS_ROUND_ROBIN'].includes(resolution) || endpoints.length > 0) return;
  for (const { value: host, path } of hosts) {
    if (host !== '*' && !isDomain(host)) {
      report('host-with-dns', path, `${JSON.stringify(host)} cannot be resolved, and there are no endpoints`);
    }
  }
}

/** By HTTP and TLS hosts can be told apart; with NONE they are ignored on other ports. */
function checkSeveralHosts({ hosts, resolution, ports }: SpecView, report: Report): void {
  if (resolution === 'NONE' || hosts.length < 2) return;
  const blind = ports.find(({ protocol }) => !isHttp(protocol) && !isTls(protocol));
  if (blind !== undefined) report('several-hosts-on-tcp', blind.path, 'this port cannot tell several hosts apart');
}
