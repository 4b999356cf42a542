import { isIPv4, isIPv6, type BlockList } from 'node:net';
import type { Hostname } from '../dns/hostname.js';
import type { DnsMessage, ResourceRecord } from '../dns/message-reader.js';
import { RecordType } from '../dns/record-types.js';
import { isPrivateAddress } from './cluster-domains.js';
import { askedBefore, isBelow, scopeOf, type KnownClusterDomains, type ScopeSettings } from './name-scope.js';
import { MAX_ADDRESSES } from './observation.js';
import type { Rejection } from './rejection.js';

/** What a positive answer says. */
export interface Answer {
  readonly hostname: Hostname;
  readonly addresses: readonly string[];
  readonly ttlSeconds: { readonly min: number; readonly max: number };
  readonly cnames: readonly string[];
  /** The Service of type ExternalName that was asked for. */
  readonly askedAs?: string;
}

export interface AnswerSettings extends ScopeSettings {
  /** Networks of pods and Services. */
  readonly clusterNetworks: BlockList;
}

export interface AnswerContext {
  readonly settings: AnswerSettings;
  readonly cluster: KnownClusterDomains & { isService(name: string, addresses: readonly string[]): boolean };
}

const MAX_CHAIN = 32; // CNAMEs followed; resolvers give up at 8 to 16

/**
 * Follows the CNAMEs of a NOERROR response with addresses from the name asked to its own, and decides whether that is an
 * external host. The host is the name asked, never a CNAME target: that is what clients put into SNI and Host. The
 * exception are names of the cluster whose answer leaves it: CoreDNS's `autopath` answers `P.<search domain>` with a CNAME
 * to P, and an ExternalName Service is a CNAME to its target.
 *
 * @see coredns/coredns plugin/autopath, plugin/kubernetes
 */
export function readAnswer(message: DnsMessage, context: AnswerContext): Answer | { readonly rejection: Rejection } {
  const { names, addresses: records } = chainOf(message);
  if (records.length === 0) return { rejection: message.isTruncated ? 'truncated' : 'broken-chain' };

  const all = [...new Set(records.flatMap(({ address }) => address ?? []))].sort();
  const { clusterNetworks } = context.settings;
  const external = all.filter((address) => !isInternalAddress(address, clusterNetworks));
  const hostname = hostOf({ names, addresses: all }, context);
  if (typeof hostname !== 'string') return hostname;
  if (external.length === 0) return { rejection: 'internal-address' };
  const ttls = records.map(({ ttlSeconds }) => ttlSeconds);
  const asked = names[0] ?? '.';
  const domain = context.cluster.find(asked);
  const isExternalName = domain !== undefined && !askedBefore(asked, domain).includes(hostname);
  return {
    ...(isExternalName ? { askedAs: names[names.indexOf(hostname) - 1] ?? asked } : {}),
    hostname,
    addresses: external.slice(0, MAX_ADDRESSES),
    ttlSeconds: { min: Math.min(...ttls), max: Math.max(...ttls) },
    cnames: names.slice(names.indexOf(hostname) + 1),
  };
}

/** The name asked and each CNAME target after it, and the address records owned by the last; none where it loops. */
export function chainOf({ questions, answers }: DnsMessage): {
  readonly names: readonly string[];
  readonly addresses: readonly ResourceRecord[];
} {
  const links = linksOf(answers);
  const names = [canonical(questions[0]?.name ?? '.')];
  for (;;) {
    const last = names[names.length - 1] ?? '.'; // there is one
    const next = links(last);
    if (next === undefined) {
      const addresses = answers.filter(({ name, address }) => address !== undefined && canonical(name) === last);
      return { names, addresses };
    }
    if (names.includes(next) || names.length > MAX_CHAIN) return { names, addresses: [] };
    names.push(next);
  }
}

/** Where a name leads to, in whatever order the records are. A DNAME without its CNAME is followed as well (RFC 6672). */
function linksOf(answers: readonly ResourceRecord[]): (name: string) => string | undefined {
  const cnames = new Map<string, string>();
  const dnames = new Map<string, string>();
  for (const { type, name, target } of answers) {
    const links = type === RecordType.CNAME ? cnames : dnames;
    const isLink = type === RecordType.CNAME || type === RecordType.DNAME;
    const owner = canonical(name);
    if (isLink && target !== undefined && !links.has(owner)) links.set(owner, canonical(target));
  }
  return (name) => {
    const target = cnames.get(name);
    if (target !== undefined || dnames.size === 0) return target;
    const owner = [...dnames.keys()].find((one) => name !== one && isBelow(name, one));
    return owner === undefined ? undefined : `${name.slice(0, -owner.length)}${dnames.get(owner)}`;
  };
}

/** The host that an answer is of, by the name asked, the CNAME targets after it and the addresses, if it is to have some. */
export function hostOf(
  { names, addresses }: { readonly names: readonly string[]; readonly addresses: readonly string[] },
  { settings, cluster }: AnswerContext,
): Hostname | { readonly rejection: Rejection } {
  const asked = names[0] ?? '.';
  const scope = scopeOf(asked, settings, cluster);
  if (scope.kind === 'external')
    return cluster.isService(asked, addresses) ? { rejection: 'internal' } : scope.hostname;
  if (scope.kind === 'rejected') return { rejection: scope.rejection };
  const plain = askedBefore(asked, scope.domain);
  const outside = names.find((name) => cluster.find(name) === undefined);
  if (outside === undefined) {
    // A rewrite or template made the step of a walk resolve: the client never comes to the name itself.
    const isLost = plain.length > 0 && !addresses.every((one) => isOwnAddress(one, settings.clusterNetworks));
    return { rejection: isLost ? 'search-conflict' : 'internal' };
  }
  // `autopath` came to a search domain that answers everything, before it came to the name itself.
  if (plain.some((name) => outside.startsWith(`${name}.`))) return { rejection: 'search-conflict' };
  const target = scopeOf(outside, settings, cluster);
  return target.kind === 'external' ? target.hostname : { rejection: target.rejection };
}

function canonical(name: string): string {
  return name.toLowerCase(); // names are compared without regard to ASCII case (RFC 4343)
}

function isOwnAddress(address: string, clusterNetworks: BlockList): boolean {
  return isPrivateAddress(address) || isInternalAddress(address, clusterNetworks);
}

/**
 * Loopback, link-local (169.254.169.254 is the cloud's metadata server), unspecified (sinkholes answer so), multicast,
 * or in a network of the cluster. Private addresses are external unless they are in one: they are outside the mesh.
 */
export function isInternalAddress(address: string, clusterNetworks: BlockList): boolean {
  if (isIPv4(address)) {
    return /^(?:0\.|127\.|169\.254\.|22[4-9]\.|23\d\.|255\.)/.test(address) || clusterNetworks.check(address, 'ipv4');
  }
  if (!isIPv6(address)) return true;
  const embedded = embeddedAddress(address);
  if (embedded !== undefined) return isInternalAddress(embedded, clusterNetworks);
  return /^(?:::1?$|fe[89ab][0-9a-f]:|ff[0-9a-f]{2}:)/.test(address) || clusterNetworks.check(address, 'ipv6');
}

/** NAT64 (RFC 6052 section 2.1) and IPv4-mapped addresses (RFC 4291 section 2.5.5.2) lead to the IPv4 address at their end. */
const EMBEDDING = /^(?:64:ff9b::|::ffff:)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})?$/;

function embeddedAddress(address: string): string | undefined {
  const found = EMBEDDING.exec(address);
  if (found === null) return undefined;
  const [, high = '0', low = '0'] = found;
  const groups = [high, low].map((group) => Number.parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 0xff]).join('.');
}
