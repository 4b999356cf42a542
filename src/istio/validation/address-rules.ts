import { isIP } from 'node:net';
import type { Report } from './finding.js';
import { isTcp } from './protocols.js';
import type { SpecView } from './spec-view.js';

export function checkAddresses(spec: SpecView, report: Report): void {
  const { addresses, resolution } = spec;
  for (const { value: address, path } of addresses) {
    const kind = addressKindOf(address);
    if (kind === 'invalid') {
      report('address-syntax', path, `${JSON.stringify(address)} is neither an address nor a CIDR`);
    } else if (resolution === 'NONE' && kind === 'single') {
      report('address-single-with-none', path, `a proxy that captures DNS would answer ${address} for ever`);
    }
    if (address.includes('/') && !['NONE', 'STATIC'].includes(resolution)) {
      report('address-cidr-with-dns', path, `a CIDR cannot stand with resolution ${resolution}`);
    }
  }
  const isDns = resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN';
  const isTcpPort = spec.ports.some(({ protocol }) => isTcp(protocol));
  if (isDns && addresses.length > 0 && spec.hosts.length > 1 && isTcpPort) {
    report('several-hosts-with-addresses', ['spec', 'addresses'], 'several hosts share these addresses on a TCP port');
  }
}

/** A prefix of full length is one address, too: Istio's name table takes it for one. */
export function addressKindOf(address: string): 'invalid' | 'single' | 'range' {
  const [ip = '', prefix, ...rest] = address.split('/');
  const family = ip.includes('%') && prefix !== undefined ? 0 : isIP(ip); // a zone names one address
  if (family === 0 || rest.length > 0) return 'invalid';
  const maxPrefix = family === 6 ? 128 : 32;
  if (prefix === undefined) return 'single';
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(prefix) || Number(prefix) > maxPrefix) return 'invalid';
  return Number(prefix) === maxPrefix ? 'single' : 'range';
}
