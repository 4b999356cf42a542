import type { ServiceEntry, ServiceEntryPort } from '../istio/service-entry.js';
import { portName } from '../istio/names.js';

/** Ports of one entry that others do not have, by number: `8443/TLS`. */
export function missingPorts(wanted: ServiceEntry, others: readonly ServiceEntry[]): readonly string[] {
  const there = new Set(others.flatMap(({ spec }) => (spec.ports ?? []).map(({ number }) => number)));
  return (wanted.spec.ports ?? [])
    .filter(({ number }) => !there.has(number))
    .map(({ number, protocol }) => `${number}/${protocol ?? ''}`);
}

/** Whether one entry declares each port of the other with the same protocol. */
export function hasPortsOf(one: ServiceEntry, other: ServiceEntry): boolean {
  return (other.spec.ports ?? []).every(({ number, protocol }) =>
    (one.spec.ports ?? []).some((port) => port.number === number && sameText(port.protocol, protocol)),
  );
}

/** Whether an update takes away a port, or changes what it speaks. */
export function losesPorts(current: ServiceEntry, wanted: ServiceEntry): boolean {
  return !hasPortsOf(wanted, current);
}

/**
 * The entry in the words of others that declare the same ports: TLS and HTTPS mean the same to a proxy, but istioctl
 * reports a conflict (IST0177). Other differences cannot be bridged; then the conflicting ports are returned.
 */
export function agreeOnProtocols(
  wanted: ServiceEntry,
  others: readonly ServiceEntry[],
): { readonly entry: ServiceEntry } | { readonly conflicts: readonly string[] } {
  const theirs = new Map(others.flatMap(({ spec }) => (spec.ports ?? []).map((port) => [port.number, port] as const)));
  const ports = (wanted.spec.ports ?? []).map((port) => inWordsOf(port, theirs.get(port.number)));
  const isUnchanged = ports.every((port, index) => port === wanted.spec.ports?.[index]);
  const entry = isUnchanged ? wanted : { ...wanted, spec: { ...wanted.spec, ports } };
  const conflicts = others.flatMap(({ spec }) =>
    (spec.ports ?? [])
      .filter(({ number, protocol }) =>
        ports.some((port) => port.number === number && !sameText(port.protocol, protocol)),
      )
      .map(({ number, protocol }) => `${number}/${protocol ?? ''}`),
  );
  return conflicts.length === 0 ? { entry } : { conflicts: [...new Set(conflicts)].sort() };
}

const TLS_WORDS: readonly string[] = ['TLS', 'HTTPS'];

function inWordsOf(port: ServiceEntryPort, theirs: ServiceEntryPort | undefined): ServiceEntryPort {
  const protocol = (theirs?.protocol ?? '').toUpperCase();
  const isOtherWord =
    protocol !== port.protocol && [protocol, port.protocol ?? ''].every((word) => TLS_WORDS.includes(word));
  return isOtherWord ? { ...port, name: portName({ number: port.number, protocol }), protocol } : port;
}

function sameText(a = '', b = ''): boolean {
  return a.toUpperCase() === b.toUpperCase();
}
