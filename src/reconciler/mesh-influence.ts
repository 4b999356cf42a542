import { hasFlag, type HostFlagName, type HostRecord, type WorkloadEvidence } from '../host/host-record.js';
import type { FlagChange } from '../host/host-store.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { covers, normalizeHost, type Visibility } from '../plan/visibility.js';
import { namespacesUsing } from './host-users.js';

type Influence = Extract<HostFlagName, 'echoed' | 'masked'>;

const INFLUENCES: readonly Influence[] = ['echoed', 'masked'];

export interface InfluenceInput {
  /** Every ServiceEntry that there is. */
  readonly entries: readonly ServiceEntry[];
  readonly visibility: Visibility;
}

/**
 * What entries do to what DNS tells of a host.
 *
 * ```
 *   resolution      proxies look the host up themselves (echoed)    the mesh may answer for it (masked)
 *   NONE            no                                              with addresses that are no ranges
 *   STATIC          no                                              yes: istiod gives it a virtual address
 *   DNS, DNS_…      yes, for ever, in every proxy that sees it      yes, likewise
 *   DYNAMIC_DNS     for minutes after each use                      yes, likewise
 * ```
 * It does so in the namespaces that see the entry. Whether a client's proxy answers depends on how each is set up, so
 * `masked` says that it may: then silence proves nothing.
 *
 * @see https://istio.io/latest/docs/ops/configuration/traffic-management/dns-proxy/
 */
export class MeshInfluence {
  readonly #visibility: Visibility;
  readonly #exact = new Map<string, ServiceEntry[]>();
  readonly #wildcards: (readonly [pattern: string, entry: ServiceEntry])[] = [];

  constructor({ entries, visibility }: InfluenceInput) {
    this.#visibility = visibility;
    // Ours too: the usual ones do nothing, those that a person asked for do what others' do.
    for (const entry of entries) if (influences(entry).length > 0) this.#add(entry);
  }

  #add(entry: ServiceEntry): void {
    for (const host of entry.spec.hosts.map(normalizeHost)) {
      if (host.startsWith('*')) this.#wildcards.push([host, entry]);
      else this.#exact.set(host, [...(this.#exact.get(host) ?? []), entry]);
    }
  }

  /** What it is for the hosts, as changes of their flags. */
  changesOf(records: readonly HostRecord[], nowMs: number): readonly FlagChange[] {
    return records.flatMap((record) => {
      const since = this.#sinceOf(record);
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

  /**
   * Hosts without the evidence that only echoes can be: of a workload that looked the host up for the first time while
   * proxies did so by themselves, and not once after. What a namespace asks that sees no such entry is no echo.
   */
  withoutEchoes(records: readonly HostRecord[]): readonly HostRecord[] {
    return records.map((record) => {
      const echoed = record.flags.find(({ name }) => name === 'echoed');
      if (echoed === undefined) return record;
      const { sinceMs, untilMs = Infinity } = echoed;
      const echoing = untilMs === Infinity ? this.#covering(record).filter(isEchoing) : undefined;
      const isUse = ({ firstSeenMs, lastSeenMs, workload, attribution }: WorkloadEvidence): boolean => {
        if (firstSeenMs < sinceMs || lastSeenMs > untilMs) return true;
        if (echoing === undefined || attribution !== 'exact') return false; // who saw an entry that is gone is not known
        return !echoing.some((entry) => this.#visibility.maySee(workload.namespace, entry));
      };
      const workloads = record.workloads.filter(isUse);
      return workloads.length === record.workloads.length ? record : { ...record, workloads };
    });
  }

  /** What is done to a host, and since when. */
  #sinceOf(record: HostRecord): ReadonlyMap<Influence, number> {
    const since = new Map<Influence, number>();
    const covering = this.#covering(record);
    if (covering.length === 0) return since;
    const users = namespacesUsing(record);
    const isSeen = (entry: ServiceEntry): boolean =>
      users === 'anybody' || users.some((namespace) => this.#visibility.maySee(namespace, entry));
    for (const entry of covering.filter(isSeen)) {
      for (const influence of influences(entry)) {
        since.set(influence, Math.min(since.get(influence) ?? Infinity, createdMs(entry)));
      }
    }
    return since;
  }

  #covering({ hostname }: HostRecord): readonly ServiceEntry[] {
    const wide = this.#wildcards.filter(([pattern]) => covers(pattern, hostname)).map(([, entry]) => entry);
    return [...(this.#exact.get(hostname) ?? []), ...wide];
  }
}

function influences({ spec: { resolution = 'NONE', addresses = [] } }: ServiceEntry): readonly Influence[] {
  if (resolution.includes('DNS')) return ['echoed', 'masked'];
  const hasAddress = addresses.some((address) => !address.includes('/') || /\/(?:32|128)$/.test(address));
  return resolution !== 'NONE' || hasAddress ? ['masked'] : [];
}

function isEchoing(entry: ServiceEntry): boolean {
  return influences(entry).includes('echoed');
}

/** When the entry came; later than any time where a file does not say. */
function createdMs({ metadata: { creationTimestamp } }: ServiceEntry): number {
  const atMs = creationTimestamp === undefined ? NaN : Date.parse(creationTimestamp);
  return Number.isNaN(atMs) ? Number.MAX_SAFE_INTEGER : atMs;
}
