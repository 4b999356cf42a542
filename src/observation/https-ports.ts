import type { Hostname } from '../dns/hostname.js';
import type { DnsMessage } from '../dns/message-reader.js';
import { RecordType } from '../dns/record-types.js';
import { chainOf } from './answer.js';
import { scopeOf, type KnownClusterDomains, type ScopeSettings } from './name-scope.js';

/** That an HTTPS record says that a host is reached on another port than 443. */
export interface HttpsPort {
  readonly hostname: Hostname;
  readonly port: number;
}

const HTTPS_PORT = 443;
const PORT_PREFIX = /^_(\d{1,5})\._https\.(.+)$/; // RFC 9460 section 9.1

/**
 * The ports other than 443 on which the HTTPS records of an answer offer the host asked for. The record makes no host, and
 * its target and address hints are not followed: the client puts the name asked into SNI all the same.
 */
export function readHttpsPorts(
  message: DnsMessage,
  { settings, cluster }: { readonly settings: ScopeSettings; readonly cluster: KnownClusterDomains },
): readonly HttpsPort[] {
  const { names } = chainOf(message);
  const [asked = '.'] = names;
  const [, prefix, base = asked] = PORT_PREFIX.exec(asked) ?? [];
  const scope = scopeOf(base, settings, cluster);
  if (scope.kind !== 'external') return [];
  const { hostname } = scope;
  const ports = message.answers
    .filter(({ type, name }) => type === RecordType.HTTPS && names.includes(name.toLowerCase()))
    .flatMap(({ serviceBinding: binding }) =>
      binding === undefined || binding.priority === 0 ? [] : (binding.port ?? Number(prefix ?? HTTPS_PORT)),
    );
  return [...new Set(ports)].filter(isOtherPort).map((port) => ({ hostname, port }));
}

function isOtherPort(port: number): boolean {
  return port !== HTTPS_PORT && port > 0 && port <= 0xffff;
}
