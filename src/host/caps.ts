import type { HostRecord } from './host-record.js';
import { isDecided } from './lifecycle.js';
import { registrableDomain } from './registrable-domain.js';

/** Most hosts that may count, each at least 1. */
export interface HostCaps {
  readonly all: number;
  readonly domain: number;
  /** Of a namespace, and of a node or an address of which no workload is known. */
  readonly namespace: number;
  readonly workload: number;
}

/** Who uses a host, as far as caps go. */
interface User {
  readonly name: string;
  /** Absent where it is not known: a node or an address, which may stand for all workloads behind it. */
  readonly namespace?: string;
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
  readonly #users = new Map<string, number>();
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
    for (const namespace of new Set(users.flatMap((user) => user.namespace ?? [])))
      increment(this.#namespaces, namespace);
    for (const { name } of users) increment(this.#users, name);
  }

  #isFullFor({ name, namespace }: User): boolean {
    const own = this.#users.get(name) ?? 0;
    if (namespace === undefined) return own >= this.#caps.namespace;
    return own >= this.#caps.workload || (this.#namespaces.get(namespace) ?? 0) >= this.#caps.namespace;
  }
}

function usersOf({ workloads, pending }: HostRecord): readonly User[] {
  const users = new Map<string, User>();
  for (const { attribution, workload } of workloads) {
    const { namespace, kind, name } = workload;
    const user = `${namespace}/${kind}/${name}`;
    users.set(user, attribution === 'exact' ? { name: user, namespace } : { name: user });
  }
  // Who waits to be attributed counts by address: nobody gets round a cap for as long as that takes.
  for (const { client } of pending) users.set(`/Address/${client}`, { name: `/Address/${client}` });
  return [...users.values()];
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
