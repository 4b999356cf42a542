import { isIPv4, isIPv6 } from 'node:net';

/**
 * An IP address in the one text form that Observations use: RFC 5952 for IPv6, and IPv4 for an IPv4-mapped IPv6 address.
 * Undefined when the text is no address.
 *
 * @see RFC 5952 section 4
 */
export function normalizeAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const [address = ''] = text.split('%'); // a zone says nothing about who has the address
  if (!isIPv6(address)) return undefined;
  // The URL standard writes IPv6 as RFC 5952 does, but never with a dotted tail, as Observations.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical); // RFC 4291 section 2.5.5.2
  return mapped === null ? canonical : mapped.slice(1).flatMap(octetsOf).join('.');
}

function octetsOf(group: string): readonly number[] {
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}
