import { hasFlag, isWildcard, type HostRecord, type HostState } from '../host/host-record.js';
import type { FlagChange } from '../host/host-store.js';
import type { HostPolicy } from '../host/lifecycle.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { covers, normalizeHost, type Visibility } from '../plan/visibility.js';
import { namespacesUsing } from './host-users.js';

export interface BreakageInput {
  readonly records: readonly HostRecord[];
  /** Every ServiceEntry that there is, ours and others'. */
  readonly entries: readonly ServiceEntry[];
  readonly visibility: Visibility;
  readonly policy: HostPolicy;
  readonly nowMs: number;
}

/** States of a host that is used and on which nobody has decided. */
const UNDECIDED_STATES: ReadonlySet<HostState> = new Set(['candidate', 'eligible']);

/**
 * The hosts that are used and, because learning is frozen, get no entry, as changes of the flag `would-break`. Where every
 * namespace that uses a host sees an entry for it, be it of others or a wildcard, nothing would break.
 */
export function breakagesOf({ records, policy, nowMs, ...there }: BreakageInput): readonly FlagChange[] {
  const isFrozen = policy === 'frozen';
  const isCovered = isFrozen ? coverage(there) : () => true;
  return records.flatMap((record): readonly FlagChange[] => {
    const isWaiting = UNDECIDED_STATES.has(record.state) && !isWildcard(record);
    const holds = isFrozen && isWaiting && !isCovered(record);
    const { hostname } = record;
    return hasFlag(record, 'would-break') === holds ? [] : [{ hostname, flag: 'would-break', holds, atMs: nowMs }];
  });
}

function coverage({
  entries,
  visibility,
}: Pick<BreakageInput, 'entries' | 'visibility'>): (record: HostRecord) => boolean {
  const exact = new Map<string, ServiceEntry[]>();
  const wildcards: ServiceEntry[] = [];
  for (const entry of entries) {
    for (const host of entry.spec.hosts.map(normalizeHost)) {
      if (host.startsWith('*')) wildcards.push(entry);
      else exact.set(host, [...(exact.get(host) ?? []), entry]);
    }
  }
  return (record) => {
    const isPattern = (host: string): boolean => host.startsWith('*') && covers(host, record.hostname);
    const wide = wildcards.filter(({ spec }) => spec.hosts.some(isPattern));
    const covering = [...(exact.get(record.hostname) ?? []), ...wide];
    const users = namespacesUsing(record);
    // Of whom no namespace is known may be in any.
    if (users === 'anybody') return covering.some((entry) => visibility.audienceOfEntry(entry) === 'everybody');
    return users.every((namespace) => covering.some((entry) => visibility.surelySees(namespace, entry)));
  };
}
