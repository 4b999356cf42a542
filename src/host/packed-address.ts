import { formatAddress } from '../dns/message-reader.js';

/**
 * Addresses in few ASCII characters. The first says the kind and has the two highest bits, each further one has six:
 *
 * ```
 *   !"#$   IPv4, 6 characters      %&'(   IPv6, 22 characters      )…*   any other text, as it is
 * ```
 * No further character is one of those that begin an address, so addresses need nothing between them. In order of code
 * units IPv4 comes before IPv6, and each is in the order of its numbers.
 */
const IPV4 = 0x21;
const IPV6 = 0x25;
const OTHER = 0x29;
const OTHER_END = '*';
const DIGIT = 0x30;

const IPV4_CHARACTERS = 6;
const IPV6_CHARACTERS = 22;
const IPV6_OCTETS = 16;

export function packAddress(address: string): string {
  const packed = address.includes(':') ? packIpv6(address) : packIpv4(address);
  return packed ?? String.fromCharCode(OTHER) + address + OTHER_END;
}

/** The addresses of a text, after what is none of them. */
export function unpackAddresses(text: string): readonly string[] {
  const addresses: string[] = [];
  let at = 0;
  while (at < text.length && (text.charCodeAt(at) < IPV4 || text.charCodeAt(at) > OTHER)) at += 1;
  while (at < text.length) {
    const first = text.charCodeAt(at);
    const end = first < IPV6 ? at + IPV4_CHARACTERS : first < OTHER ? at + IPV6_CHARACTERS : endOfOther(text, at);
    if (first < IPV6) addresses.push(unpackIpv4(text, at));
    else addresses.push(first < OTHER ? unpackIpv6(text, at) : text.slice(at + 1, end - 1));
    at = end;
  }
  return addresses;
}

function endOfOther(text: string, at: number): number {
  const end = text.indexOf(OTHER_END, at);
  return end < 0 ? text.length : end + 1;
}

/** Undefined unless the text is dotted decimal without leading zeros. */
function packIpv4(address: string): string | undefined {
  const [a = '', b = '', c = '', d = ''] = address.split('.', 4);
  const number = (Number(a) << 24) | (Number(b) << 16) | (Number(c) << 8) | Number(d);
  if (formatIpv4(number) !== address) return undefined;
  const digit = (shift: number): number => DIGIT + ((number >>> shift) & 63);
  return String.fromCharCode(IPV4 + (number >>> 30), digit(24), digit(18), digit(12), digit(6), digit(0));
}

function unpackIpv4(text: string, at: number): string {
  let number = text.charCodeAt(at) - IPV4;
  for (let index = 1; index < IPV4_CHARACTERS; index++) number = (number << 6) | (text.charCodeAt(at + index) - DIGIT);
  return formatIpv4(number);
}

const formatIpv4 = (number: number): string =>
  `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;

/** Undefined unless the text is as formatAddress() gives it. */
function packIpv6(address: string): string | undefined {
  const octets = ipv6Octets(address);
  if (formatAddress(octets, 0, IPV6_OCTETS) !== address) return undefined;
  // 128 bits are four short of 22 digits.
  let [text, bits, rest, base] = ['', 4, 0, IPV6];
  for (const octet of octets) {
    rest = ((rest << 8) | octet) & 0xffff;
    bits += 8;
    for (; bits >= 6; bits -= 6) {
      text += String.fromCharCode(base + ((rest >> (bits - 6)) & 63));
      base = DIGIT;
    }
  }
  return text;
}

function ipv6Octets(address: string): Uint8Array {
  const octets = new Uint8Array(IPV6_OCTETS);
  const [head = '', tail = ''] = address.split('::');
  const [before, after] = [head.split(':'), tail.split(':')];
  const write = (groups: readonly string[], from: number): void => {
    for (const [index, group] of groups.entries()) {
      const value = Number.parseInt(group === '' ? '0' : group, 16);
      octets.set([value >> 8, value & 255], 2 * Math.min(Math.max(from + index, 0), 7));
    }
  };
  write(before, 0);
  if (tail !== '') write(after, 8 - after.length);
  return octets;
}

function unpackIpv6(text: string, at: number): string {
  const octets = new Uint8Array(IPV6_OCTETS);
  let [bits, rest, octet] = [2, text.charCodeAt(at) - IPV6, 0];
  for (let index = 1; index < IPV6_CHARACTERS; index++) {
    rest = ((rest << 6) | (text.charCodeAt(at + index) - DIGIT)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    octets[octet++] = rest >> bits;
  }
  return formatAddress(octets, 0, IPV6_OCTETS) ?? '';
}
