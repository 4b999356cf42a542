import { isIPv4, isIPv6, type BlockList } from 'node:net';
import type { Hostname } from '../dns/hostname.js';
import type { DnsMessage, ResourceRecord } from '../dns/message-reader.js';
import { RecordType } from '../dns/record-types.js';
import { isBelow, scopeOf, type ScopeSettings } from './name-scope.js';
import { MAX_ADDRESSES } from './observation.js';
import type { Rejection } from './rejection.js';

/** What a positive answer says. */
export interface Answer {
  readonly hostname: Hostname;
  readonly addresses: readonly string[];
  readonly ttlSeconds: { readonly min: number; readonly max: number };
  readonly cnames: readonly string[];
}

export interface AnswerSettings extends ScopeSettings {
  /** Networks of pods and Services. */
  readonly clusterNetworks: BlockList;
}

const MAX_CHAIN = 32; // CNAMEs followed; resolvers give up at 8 to 16

/**
 * Follows the CNAMEs of a NOERROR response from the name asked to its addresses, and decides whether that is an
 * external host. The host is the name asked, never a CNAME target: that is what clients put into SNI and Host. The
 * exception are names of the cluster whose answer leaves it: CoreDNS's `autopath` answers `P.<search domain>` with a CNAME
 * to P, and an ExternalName Service is a CNAME to its target.
 *
 * @see coredns/coredns plugin/autopath, plugin/kubernetes
 */
export function readAnswer(message: DnsMessage, settings: AnswerSettings): Answer | { readonly rejection: Rejection } {
  const asked = canonical(message.questions[0]?.name ?? '.');
  const { names, addresses } = followChain(message.answers, asked);
  if (addresses.length === 0) return { rejection: message.isTruncated ? 'truncated' : 'no-address' };

  const hostname = hostOf(names, settings);
  if (typeof hostname !== 'string') return { rejection: hostname.rejection };
  const texts = [...new Set(addresses.flatMap(({ address }) => address ?? []))].sort();
  const external = texts.filter((address) => !isInternalAddress(address, settings.clusterNetworks));
  if (external.length === 0) return { rejection: 'internal-address' };
  const ttls = addresses.map(({ ttlSeconds }) => ttlSeconds);
  return {
    hostname,
    addresses: external.slice(0, MAX_ADDRESSES),
    ttlSeconds: { min: Math.min(...ttls), max: Math.max(...ttls) },
    cnames: names.slice(names.indexOf(hostname) + 1),
  };
}

/** The name asked and each CNAME target after it, and the address records owned by the last. */
function followChain(
  answers: readonly ResourceRecord[],
  asked: string,
): { names: readonly string[]; addresses: readonly ResourceRecord[] } {
  const targets = new Map<string, string>();
  for (const { type, name, target } of answers) {
    if (type === RecordType.CNAME && target !== undefined) targets.set(canonical(name), canonical(target));
  }
  const names = [asked];
  for (let next = targets.get(asked); next !== undefined && names.length <= MAX_CHAIN; next = targets.get(next)) {
    if (names.includes(next)) return { names, addresses: [] }; // a loop ends nowhere
    names.push(next);
  }
  const last = names[names.length - 1];
  const addresses = answers.filter(({ name, address }) => address !== undefined && canonical(name) === last);
  return { names, addresses };
}

function hostOf(names: readonly string[], settings: AnswerSettings): Hostname | { readonly rejection: Rejection } {
  const scope = scopeOf(names[0] ?? '.', settings);
  if (scope.kind === 'external') return scope.hostname;
  if (scope.kind === 'rejected') return { rejection: scope.rejection };
  const outside = names.find((name) => !isBelow(name, settings.clusterDomain));
  if (outside === undefined) return { rejection: 'internal' };
  const target = scopeOf(outside, settings);
  return target.kind === 'external' ? target.hostname : { rejection: target.rejection };
}

function canonical(name: string): string {
  return name.toLowerCase(); // names are compared without regard to ASCII case (RFC 4343)
}

/**
 * Loopback, link-local (169.254.169.254 is the cloud's metadata server), unspecified (sinkholes answer so), multicast,
 * or in a network of the cluster. Private addresses are external: they are outside the mesh.
 */
export function isInternalAddress(address: string, clusterNetworks: BlockList): boolean {
  if (isIPv4(address)) {
    return /^(?:0\.|127\.|169\.254\.|22[4-9]\.|23\d\.|255\.)/.test(address) || clusterNetworks.check(address, 'ipv4');
  }
  if (!isIPv6(address)) return true;
  return /^(?:::1?$|fe[89ab][0-9a-f]:|ff[0-9a-f]{2}:)/.test(address) || clusterNetworks.check(address, 'ipv6');
}
