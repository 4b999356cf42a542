/**
 * The enumerations of dnstap.proto (version 20250201) as plain numbers. A field may hold a number that is not listed:
 * producers may be newer than this package, and such values are kept.
 */

/** `Dnstap.Type`: what the frame holds. */
export const DnstapType = { MESSAGE: 1 } as const;

/** `Message.Type`: who saw the DNS message, and its direction. */
export const MessageType = {
  AUTH_QUERY: 1,
  AUTH_RESPONSE: 2,
  RESOLVER_QUERY: 3,
  RESOLVER_RESPONSE: 4,
  CLIENT_QUERY: 5,
  CLIENT_RESPONSE: 6,
  FORWARDER_QUERY: 7,
  FORWARDER_RESPONSE: 8,
  STUB_QUERY: 9,
  STUB_RESPONSE: 10,
  TOOL_QUERY: 11,
  TOOL_RESPONSE: 12,
  UPDATE_QUERY: 13,
  UPDATE_RESPONSE: 14,
} as const;

/** `SocketFamily`. Do not infer the length of an address from it: see `formatAddress`. */
export const SocketFamily = { INET: 1, INET6: 2 } as const;

/** `SocketProtocol`: how the DNS message travelled. */
export const SocketProtocol = {
  UDP: 1,
  TCP: 2,
  DOT: 3,
  DOH: 4,
  DNSCryptUDP: 5,
  DNSCryptTCP: 6,
  DOQ: 7,
} as const;

/** `HttpProtocol`: beside `SocketProtocol.DOH`. */
export const HttpProtocol = { HTTP1: 1, HTTP2: 2, HTTP3: 3 } as const;

/** `Policy.Action`: what the server did about a message that met a rule. */
export const PolicyAction = { NXDOMAIN: 1, NODATA: 2, PASS: 3, DROP: 4, TRUNCATE: 5, LOCAL_DATA: 6 } as const;

/** `Policy.Match`: what about a message met the rule. */
export const PolicyMatch = { QNAME: 1, CLIENT_IP: 2, RESPONSE_IP: 3, NS_NAME: 4, NS_IP: 5 } as const;

/** The name of a value in one of the tables above, or the number as text when the table does not have it. */
export function kindName(kinds: Readonly<Record<string, number>>, value: number): string {
  for (const [name, number] of Object.entries(kinds)) {
    if (number === value) return name;
  }
  return String(value);
}
