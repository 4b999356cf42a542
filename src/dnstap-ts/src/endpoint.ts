import { isIPv6 } from 'node:net';

import { DnstapError } from './errors.js';

/** Where a receiver listens or a sender connects to. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number };

const MAX_UNIX_PATH_BYTES = 107; // sun_path has 108 bytes, one of them the terminator
const NETWORK = /^(tcp|tls):\/\/(?:\[([^\]]+)\]|([^:/?#[\]@]+)):(\d{1,5})\/?$/;

/**
 * Reads an endpoint: `unix:///path`, `/path`, `tcp://host:port` or `tls://host:port`, IPv6 hosts in brackets. Port 0 lets
 * the system choose when listening.
 *
 * @throws DnstapError `DNSTAP_ERR_ENDPOINT`
 */
export function parseEndpoint(text: string): Endpoint {
  const path = text.startsWith('unix://') ? text.slice('unix://'.length) : text;
  if (path.startsWith('/')) return unixEndpoint(path);
  const match = NETWORK.exec(text);
  if (match === null) return refuse(text);
  const [, kind, ipv6, name = ''] = match;
  const port = Number(match[4]);
  if (port > 0xffff || (ipv6 !== undefined && !isIPv6(ipv6))) return refuse(text);
  return { kind: kind === 'tls' ? 'tls' : 'tcp', host: ipv6 ?? name, port };
}

/** The text that `parseEndpoint` reads; unix endpoints as `unix:///path`. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix://${endpoint.path}`;
  const host = isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host;
  return `${endpoint.kind}://${host}:${endpoint.port}`;
}

function unixEndpoint(path: string): Endpoint {
  if (path === '/' || path.includes('\0')) return refuse(path);
  if (Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES) {
    throw new DnstapError(
      'DNSTAP_ERR_ENDPOINT',
      `a unix socket path has at most ${MAX_UNIX_PATH_BYTES} bytes: ${path}`,
    );
  }
  return { kind: 'unix', path };
}

function refuse(text: string): never {
  throw new DnstapError(
    'DNSTAP_ERR_ENDPOINT',
    `expected unix:///path, /path, tcp://host:port or tls://host:port, found ${JSON.stringify(text)}`,
  );
}
