import type { Hostname } from '../dns/hostname.js';
import type { Observation } from '../observation/observation.js';
import {
  addUsage,
  toUsage,
  type EmbeddedEdit,
  type Level,
  type StoredHost,
  type StoredUsage,
} from './embedded-edit.js';
import { addChild, emptyCore, MAX_PENDING, mergeUsage, stateOf, type HostCore } from './host-core.js';
import { NO_OVERFLOW, type StoreLimits, type StoreOverflow } from './host-store.js';
import type { TransitionReason } from './lifecycle.js';
import { parentsOf, registrableDomain } from './registrable-domain.js';

/**
 * Which hosts the embedded store takes in; what `lua/record.ts` and `lua/fold.ts` are for Redis. What each new host asks
 * for is kept in memory.
 */
export class Admission {
  readonly #level: Level;
  readonly #limits: StoreLimits;
  readonly #parents: Set<string>;
  #hosts: number;

  private constructor(
    level: Level,
    { limits, parents, hosts }: { limits: StoreLimits; parents: Set<string>; hosts: number },
  ) {
    this.#level = level;
    this.#limits = limits;
    this.#parents = parents;
    this.#hosts = hosts;
  }

  static async open(level: Level, limits: StoreLimits): Promise<Admission> {
    const parents = await level.keys({ gte: 'parent!', lt: 'parent"' }).all();
    const names = new Set(parents.map((key) => key.slice('parent!'.length)));
    let hosts = 0;
    for await (const _ of level.keys({ gte: 'host!', lt: 'host"' })) hosts++;
    return new Admission(level, { limits, parents: names, hosts });
  }

  get hosts(): number {
    return this.#hosts;
  }

  /** Where observations go, whose hosts were loaded: to their host, to the row of a parent, or only into a count. */
  async admit(edit: EmbeddedEdit, observations: readonly Observation[]): Promise<readonly Observation[]> {
    const admitted: Observation[] = [];
    for (const observation of observations) {
      const isKnown = edit.peekHost(observation.hostname) !== undefined;
      const to = isKnown ? observation : await this.#admitNew(edit, observation);
      if (to !== undefined) admitted.push(to);
    }
    return admitted;
  }

  /** A host that is there from the commit on. */
  add(edit: EmbeddedEdit, hostname: Hostname, host: StoredHost): void {
    edit.put(`host!${hostname}`, host);
    this.#count(edit, 1);
  }

  /** A host that is no longer there from the commit on; its evidence is the caller's. */
  async remove(edit: EmbeddedEdit, hostname: Hostname): Promise<void> {
    edit.delete(`host!${hostname}`);
    this.#count(edit, -1);
    if (hostname.startsWith('*.')) return;
    const domain = registrableDomain(hostname);
    const count = ((await edit.get<number>(`domain!${domain}`)) ?? 1) - 1;
    edit.put(`domain!${domain}`, count > 0 ? count : undefined);
  }

  setParent(edit: EmbeddedEdit, parent: string, isQuarantined: boolean): void {
    edit.put(`parent!${parent}`, isQuarantined ? true : undefined);
    edit.afterCommit(() => (isQuarantined ? this.#parents.add(parent) : this.#parents.delete(parent)));
  }

  /** Forgets a child that never had an entry and on which no person decided; its use counts in the row of the parent. */
  async fold(edit: EmbeddedEdit, child: Hostname, parent: Hostname): Promise<void> {
    const stored = await edit.get<StoredHost>(`host!${child}`);
    const row = await edit.get<StoredHost>(`host!${parent}`);
    if (stored === undefined || row === undefined || !isFoldable(stored.core)) return;
    const pending = await this.#moveEvidence(edit, { child, parent, pending: row.pending });
    const usage = mergeUsage(row.core, stored.core);
    const core = { ...row.core, ...usage, children: addChild(row.core.children, child) };
    edit.put(`host!${parent}`, { core, pending } satisfies StoredHost);
    await this.remove(edit, child);
  }

  /** At once, since the hosts of a batch count for each other. */
  #count(edit: EmbeddedEdit, change: number): void {
    this.#hosts += change;
    edit.onRollback(() => void (this.#hosts -= change));
  }

  async #admitNew(edit: EmbeddedEdit, observation: Observation): Promise<Observation | undefined> {
    const { hostname } = observation;
    const domain = registrableDomain(hostname);
    if (hostname.startsWith('*.')) {
      // A collector that sees a tunnel tells of *.parent itself.
      this.add(edit, hostname, {
        core: emptyHost(observation, { state: 'quarantined', reason: 'tunnel-like' }),
        pending: 0,
      });
      return observation;
    }
    const parent = this.#parents.size === 0 ? undefined : parentsOf(hostname).find((name) => this.#parents.has(name));
    if (parent !== undefined) return this.#toRow(edit, observation, { parent, reason: 'tunnel-like' });
    const known = (await edit.get<number>(`domain!${domain}`)) ?? 0;
    if (known >= this.#limits.maxHostsPerDomain)
      return this.#toRow(edit, observation, { parent: domain, reason: 'over-cap' });
    if (this.#hosts >= this.#limits.maxHosts) {
      await countOverflow(edit, observation);
      return undefined;
    }
    edit.put(`domain!${domain}`, known + 1);
    this.add(edit, hostname, { core: emptyHost(observation), pending: 0 });
    return observation;
  }

  async #toRow(
    edit: EmbeddedEdit,
    observation: Observation,
    { parent, reason }: { readonly parent: string; readonly reason: TransitionReason },
  ): Promise<Observation> {
    const hostname = `*.${parent}` as Hostname; // below a hostname
    const known = await edit.get<StoredHost>(`host!${hostname}`);
    const core = known?.core ?? emptyHost(observation, { state: 'quarantined', reason });
    const host = {
      core: { ...core, children: addChild(core.children, observation.hostname) },
      pending: known?.pending ?? 0,
    };
    if (known === undefined) this.add(edit, hostname, host);
    else edit.put(`host!${hostname}`, host);
    return { ...observation, hostname };
  }

  /** Returns how many rows then wait at the parent. */
  async #moveEvidence(
    edit: EmbeddedEdit,
    { child, parent, pending }: { readonly child: string; readonly parent: string; readonly pending: number },
  ): Promise<number> {
    let waiting = pending;
    const prefix = `evidence!${child}!`;
    for (const [key, value] of await this.#level.iterator({ gte: prefix, lt: `evidence!${child}"` }).all()) {
      edit.delete(key);
      const field = key.slice(prefix.length);
      const target = `evidence!${parent}!${field}`;
      const isMore = (await edit.get(target)) === undefined && field.startsWith('p|');
      if (isMore && waiting >= MAX_PENDING) continue;
      if (isMore) waiting++;
      addUsage(edit, target, toUsage(value as StoredUsage)); // written by addUsage() only
    }
    return waiting;
  }
}

async function countOverflow(edit: EmbeddedEdit, { hostname, lookups }: Observation): Promise<void> {
  const known = (await edit.get<StoreOverflow>('overflow')) ?? NO_OVERFLOW;
  const overflow: StoreOverflow = { lookups: known.lookups + lookups, examples: addChild(known.examples, hostname) };
  edit.put('overflow', overflow);
}

function emptyHost(observation: Observation, first?: HostCore['first']): HostCore {
  return { ...emptyCore(observation.firstObservedAtMs, first), ttlSeconds: observation.ttlSeconds };
}

function isFoldable(core: HostCore): boolean {
  return core.decisions.length === 0 && ['candidate', 'eligible', 'quarantined', 'retired'].includes(stateOf(core));
}
