import type { Hostname } from '../dns/hostname.js';
import { mergeUsage } from './host-core.js';
import { isWildcard, type HostRecord, type HostState, type WorkloadEvidence } from './host-record.js';
import { isBelow, isSharedParent, parentsOf } from './registrable-domain.js';

/** States of a child that somebody uses and that nothing speaks against. */
const STABLE_STATES: ReadonlySet<HostState> = new Set(['eligible', 'approved', 'applied', 'stale']);
/** States of a host that may have an entry. */
const OPEN_STATES: ReadonlySet<HostState> = new Set(['approved', 'applied', 'stale']);

/**
 * Parents of at least `children` stable hosts: of several along one name the deepest, since it opens least. Never at or
 * above a public suffix or a platform that strangers share, and not where a child is ignored, which a wildcard would open.
 */
export function findWildcardParents(records: readonly HostRecord[], children: number): readonly Hostname[] {
  if (children < 1) return [];
  const hosts = records.filter((record) => !isWildcard(record));
  const ignored = hosts.filter(({ state }) => state === 'ignored').map(({ hostname }) => hostname);
  const below = new Map<string, Set<string>>();
  for (const { hostname, state } of hosts) {
    if (!STABLE_STATES.has(state)) continue;
    for (const parent of parentsOf(hostname)) addTo(below, parent, hostname);
  }
  const enough = [...below].filter(([, names]) => names.size >= children).map(([parent]) => parent);
  const found: Hostname[] = [];
  const covered = new Set<string>();
  for (const parent of enough.sort(deepestFirst)) {
    const names = [...(below.get(parent) ?? [])].filter((name) => !covered.has(name));
    const isAllowed = !isSharedParent(parent) && !ignored.some((name) => isBelow(name, parent));
    if (names.length < children || !isAllowed) continue;
    for (const name of names) covered.add(name);
    found.push(parent as Hostname); // a suffix of a hostname with at least two labels
  }
  return found.sort();
}

function deepestFirst(a: string, b: string): number {
  return b.split('.').length - a.split('.').length || (a < b ? -1 : 1);
}

function addTo(map: Map<string, Set<string>>, key: string, value: string): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, new Set([value]));
  else known.add(value);
}

/** What a wildcard covers: children that may have an entry anyhow, and known ones that it would open beside them. */
export interface WildcardReach {
  readonly open: readonly Hostname[];
  readonly newlyOpen: readonly Hostname[];
}

/** Of the hosts that are known. Beyond them a wildcard opens every name below the parent that there is or will be. */
export function reachOf(wildcard: string, records: Iterable<HostRecord>): WildcardReach {
  const parent = wildcard.slice('*.'.length);
  const open: Hostname[] = [];
  const newlyOpen: Hostname[] = [];
  for (const record of records) {
    if (isWildcard(record) || !isBelow(record.hostname, parent)) continue;
    (OPEN_STATES.has(record.state) ? open : newlyOpen).push(record.hostname);
  }
  return { open, newlyOpen };
}

/**
 * Wildcards with the evidence of their children, so that they go where the children are used and live as long as one of
 * them does; other records stay as they are.
 */
export function withChildren(records: readonly HostRecord[]): readonly HostRecord[] {
  const wildcards = new Map<string, HostRecord[]>();
  for (const record of records) if (isWildcard(record)) wildcards.set(record.hostname.slice(2), []);
  if (wildcards.size === 0) return records;
  for (const record of records) {
    if (isWildcard(record)) continue;
    for (const parent of parentsOf(record.hostname)) wildcards.get(parent)?.push(record);
  }
  return records.map((record) => {
    const children = isWildcard(record) ? wildcards.get(record.hostname.slice(2)) : undefined;
    return children === undefined || children.length === 0 ? record : withEvidence(record, children);
  });
}

function withEvidence(wildcard: HostRecord, children: readonly HostRecord[]): HostRecord {
  const workloads = new Map<string, WorkloadEvidence>();
  for (const { workload, attribution, ...usage } of [wildcard, ...children].flatMap((record) => record.workloads)) {
    const key = [workload.namespace, workload.kind, workload.name, attribution].join('\0');
    workloads.set(key, { workload, attribution, ...mergeUsage(workloads.get(key), usage) });
  }
  const lastSeenMs = Math.max(wildcard.lastSeenMs, ...children.map((child) => child.lastSeenMs));
  const sorted = [...workloads].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, evidence]) => evidence);
  return { ...wildcard, lastSeenMs, workloads: sorted };
}

/** Whether a wildcard that has its entry covers the host. */
export function isCovered(hostname: string, wildcards: ReadonlySet<string>): boolean {
  if (wildcards.size === 0) return false;
  return parentsOf(hostname).some((parent) => wildcards.has(parent));
}

/** Parents of wildcards that have an entry. */
export function openParents(records: readonly HostRecord[]): ReadonlySet<string> {
  const open = records.filter(
    (record) => isWildcard(record) && (record.state === 'applied' || record.state === 'stale'),
  );
  return new Set(open.map(({ hostname }) => hostname.slice(2)));
}
