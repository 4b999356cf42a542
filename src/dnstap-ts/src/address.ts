import { BlockList, isIP } from 'node:net';

import { DnstapError } from './errors.js';

const IPV4_OCTETS = 4;
const IPV6_OCTETS = 16;
const IPV6_GROUPS = 8;

function octet(bytes: Uint8Array, index: number): number {
  return bytes[index] as number; // formatAddress has compared the length
}

/**
 * An address as text, decided by its length and not by `socket_family`: 4 octets are IPv4; 16 octets are IPv4 when they are
 * IPv4-mapped (::ffff:0:0/96), else IPv6 in the form of RFC 5952. CoreDNS before 1.14.5 writes IPv4 in 16 octets beside
 * the family INET.
 *
 * @returns an empty string for any other length
 */
export function formatAddress(bytes: Uint8Array, start = 0, length: number = bytes.length - start): string {
  if (start < 0 || start + length > bytes.length) return '';
  if (length === IPV4_OCTETS) return formatIpv4(bytes, start);
  if (length !== IPV6_OCTETS) return '';
  return isIpv4Mapped(bytes, start) ? formatIpv4(bytes, start + 12) : formatIpv6(bytes, start);
}

function formatIpv4(bytes: Uint8Array, start: number): string {
  return `${octet(bytes, start)}.${octet(bytes, start + 1)}.${octet(bytes, start + 2)}.${octet(bytes, start + 3)}`;
}

function isIpv4Mapped(bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < 10; index++) {
    if (octet(bytes, start + index) !== 0) return false;
  }
  return octet(bytes, start + 10) === 0xff && octet(bytes, start + 11) === 0xff;
}

// RFC 5952 section 4: lower case, no leading zeros, the longest run of zero groups (the first of equals, never one
// group alone) becomes "::".
function formatIpv6(bytes: Uint8Array, start: number): string {
  const groups: string[] = [];
  for (let index = 0; index < IPV6_OCTETS; index += 2) {
    groups.push(((octet(bytes, start + index) << 8) | octet(bytes, start + index + 1)).toString(16));
  }
  const run = longestZeroRun(groups);
  if (run.length < 2) return groups.join(':');
  const head = groups.slice(0, run.start).join(':');
  const tail = groups.slice(run.start + run.length).join(':');
  return `${head}::${tail}`;
}

function longestZeroRun(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (let index = 0; index < IPV6_GROUPS; index++) {
    length = groups[index] === '0' ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  }
  return best;
}

/**
 * A test for membership in any of the ranges, for example `192.0.2.0/24`, `2001:db8::/32` or a single address.
 *
 * @throws DnstapError `DNSTAP_ERR_OPTION`
 */
export function parseAddressRanges(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const range of ranges) addRange(list, range);
  return (address) => {
    const plain = address.toLowerCase().startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
    const version = isIP(plain);
    return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
  };
}

function addRange(list: BlockList, range: string): void {
  const [address = '', prefix, ...rest] = range.split('/');
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (version === 0 || rest.length > 0 || !(length <= bits)) {
    throw new DnstapError('DNSTAP_ERR_OPTION', `expected an address range like 192.0.2.0/24, found ${range}`);
  }
  list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
}
