import { isIPv4, isIPv6 } from 'node:net';
import { type CoreDnsVersion, isBefore, parseCoreDnsVersion } from './coredns-version.js';

/**
 * Why a CoreDNS cannot be given a line.
 *
 * - `endpoint-unreadable`: neither `unix:///path` nor `tcp://address:port` nor `tls://address:port`.
 * - `endpoint-not-an-address`: CoreDNS looks names up with the resolver of its node, which knows no Service.
 * - `endpoint-path-too-long`: a unix socket path has at most 107 bytes.
 * - `endpoint-has-blank`: or one of `#`, `"`, `{`, `}`: a Corefile would read it as something else than one word.
 * - `tls-not-known`: before 1.11.0 `tls://` is taken for the path of a socket.
 * - `version-unreadable`: not a version such as `1.11.3` or `v1.11.3-eks-1`.
 * - `version-too-old`: before 1.0.0 a CoreDNS does not start while nobody listens, and up to 1.8.0 it waits for ever,
 *   without serving DNS, for a receiver that takes the connection and then stays silent.
 */
export type CorefileLineRefusal =
  | 'endpoint-has-blank'
  | 'endpoint-not-an-address'
  | 'endpoint-path-too-long'
  | 'endpoint-unreadable'
  | 'tls-not-known'
  | 'version-too-old'
  | 'version-unreadable';

/**
 * What to know before the line goes in.
 *
 * - `listen-first`: 1.9.1 to 1.13.1 connect, when nobody listened at their start, only after a second without any query.
 *   Start the receiver first.
 * - `only-tap`: before 1.10.1 only the first `dnstap` line of a server block works.
 * - `tls-trust`: CoreDNS has no option for an authority: the certificate must name the address and be of one that its container
 *   trusts (`SSL_CERT_FILE`).
 */
export type CorefileCaution = 'listen-first' | 'only-tap' | 'tls-trust';

/** @see corefileLine */
export type CorefileLine =
  { readonly line: string; readonly cautions: readonly CorefileCaution[] } | { readonly refused: CorefileLineRefusal };

/** @see corefileLine */
export interface CorefileLineOptions {
  /** `unix:///path`, `tcp://address:port` or `tls://address:port`, IPv6 addresses in brackets. */
  readonly endpoint: string;
  /** Version of CoreDNS, with or without `v` and what distributors append. Unknown: every caution is given. */
  readonly version?: string;
}

const MAX_UNIX_PATH_BYTES = 107; // sun_path has 108 bytes, one of them the terminator
const TCP = /^(?:tcp|tls):\/\/(?:\[([^\]]+)\]|([^:/[\]]+)):(\d{1,5})$/;
const OLDEST: CoreDnsVersion = [1, 8, 1]; // the first with a timeout in the Frame Streams handshake
const FIRST_WITH_TLS: CoreDnsVersion = [1, 11, 0];

/**
 * The Corefile line that makes a CoreDNS send to us, the same for every version that can be tapped: `full` must be the
 * second word, and a third would silently switch it off up to 1.11.3.
 *
 * @see coredns/coredns plugin/dnstap/README.md, plugin/dnstap/setup.go and notes/
 */
export function corefileLine({ endpoint, version }: CorefileLineOptions): CorefileLine {
  const refused = refuseEndpoint(endpoint);
  if (refused !== undefined) return { refused };
  const line = `dnstap ${endpoint} full`;
  const isTls = endpoint.startsWith('tls:');
  const cautions: CorefileCaution[] = isTls ? ['tls-trust'] : [];
  if (version === undefined) return { line, cautions: ['listen-first', 'only-tap', ...cautions] };
  const parsed = parseCoreDnsVersion(version);
  if (parsed === undefined) return { refused: 'version-unreadable' };
  if (isBefore(parsed, OLDEST)) return { refused: 'version-too-old' };
  if (isTls && isBefore(parsed, FIRST_WITH_TLS)) return { refused: 'tls-not-known' };
  if (!isBefore(parsed, [1, 9, 1]) && isBefore(parsed, [1, 13, 2])) cautions.push('listen-first');
  if (isBefore(parsed, [1, 10, 1])) cautions.push('only-tap');
  return { line, cautions };
}

function refuseEndpoint(endpoint: string): CorefileLineRefusal | undefined {
  if (/[\s#"{}]/u.test(endpoint)) return 'endpoint-has-blank';
  if (!endpoint.startsWith('unix:///')) return refuseTcp(endpoint);
  const path = endpoint.slice('unix://'.length);
  return Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES ? 'endpoint-path-too-long' : undefined;
}

function refuseTcp(endpoint: string): CorefileLineRefusal | undefined {
  const match = TCP.exec(endpoint);
  if (match === null) return 'endpoint-unreadable';
  const [, ipv6, other = '', digits] = match;
  const port = Number(digits);
  if (port < 1 || port > 0xffff) return 'endpoint-unreadable';
  if (ipv6 === undefined) return isIPv4(other) ? undefined : 'endpoint-not-an-address';
  return isIPv6(ipv6) ? undefined : 'endpoint-unreadable';
}
