import type { HostRecord } from './host-record.js';
import { isDecided } from './lifecycle.js';
import { registrableDomain } from './registrable-domain.js';

/** Most hosts that may count, each at least 1. */
export interface HostCaps {
  readonly all: number;
  readonly domain: number;
  readonly namespace: number;
  readonly workload: number;
}

/** Who uses a host, as far as caps go: a workload, a node, or an address that nobody is known to have had. */
interface User {
  readonly namespace: string;
  readonly workload: string;
}

/**
 * The hosts that are more than the caps allow. Who came first stays, by the time of the first look-up, so that nobody
 * displaces a host that was known before; hosts that may have an entry count first and are never over. A host that several
 * workloads use is over only if it is for each of them: a flood from one pod costs nobody else a host.
 */
export function hostsOverCap(records: readonly HostRecord[], caps: HostCaps): ReadonlySet<HostRecord> {
  const counted = records.filter((record) => !record.hostname.startsWith('*.') && countsForCaps(record));
  const waiting = counted.filter((record) => !isSettled(record)).sort(byFirstSeen);
  const tally = new Tally(caps);
  for (const record of counted) if (isSettled(record)) tally.admit(record);
  const over = new Set<HostRecord>();
  for (const record of waiting) {
    if (tally.isFull(record)) over.add(record);
    else tally.admit(record);
  }
  return over;
}

function countsForCaps({ state, reason }: HostRecord): boolean {
  if (state === 'ignored' || state === 'retired') return false;
  return state !== 'quarantined' || reason === 'over-cap';
}

function isSettled(record: HostRecord): boolean {
  return ['approved', 'applied', 'stale'].includes(record.state) || isDecided(record);
}

function byFirstSeen(a: HostRecord, b: HostRecord): number {
  if (a.firstSeenMs !== b.firstSeenMs) return a.firstSeenMs - b.firstSeenMs;
  return a.hostname < b.hostname ? -1 : 1;
}

class Tally {
  readonly #caps: HostCaps;
  readonly #domains = new Map<string, number>();
  readonly #namespaces = new Map<string, number>();
  readonly #workloads = new Map<string, number>();
  #all = 0;

  constructor(caps: HostCaps) {
    this.#caps = caps;
  }

  isFull(record: HostRecord): boolean {
    if (this.#all >= this.#caps.all) return true;
    if ((this.#domains.get(registrableDomain(record.hostname)) ?? 0) >= this.#caps.domain) return true;
    const users = usersOf(record);
    return users.length > 0 && users.every((user) => this.#isFullFor(user));
  }

  admit(record: HostRecord): void {
    this.#all++;
    increment(this.#domains, registrableDomain(record.hostname));
    const users = usersOf(record);
    for (const namespace of new Set(users.map((user) => user.namespace))) increment(this.#namespaces, namespace);
    for (const { workload } of users) increment(this.#workloads, workload);
  }

  #isFullFor({ namespace, workload }: User): boolean {
    return (
      (this.#workloads.get(workload) ?? 0) >= this.#caps.workload ||
      (this.#namespaces.get(namespace) ?? 0) >= this.#caps.namespace
    );
  }
}

function usersOf({ workloads, pending }: HostRecord): readonly User[] {
  const users = new Map<string, User>();
  for (const {
    workload: { namespace, kind, name },
  } of workloads) {
    const workload = `${namespace}/${kind}/${name}`;
    users.set(workload, { namespace, workload });
  }
  // Who waits to be attributed counts by address: nobody gets round a cap for as long as that takes.
  for (const { client } of pending) {
    const workload = `/Address/${client}`;
    users.set(workload, { namespace: '', workload });
  }
  return [...users.values()];
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
