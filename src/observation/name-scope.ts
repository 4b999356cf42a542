import { getPublicSuffix, parse } from 'tldts';
import { parseHostname, type Hostname } from '../dns/hostname.js';
import { rejectionOfHostname, type Rejection } from './rejection.js';

export interface ScopeSettings {
  readonly clusterDomain: string;
  readonly internalZones: readonly string[];
  /** Search domains that nodes hand to pods. */
  readonly searchDomains: readonly string[];
}

/** What a name says of itself, before any answer is looked at. */
export type NameScope =
  | { readonly kind: 'external'; readonly hostname: Hostname }
  /** Below the cluster domain: internal, unless its answer is a CNAME that leaves the cluster. */
  | { readonly kind: 'cluster'; readonly rejection: 'internal' | 'search-expansion' }
  | { readonly kind: 'rejected'; readonly rejection: Rejection };

// Reverse zones (RFC 1035 section 3.5, RFC 3596 section 2.5) and names that never leave a machine (RFC 6761 section 6.3).
const INTERNAL_ZONES = ['in-addr.arpa', 'ip6.arpa', 'localhost'];

/** Tells what a name (presentation form, any case, with or without trailing dot) is by its suffixes. */
export function scopeOf(name: string, settings: ScopeSettings): NameScope {
  const text = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  if (isBelow(text, settings.clusterDomain)) {
    return { kind: 'cluster', rejection: isClusterExpansion(text, settings) ? 'search-expansion' : 'internal' };
  }
  if ([...INTERNAL_ZONES, ...settings.internalZones].some((zone) => isBelow(text, zone))) {
    return { kind: 'rejected', rejection: 'internal' };
  }
  const hostname = parseHostname(text);
  if (typeof hostname !== 'string') {
    return { kind: 'rejected', rejection: rejectionOfHostname(hostname.skipped) };
  }
  const suffix = settings.searchDomains.find((domain) => isBelow(text, domain) && text !== domain);
  if (suffix !== undefined && isUnmistakable(text.slice(0, -suffix.length - 1))) {
    return { kind: 'rejected', rejection: 'search-expansion' };
  }
  return { kind: 'external', hostname };
}

export function isBelow(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}

/**
 * Whether `name.<search domain>` is an expansion of a name of the public DNS, and not a relative name that was meant to
 * be expanded: `api.example.com` ends in a public suffix, `db.staging` does not.
 */
export function isGlobalName(name: string): boolean {
  return name.includes('.') && parse(name).isIcann === true;
}

// Labels that nobody gives to a zone of their own, other than `eu`, `dev` or `prod`, which are top-level domains as well.
const OLD_TOP_LEVEL_DOMAINS: ReadonlySet<string> = new Set(['com', 'net', 'org', 'edu', 'gov', 'mil', 'int', 'info']);

/** As {@link isGlobalName}, but sure enough to hold without having seen the client walk its search list. */
function isUnmistakable(name: string): boolean {
  return name.includes('.') && OLD_TOP_LEVEL_DOMAINS.has(name.slice(name.lastIndexOf('.') + 1));
}

/** Whether a suffix can be a search domain at all: not a public suffix, or `amazon.com.au` would expand `amazon.com`. */
export function canBeSearchDomain(suffix: string): boolean {
  return suffix.includes('.') && getPublicSuffix(suffix) !== suffix;
}

/**
 * `api.example.com.shop.svc.cluster.local`, `api.example.com.svc.cluster.local`, `api.example.com.cluster.local`. Names
 * of Services have one label before the namespace: `redis.shop.svc.cluster.local` is one, though `shop` is a public suffix.
 */
function isClusterExpansion(name: string, { clusterDomain }: ScopeSettings): boolean {
  const rest = name.slice(0, -clusterDomain.length - 1);
  if (!rest.endsWith('.svc')) return isGlobalName(rest);
  const inServices = rest.slice(0, -'.svc'.length);
  const isService = inServices.split('.').length <= 2;
  return !isService && (isGlobalName(inServices) || isGlobalName(inServices.slice(0, inServices.lastIndexOf('.'))));
}
