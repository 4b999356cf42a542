import type { Hostname } from '../dns/hostname.js';
import type { DnsMessage } from '../dns/message-reader.js';
import { RecordType } from '../dns/record-types.js';
import { chainOf, hostOf, type AnswerContext } from './answer.js';

/** What an answer to a question for HTTPS or SVCB says of the host that was asked for. */
export interface ServiceBinding {
  readonly hostname: Hostname;
  /** Ports other than 443 on which HTTPS records offer it. */
  readonly ports: readonly number[];
}

/** That an HTTPS record says that a host is reached on another port than 443. */
export interface HttpsPort {
  readonly hostname: Hostname;
  readonly port: number;
}

const HTTPS_PORT = 443;
const PORT_PREFIX = /^_(\d{1,5})\._https\./; // RFC 9460 section 9.1
const PREFIX = /^(?:_[^.]*\.)+/; // `_8443._https`; `_dns` (RFC 9461)

/**
 * The record makes no host, and its target and address hints are not followed: the client puts the name asked into SNI all
 * the same. Undefined where that can be no host.
 */
export function readServiceBinding(message: DnsMessage, context: AnswerContext): ServiceBinding | undefined {
  const { names } = chainOf(message);
  const [asked = '.', ...targets] = names;
  const hostname = hostOf({ names: [asked.replace(PREFIX, ''), ...targets], addresses: [] }, context);
  if (typeof hostname !== 'string') return undefined;
  const port = Number(PORT_PREFIX.exec(asked)?.[1] ?? HTTPS_PORT);
  const ports = message.answers
    .filter(({ type, name }) => type === RecordType.HTTPS && names.includes(name.toLowerCase()))
    .flatMap(({ serviceBinding: binding }) =>
      binding === undefined || binding.priority === 0 ? [] : (binding.port ?? port),
    );
  return { hostname, ports: [...new Set(ports)].filter(isOtherPort) };
}

function isOtherPort(port: number): boolean {
  return port !== HTTPS_PORT && port > 0 && port <= 0xffff;
}
