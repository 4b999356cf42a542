import type { Hostname } from '../dns/hostname.js';
import type { HostRecord } from '../host/host-record.js';
import { isBelow, isOfPlatform, registrableDomain } from '../host/registrable-domain.js';
import {
  carriesData,
  findTunnelParents,
  TUNNEL_SETTINGS,
  type SeenName,
  type TunnelSettings,
} from '../host/tunnel-parent.js';
import { EVIDENCE_SLOT_MS, MAX_ADDRESSES, type Observation } from '../observation/observation.js';
import type { TextQuestion } from '../observation/observation-table.js';
import type { RejectionCount } from '../observation/rejection.js';

export interface FloodGuardOptions {
  /** Distinct new hosts that one client address may teach in a day. */
  readonly maxHostsPerClient: number;
  readonly tunnels?: TunnelSettings;
}

/** What goes to the store, and what does not. */
export interface Guarded {
  readonly observations: readonly Observation[];
  readonly rejections: readonly RejectionCount[];
}

const DAY_MS = 86_400_000;
/** Names remembered over all clients; then all is forgotten, and everybody may teach afresh. About 20 MB. */
const MAX_NAMES = 262_144;
/** Domains below which names carry data that are looked at; the one looked at longest ago goes. */
const MAX_SUSPECTS = 1024;
const MAX_PARENTS = 1024;
const MAX_EXAMPLES = 8;
const MAX_QUESTION_ROWS = 65_536;

/**
 * Keeps floods out of the store, in bounded memory and before they cost a call of it:
 *
 * - What one client looks up beyond its share of new hosts is only counted, so that a flood from one pod takes nobody
 *   else's place. A host that another client has taught is nobody's flood.
 * - When the children of a parent turn out to carry data, further ones become observations of `*.parent`: one row with
 *   their count and their clients.
 */
export class FloodGuard {
  readonly #maxHostsPerClient: number;
  readonly #tunnels: TunnelSettings;
  /** Hosts that went through. */
  readonly #taught = new Set<string>();
  readonly #clients = new Map<string, { readonly sinceMs: number; hosts: number }>();
  readonly #suspects = new Map<string, SeenName[]>();
  readonly #parents = new Set<string>();
  readonly #released = new Set<string>();
  /** Rows of questions that wait for the next {@link admit}. */
  readonly #questions = new Map<string, Observation>();
  #over = 0;

  constructor({ maxHostsPerClient, tunnels = TUNNEL_SETTINGS }: FloodGuardOptions) {
    this.#maxHostsPerClient = maxHostsPerClient;
    this.#tunnels = tunnels;
  }

  /** Rows `*.parent` to which children go now. */
  get tunnels(): readonly Hostname[] {
    return [...this.#parents].map((parent) => `*.${parent}` as Hostname); // below a hostname
  }

  /** A question that teaches no host, but counts in the row of its parent if that is a tunnel. */
  noteQuestion({ hostname, client, atMs }: TextQuestion): void {
    const question: Observation = {
      hostname,
      client,
      addresses: [],
      ttlSeconds: { min: 0, max: 0 },
      cnames: [],
      firstObservedAtMs: atMs,
      lastObservedAtMs: atMs,
      lookups: 1,
      origin: 'dnstap',
    };
    const row = this.#tunnelOf(question);
    if (row === undefined) return;
    addRow(this.#questions, { ...question, hostname: row });
    if (this.#questions.size > MAX_QUESTION_ROWS) this.#questions.clear(); // nobody takes them: the store is long away
  }

  admit(observations: readonly Observation[]): Guarded {
    const admitted: Observation[] = [...this.#questions.values()];
    this.#questions.clear();
    const over: Observation[] = [];
    for (const observation of observations) {
      const to = this.#admitOne(observation);
      if (to === undefined) over.push(observation);
      else admitted.push(to);
    }
    for (const { lookups } of over) this.#over += lookups;
    return { observations: mergeRows(admitted), rejections: countOver(over) };
  }

  /** `over`: look-ups that only counted. */
  statistics(): { readonly over: number } {
    return { over: this.#over };
  }

  /** A person's word on a row: whoever let the children in again, or approved them all, knows what they are. */
  heed(row: Pick<HostRecord, 'hostname' | 'decisions'>): void {
    if (!row.decisions.some(({ kind }) => kind === 'unignore' || kind === 'approve')) return;
    const parent = row.hostname.slice('*.'.length);
    this.#parents.delete(parent);
    this.#released.add(parent);
  }

  #admitOne(observation: Observation): Observation | undefined {
    const { hostname } = observation;
    if (this.#taught.has(hostname)) return observation;
    const row = this.#tunnelOf(observation);
    if (row !== undefined) return { ...observation, hostname: row };
    if (!this.#hasShare(observation)) return undefined;
    if (this.#taught.size >= MAX_NAMES) this.#forget();
    this.#taught.add(hostname);
    return observation;
  }

  #hasShare({ client, firstObservedAtMs }: Observation): boolean {
    const known = this.#clients.get(client);
    const isCurrent = known !== undefined && firstObservedAtMs - known.sinceMs < DAY_MS;
    const share = isCurrent ? known : { sinceMs: firstObservedAtMs, hosts: 0 };
    if (!isCurrent) this.#clients.set(client, share);
    if (share.hosts >= this.#maxHostsPerClient) return false;
    share.hosts++;
    return true;
  }

  #forget(): void {
    this.#taught.clear();
    this.#clients.clear();
  }

  /** The row that a name goes to which carries data, once enough of its like have come. */
  #tunnelOf({ hostname, firstObservedAtMs: firstSeenMs }: Observation): Hostname | undefined {
    const domain = registrableDomain(hostname);
    if (!carriesData(hostname, domain) || isOfPlatform(hostname)) return undefined;
    const known = [...this.#parents].find((parent) => isBelow(hostname, parent));
    if (known !== undefined) return `*.${known}` as Hostname; // below a hostname
    const suspects = this.#suspects.get(domain) ?? [];
    if (suspects.some((suspect) => suspect.hostname === hostname)) return undefined;
    const names = [...suspects, { hostname, firstSeenMs }].slice(-this.#tunnels.names);
    this.#suspects.delete(domain); // so that the order of the map is that of looking
    this.#suspects.set(domain, names);
    for (const oldest of this.#suspects.keys()) {
      if (this.#suspects.size <= MAX_SUSPECTS) break;
      this.#suspects.delete(oldest);
    }
    for (const parent of findTunnelParents(names, this.#tunnels)) this.#addParent(parent);
    return undefined; // the next one
  }

  #addParent(parent: string): void {
    if (!this.#released.has(parent) && this.#parents.size < MAX_PARENTS) this.#parents.add(parent);
  }
}

/** What is left of a tunnel's many names are few rows: one a client and slot. */
function mergeRows(observations: readonly Observation[]): readonly Observation[] {
  const rows = new Map<string, Observation>();
  const rest: Observation[] = [];
  for (const observation of observations) {
    if (observation.hostname.startsWith('*.')) addRow(rows, observation);
    else rest.push(observation);
  }
  return [...rest, ...rows.values()];
}

function addRow(rows: Map<string, Observation>, observation: Observation): void {
  const { hostname, client, pod, firstObservedAtMs } = observation;
  const slot = Math.floor(firstObservedAtMs / EVIDENCE_SLOT_MS);
  const key = [hostname, client, slot, pod?.namespace, pod?.name].join(' ');
  const known = rows.get(key);
  rows.set(key, known === undefined ? observation : mergeTwo(known, observation));
}

function mergeTwo(a: Observation, b: Observation): Observation {
  return {
    ...a,
    addresses: [...new Set([...a.addresses, ...b.addresses])].sort().slice(0, MAX_ADDRESSES),
    ttlSeconds: {
      min: Math.min(a.ttlSeconds.min, b.ttlSeconds.min),
      max: Math.max(a.ttlSeconds.max, b.ttlSeconds.max),
    },
    firstObservedAtMs: Math.min(a.firstObservedAtMs, b.firstObservedAtMs),
    lastObservedAtMs: Math.max(a.lastObservedAtMs, b.lastObservedAtMs),
    lookups: a.lookups + b.lookups,
  };
}

function countOver(over: readonly Observation[]): readonly RejectionCount[] {
  if (over.length === 0) return [];
  const responses = over.reduce((sum, { lookups }) => sum + lookups, 0);
  const examples = [...new Set(over.map(({ hostname }) => hostname))].sort().slice(0, MAX_EXAMPLES);
  return [{ reason: 'over-cap', responses, examples }];
}
