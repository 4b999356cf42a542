import type { Hostname } from '../dns/hostname.js';

/** Where an Observation came from. */
export const ORIGINS = ['dnstap', 'replay'] as const;
export type Origin = (typeof ORIGINS)[number];

/**
 * Length of an evidence slot. An Observation never spans two slots, so that the state of a store does not depend on when
 * a collector flushed, and so that an address that changed hands is told apart (a pod address can be reused in seconds).
 */
export const EVIDENCE_SLOT_MS = 10_000;

/**
 * That one client address got addresses for one external host, `lookups` times within one evidence slot.
 *
 * A and AAAA of one look-up count once: `lookups` is the larger of the two counts.
 */
export interface Observation {
  readonly hostname: Hostname;
  /** Client address as text (RFC 5952 for IPv6; never an IPv4-mapped IPv6 address). */
  readonly client: string;
  /** Namespace and pod as CoreDNS's `metadata` plugin named them in `extra`; absent when it did not. */
  readonly pod?: { readonly namespace: string; readonly name: string };
  /** Addresses at the end of the CNAME chain, sorted, without duplicates; at most {@link MAX_ADDRESSES}. */
  readonly addresses: readonly string[];
  /** Smallest and largest TTL of those addresses. */
  readonly ttlSeconds: { readonly min: number; readonly max: number };
  /** Targets of the CNAME chain, in order, from the name asked; empty when there is none. */
  readonly cnames: readonly string[];
  /** The Service of type ExternalName that was asked for, whose answer leads to the host; absent otherwise. */
  readonly askedAs?: string;
  /** Query time of the first and last look-up (Unix milliseconds, by the DNS server's clock). */
  readonly firstObservedAtMs: number;
  readonly lastObservedAtMs: number;
  readonly lookups: number;
  readonly origin: Origin;
}

/** Most addresses an Observation carries. A CDN rotates through more; they would tell nothing more. */
export const MAX_ADDRESSES = 16;
