import { createAliasTable } from './alias-table.js';
import type { Answer } from './answer.js';
import { MAX_ADDRESSES } from './observation.js';

/** What the answers said of a host so far. */
export interface Host {
  readonly hostname: Answer['hostname'];
  /** The newest ones, at most {@link MAX_ADDRESSES}. */
  readonly addresses: readonly string[];
  readonly cnames: readonly string[];
  readonly askedAs: string | undefined;
}

/** Hosts as small numbers. */
export interface HostTable {
  /** Takes in an answer to `asked`; gives the host's id. Only while the table is not full. */
  learn(answer: Answer, asked: string): number;
  /** The id of a host that is known. */
  find(hostname: string): number | undefined;
  isFull(): boolean;
  get(id: number): Host;
  /** Takes in the TTLs of an answer like one that was learnt from. */
  noteTtls(id: number, minSeconds: number, maxSeconds: number): void;
  ttlSeconds(id: number): { readonly min: number; readonly max: number };
  /** Whether the host is known to be an alias of another, or to have one. */
  isAliasOrTarget(id: number): boolean;
  clear(): void;
}

export function createHostTable(maxHosts: number): HostTable {
  const hosts: Host[] = [];
  const ids = new Map<string, number>();
  const aliases = createAliasTable(maxHosts);
  const ttls = new Int32Array(maxHosts * 2); // smallest and largest

  function idOf(hostname: string): number {
    const known = ids.get(hostname);
    if (known !== undefined) return known;
    const id = hosts.length;
    ids.set(hostname, id);
    ttls[id * 2] = 0x7fffffff;
    ttls[id * 2 + 1] = 0;
    return id;
  }

  return {
    learn(answer, asked) {
      const id = idOf(answer.hostname);
      const before = hosts[id]?.addresses ?? [];
      const fresh = answer.addresses.filter((address) => !before.includes(address));
      // The newest addresses stay: a CDN rotates through more than are kept.
      hosts[id] = {
        hostname: answer.hostname,
        addresses: [...before, ...fresh].slice(-MAX_ADDRESSES),
        cnames: answer.cnames,
        askedAs: answer.askedAs,
      };
      aliases.add(id, answer, asked);
      return id;
    },
    find: (hostname) => ids.get(hostname),
    isFull: () => hosts.length === maxHosts,
    get: (id) => hosts[id] as Host, // ids come from here
    noteTtls(id, minSeconds, maxSeconds) {
      if (minSeconds < (ttls[id * 2] as number)) ttls[id * 2] = minSeconds;
      if (maxSeconds > (ttls[id * 2 + 1] as number)) ttls[id * 2 + 1] = maxSeconds;
    },
    ttlSeconds: (id) => ({ min: ttls[id * 2] as number, max: ttls[id * 2 + 1] as number }),
    isAliasOrTarget: (id) => aliases.involved[id] === 1,
    clear() {
      hosts.length = 0;
      ids.clear();
      aliases.clear();
    },
  };
}
