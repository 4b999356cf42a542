import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import type { ServiceEntrySpec } from '../../src/istio/service-entry.js';
import { validateServiceEntry } from '../../src/istio/validate-service-entry.js';
import { hostname } from './hostname.js';

const base = buildServiceEntry({ hostname: hostname('api.example.com'), namespace: 'shop', owner: 'main' });

function codes(spec: Partial<ServiceEntrySpec>): { errors: string[]; warnings: string[] } {
  const { errors, warnings } = validateServiceEntry({ ...base, spec: { ...base.spec, ...spec } });
  return { errors: errors.map((finding) => finding.code), warnings: warnings.map((finding) => finding.code) };
}

const tls = { name: 'tls-443', number: 443, protocol: 'TLS' };

describe('validateServiceEntry', () => {
  it.each<[string, Partial<ServiceEntrySpec>, string[]]>([
    ['no host', { hosts: [] }, ['hosts-empty']],
    ['only a star', { hosts: ['*'] }, ['host-wildcard-only']],
    ['an underscore', { hosts: ['_dmarc.example.com'] }, ['host-syntax']],
    ['a star in the middle', { hosts: ['a.*.example.com'] }, ['host-syntax']],
    ['a star at the end of a label', { hosts: ['a*.example.com'] }, ['host-syntax']],
    ['a label that begins with a hyphen', { hosts: ['-a.example.com'] }, ['host-syntax']],
    ['an IPv4 address', { hosts: ['192.0.2.1'] }, ['host-syntax']],
    ['an IPv6 address', { hosts: ['2001:db8::1'] }, ['host-syntax']],
    ['a label of 64 characters', { hosts: [`${'a'.repeat(64)}.example.com`] }, ['host-syntax']],
    ['upper case', { hosts: ['API.example.com'] }, ['host-upper-case']],
    ['a wildcard that DNS must resolve', { hosts: ['*.example.com'], resolution: 'DNS' }, ['wildcard-with-dns']],
    ['an address that is none', { addresses: ['192.0.2.300'] }, ['address-syntax']],
    ['a prefix that is too long', { addresses: ['192.0.2.0/33'] }, ['address-syntax']],
    ['a CIDR with DNS', { addresses: ['192.0.2.0/24'], resolution: 'DNS' }, ['address-cidr-with-dns']],
    ['a single address with NONE', { addresses: ['192.0.2.1'] }, ['address-single-with-none']],
    ['a /32 with NONE', { addresses: ['192.0.2.1/32'] }, ['address-single-with-none']],
    ['a /128 with NONE', { addresses: ['2001:db8::1/128'] }, ['address-single-with-none']],
    ['a port number twice', { ports: [tls, { ...tls, name: 'other' }] }, ['port-duplicate']],
    ['a port name twice', { ports: [tls, { ...tls, number: 8443 }] }, ['port-duplicate']],
    ['port 0', { ports: [{ ...tls, number: 0 }] }, ['port-number']],
    ['target port 65536', { ports: [{ ...tls, targetPort: 65_536 }] }, ['port-number']],
    ['a port name with a dot', { ports: [{ ...tls, name: 'tls.443' }] }, ['port-name']],
    ['an unknown protocol', { ports: [{ ...tls, protocol: 'kafka' }] }, ['port-protocol']],
    ['the port of the outbound listener', { ports: [{ ...tls, number: 15_001 }] }, ['port-reserved']],
    ['endpoints with NONE', { endpoints: [{ address: '192.0.2.1' }] }, ['endpoints-with-none']],
    ['* with others', { exportTo: ['*', 'shop'] }, ['export-to']],
    ['the own namespace twice', { exportTo: ['.', 'shop'] }, ['export-to']],
    ['no namespace', { exportTo: ['sh_op'] }, ['export-to']],
    ['an unknown resolution', { resolution: 'MAGIC' }, ['resolution']],
    ['an unknown location', { location: 'MARS' }, ['location']],
    [
      'several hosts on a TCP port',
      { hosts: ['a.example.com', 'b.example.com'], resolution: 'DNS', ports: [{ ...tls, protocol: 'TCP' }] },
      ['several-hosts-on-tcp'],
    ],
  ])('refuses %s', (_what, spec, expected) => {
    expect(codes(spec).errors).toEqual(expected);
  });

  it.each<[string, Partial<ServiceEntrySpec>, string[]]>([
    ['a partial wildcard', { hosts: ['*foo.example.com'] }, ['host-partial-wildcard']],
    ['a partial wildcard with a hyphen', { hosts: ['*-foo.example.com'] }, ['host-partial-wildcard']],
    ['TCP without addresses', { ports: [{ ...tls, protocol: 'TCP' }] }, ['port-tcp-without-addresses']],
    ['no protocol', { ports: [{ name: 'a', number: 443 }] }, ['port-tcp-without-addresses']],
    ['endpoints that it does not check', { resolution: 'STATIC', endpoints: [{}] }, ['not-checked']],
  ])('warns of %s', (_what, spec, expected) => {
    expect(codes(spec)).toEqual({ errors: [], warnings: expected });
  });

  it.each<[string, Partial<ServiceEntrySpec>]>([
    ['a whole wildcard', { hosts: ['*.example.com', 'example.com'] }],
    ['a trailing dot', { hosts: ['api.example.com.'] }],
    ['TCP with a CIDR', { addresses: ['192.0.2.0/24'], ports: [{ ...tls, protocol: 'TCP' }] }],
    ['TCP with DNS, which gets an address of its own', { resolution: 'DNS', ports: [{ ...tls, protocol: 'TCP' }] }],
    ['protocols in any case', { ports: [{ ...tls, protocol: 'https' }] }],
  ])('takes %s', (_what, spec) => {
    expect(codes(spec)).toEqual({ errors: [], warnings: [] });
  });
});
