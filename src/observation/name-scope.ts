import { isIPv4 } from 'node:net';
import { parse } from 'tldts';
import { parseHostname, type Hostname } from '../dns/hostname.js';
import { rejectionOfHostname, type Rejection } from './rejection.js';

export interface ScopeSettings {
  readonly internalZones: readonly string[];
}

/** The cluster's domains, which can become known while the program runs. */
export interface KnownClusterDomains {
  /** The cluster domain that a name is below. */
  find(name: string): string | undefined;
}

/** What a name says of itself, before any answer is looked at. */
export type NameScope =
  | { readonly kind: 'external'; readonly hostname: Hostname }
  /** Below the cluster domain: internal, unless its answer is a CNAME that leaves the cluster. */
  | { readonly kind: 'cluster'; readonly domain: string; readonly rejection: 'internal' | 'search-expansion' }
  | { readonly kind: 'rejected'; readonly rejection: Rejection };

// Reverse zones (RFC 1035 section 3.5, RFC 3596 section 2.5) and names that never leave a machine (RFC 6761 section 6.3).
// Names by which clients ask about their network and its resolver: no connection goes to them (RFC 8880, RFC 9462).
const INTERNAL_ZONES = ['in-addr.arpa', 'ip6.arpa', 'localhost', 'ipv4only.arpa', 'resolver.arpa'];

/** Tells what a name (presentation form, any case, with or without trailing dot) is by its suffixes. */
export function scopeOf(name: string, settings: ScopeSettings, cluster: KnownClusterDomains): NameScope {
  const text = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  const domain = cluster.find(text);
  if (domain !== undefined) {
    const isExpansion = askedBefore(text, domain).length > 0;
    return { kind: 'cluster', domain, rejection: isExpansion ? 'search-expansion' : 'internal' };
  }
  if ([...INTERNAL_ZONES, ...settings.internalZones].some((zone) => isBelow(text, zone))) {
    return { kind: 'rejected', rejection: 'internal' };
  }
  const hostname = parseHostname(text);
  return typeof hostname === 'string'
    ? { kind: 'external', hostname }
    : { kind: 'rejected', rejection: rejectionOfHostname(hostname.skipped) };
}

export function isBelow(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}

/**
 * Whether `name.<search domain>` is an expansion of a name of the public DNS, and not a relative name that was meant to
 * be expanded: `api.example.com` ends in a public suffix, `db.staging` does not. Neither is an address meant to be, for
 * which some clients ask as for a name.
 */
export function isGlobalName(name: string): boolean {
  return name.includes('.') && (isIPv4(name) || parse(name).isIcann === true);
}

// Labels that nobody gives to a zone of their own, other than `eu`, `dev` or `prod`, which are top-level domains as well.
const OLD_TOP_LEVEL_DOMAINS: ReadonlySet<string> = new Set(['com', 'net', 'org', 'edu', 'gov', 'mil', 'int', 'info']);

/** As {@link isGlobalName}, but sure enough to hold without having seen the client walk its search list. */
export function isUnmistakable(name: string): boolean {
  return name.includes('.') && OLD_TOP_LEVEL_DOMAINS.has(name.slice(name.lastIndexOf('.') + 1));
}

/**
 * Whether a suffix can be a search domain at all: not a public suffix, or `amazon.com.au` would expand `amazon.com`. One
 * label can be, where it is no top-level domain of the Internet: `lan`, `novalocal`.
 */
export function canBeSearchDomain(suffix: string): boolean {
  const { publicSuffix, isIcann } = parse(suffix);
  return publicSuffix !== suffix || isIcann !== true;
}

/**
 * The names of the Internet of which a name of the cluster can be an expansion: `api.example.com` of
 * `api.example.com.shop.svc.cluster.local`, `api.example.com.svc.cluster.local` and `api.example.com.cluster.local`. None for
 * a Service, which has one label before its namespace: `redis.shop.svc.cluster.local`, though `shop` is a public suffix.
 */
export function askedBefore(name: string, clusterDomain: string): readonly string[] {
  const rest = name.slice(0, -clusterDomain.length - 1);
  if (!rest.endsWith('.svc')) return [rest].filter(isGlobalName);
  const inServices = rest.slice(0, -'.svc'.length);
  if (inServices.split('.').length <= 2) return [];
  return [inServices.slice(0, inServices.lastIndexOf('.')), inServices].filter(isGlobalName);
}
