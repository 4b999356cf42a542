import { isReservedPort } from './reserved-ports.js';
import { PORT_PROTOCOLS, type PortProtocol, type PortSpec } from './service-entry.js';
import { isHttp, isTls } from './validation/protocols.js';

/** That a host is reached on a port. */
export interface PortEvidence {
  readonly number: number;
  readonly protocol: string;
  /** A person says so, who knows what else uses the port: it stands instead of the default ports. */
  readonly isOrdered: boolean;
}

/** Why a port is not declared although there is evidence of it. */
export type WithheldReason =
  | 'changes-port-for-all-hosts'
  | 'needs-address-range'
  | 'reserved'
  | 'server-speaks-first'
  | 'unknown-protocol'
  | 'wrong-for-port';

export interface WithheldPort {
  readonly number: number;
  readonly protocol: string;
  readonly reason: WithheldReason;
}

export interface PortDecision {
  /** Sorted by number, each number once; never empty unless ordered ports are all withheld. */
  readonly ports: readonly PortSpec[];
  readonly withheld: readonly WithheldPort[];
}

/**
 * Ports on which servers commonly speak first. To declare TLS or HTTP on one makes proxies wait for the client to begin,
 * for every host, so that MySQL, SMTP, FTP or SSH on it hang.
 */
const SERVER_FIRST_PORTS: ReadonlySet<number> = new Set([
  21, 22, 23, 25, 110, 119, 143, 389, 465, 587, 1433, 1521, 2525, 3306, 5432, 5900, 33_060,
]);

/**
 * Which ports an entry declares.
 *
 * ```
 * evidence                                       inferred              ordered by a person
 * ---------------------------------------------  --------------------  -------------------
 * none                                           the default ports     the default ports
 * a port of the proxy, HTTP on 443, TLS on 80    withheld              withheld
 * TCP (no name to match by)                      withheld              withheld
 * TLS on a port where servers speak first        withheld              declared
 * TLS on another port                            beside the defaults   instead of them
 * HTTP, HTTP2, GRPC on 80                        beside the defaults   instead of them
 * HTTP, HTTP2, GRPC on another port              withheld              instead of them
 * ```
 *
 * HTTP on a port of its own is withheld unless a person asks for it: it moves all plain HTTP on that port, of every host,
 * from a passed-through connection into the proxy's HTTP engine.
 */
export function decidePorts(evidence: readonly PortEvidence[], defaults: readonly PortSpec[]): PortDecision {
  const ordered = evidence.filter(({ isOrdered }) => isOrdered);
  const considered = ordered.length > 0 ? ordered : evidence;
  const ports = new Map<number, PortSpec>();
  if (ordered.length === 0) for (const port of defaults) ports.set(port.number, port);
  const withheld: WithheldPort[] = [];
  for (const { number, protocol, isOrdered } of [...considered].sort(compareEvidence)) {
    const known = PORT_PROTOCOLS.find((name) => name === protocol.toUpperCase());
    const reason = known === undefined ? 'unknown-protocol' : withheldReasonOf({ number, protocol: known }, isOrdered);
    if (reason !== undefined) withheld.push({ number, protocol, reason });
    // What is a default or came first stays: a number stands once in an entry.
    else if (known !== undefined && !ports.has(number)) ports.set(number, { number, protocol: known });
  }
  return { ports: [...ports.values()].sort((a, b) => a.number - b.number), withheld };
}

function withheldReasonOf({ number, protocol }: PortSpec, isOrdered: boolean): WithheldReason | undefined {
  if (isReservedPort(number)) return 'reserved';
  if (protocol === 'TCP') return 'needs-address-range';
  if ((number === 443 && isHttp(protocol)) || (number === 80 && isTls(protocol))) return 'wrong-for-port';
  if (isOrdered) return undefined;
  if (SERVER_FIRST_PORTS.has(number)) return 'server-speaks-first';
  return isHttp(protocol) && number !== 80 ? 'changes-port-for-all-hosts' : undefined;
}

function compareEvidence(a: PortEvidence, b: PortEvidence): number {
  return a.number - b.number || (a.protocol < b.protocol ? -1 : 1);
}

const PORT = /^([1-9][0-9]{0,4})\/([A-Z0-9]+)$/i;

/** Reads `443/TLS`; `undefined` when it is no port of a known protocol. */
export function parsePort(text: string): PortSpec | undefined {
  const [, digits = '', word = ''] = PORT.exec(text) ?? [];
  const number = Number(digits);
  const protocol: PortProtocol | undefined = PORT_PROTOCOLS.find((name) => name === word.toUpperCase());
  return protocol === undefined || number < 1 || number > 65_535 ? undefined : { number, protocol };
}
