import { hasFlag, type HostFlagName, type HostRecord } from '../host/host-record.js';
import type { FlagChange } from '../host/host-store.js';
import { isOwned } from '../istio/ownership.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { covers, normalizeHost } from '../plan/visibility.js';

type Influence = Extract<HostFlagName, 'echoed' | 'masked'>;

const INFLUENCES: readonly Influence[] = ['echoed', 'masked'];

export interface InfluenceInput {
  readonly records: readonly HostRecord[];
  /** Every ServiceEntry that there is. */
  readonly entries: readonly ServiceEntry[];
  readonly owner: string;
  readonly nowMs: number;
}

/**
 * What entries of others do to what DNS tells of a host, as changes of its flags.
 *
 * ```
 *   resolution      proxies look the host up themselves (echoed)    the mesh may answer for it (masked)
 *   NONE            no                                              with addresses that are no ranges
 *   STATIC          no                                              yes: istiod gives it a virtual address
 *   DNS, DNS_…      yes, for ever, in every proxy that sees it      yes, likewise
 *   DYNAMIC_DNS     for minutes after each use                      yes, likewise
 * ```
 * Whether a client's proxy answers depends on how each is set up, so `masked` says that it may: then silence proves
 * nothing. For the same reason it does not matter which clients see the entry.
 *
 * @see https://istio.io/latest/docs/ops/configuration/traffic-management/dns-proxy/
 */
export function influencesOf({ records, entries, owner, nowMs }: InfluenceInput): readonly FlagChange[] {
  const influenced = indexEntries(entries.filter((entry) => !isOwned(entry, owner)));
  return records.flatMap((record) => {
    const since = influenced(record.hostname);
    return INFLUENCES.flatMap((flag): readonly FlagChange[] => {
      const sinceMs = since.get(flag);
      const holds = sinceMs !== undefined;
      if (hasFlag(record, flag) === holds) return [];
      // A flag that has ended takes no change from before its end.
      const isFirst = !record.flags.some(({ name }) => name === flag);
      return [{ hostname: record.hostname, flag, holds, atMs: holds && isFirst ? Math.min(sinceMs, nowMs) : nowMs }];
    });
  });
}

type Since = ReadonlyMap<Influence, number>;

/** From a host to what is done to it, and since when. */
function indexEntries(entries: readonly ServiceEntry[]): (hostname: string) => Since {
  const exact = new Map<string, ServiceEntry[]>();
  const wildcards: (readonly [pattern: string, entry: ServiceEntry])[] = [];
  for (const entry of entries) {
    if (influences(entry).length === 0) continue;
    for (const host of entry.spec.hosts.map(normalizeHost)) {
      if (host.startsWith('*')) wildcards.push([host, entry]);
      else exact.set(host, [...(exact.get(host) ?? []), entry]);
    }
  }
  return (hostname) => {
    const wide = wildcards.filter(([pattern]) => covers(pattern, hostname)).map(([, entry]) => entry);
    const since = new Map<Influence, number>();
    for (const entry of [...(exact.get(hostname) ?? []), ...wide]) {
      for (const influence of influences(entry)) {
        since.set(influence, Math.min(since.get(influence) ?? Infinity, createdMs(entry)));
      }
    }
    return since;
  };
}

function influences({ spec: { resolution = 'NONE', addresses = [] } }: ServiceEntry): readonly Influence[] {
  if (resolution.includes('DNS')) return ['echoed', 'masked'];
  const hasAddress = addresses.some((address) => !address.includes('/') || /\/(?:32|128)$/.test(address));
  return resolution !== 'NONE' || hasAddress ? ['masked'] : [];
}

/** When the entry came; later than any time where a file does not say. */
function createdMs({ metadata: { creationTimestamp } }: ServiceEntry): number {
  const atMs = creationTimestamp === undefined ? NaN : Date.parse(creationTimestamp);
  return Number.isNaN(atMs) ? Number.MAX_SAFE_INTEGER : atMs;
}

/**
 * Hosts without the evidence that only echoes can be: of a workload that looked the host up for the first time while
 * proxies did so by themselves, and not once after.
 */
export function withoutEchoes(records: readonly HostRecord[]): readonly HostRecord[] {
  return records.map((record) => {
    const echoed = record.flags.find(({ name }) => name === 'echoed');
    if (echoed === undefined) return record;
    const { sinceMs, untilMs = Infinity } = echoed;
    const workloads = record.workloads.filter((one) => one.firstSeenMs < sinceMs || one.lastSeenMs > untilMs);
    return workloads.length === record.workloads.length ? record : { ...record, workloads };
  });
}
