import { isOwned, otherSpecManagers } from '../istio/ownership.js';
import type { MeshObjects } from '../istio/mesh-objects.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { validateServiceEntry } from '../istio/validation/validate-service-entry.js';
import { type Coverage, ForeignEntries, normalizeHost } from './coverage.js';
import { entryDifference } from './entry-difference.js';
import type {
  DeleteReason,
  PendingDeletion,
  PlannedCreate,
  PlannedDelete,
  PlannedKeep,
  PlannedSkip,
  PlannedUpdate,
  PlanPolicy,
  ServiceEntryPlan,
  SkipReason,
} from './service-entry-plan.js';

export interface PlanInput {
  /** Every ServiceEntry that there is, ours and others'. */
  readonly current: readonly ServiceEntry[];
  /** Entries that there should be, one host each. */
  readonly desired: readonly ServiceEntry[];
  /** Hosts that were decided against. Only their entries are deleted; a host that nobody knows proves nothing. */
  readonly unwanted?: readonly string[];
  /** When that was decided (Unix milliseconds), for hosts of `unwanted`: the wait before a deletion counts from then. */
  readonly unwantedSinceMs?: ReadonlyMap<string, number>;
  /** Namespaces that can take an entry; absent when unknown. */
  readonly namespaces?: ReadonlySet<string>;
  /**
   * What else is in the cluster. Absent where there is no cluster, as for a directory; a kind within it that is absent
   * could not be read, and then nothing is deleted that an object of that kind could refer to.
   */
  readonly mesh?: MeshObjects;
  /** What the plan before left waiting. @defaultValue none */
  readonly pendingDeletions?: readonly PendingDeletion[];
  /** Time of the plan (Unix milliseconds). @defaultValue 0 */
  readonly nowMs?: number;
  readonly policy: PlanPolicy;
}

/**
 * Plans what makes the cluster match. Pure: the same input gives the same plan, and a plan that was carried out leads to
 * one without changes.
 *
 * ```
 * wanted entry, by the first row that holds      there is one of ours          there is none of ours
 * ---------------------------------------------  ----------------------------  --------------------------------
 * wanted twice                                   skipped duplicate             skipped duplicate
 * its validation finds anything                  skipped invalid               skipped invalid
 * its namespace is missing                       skipped namespace-missing     skipped namespace-missing
 * ours is being deleted                          skipped being-deleted
 * foreign, same host, same namespace             delete foreign-entry-in-…     skipped host-in-namespace
 * foreign, same host, seen by the same clients   delete shadows-foreign-entry  skipped covered-by-foreign-entry
 * foreign wildcard over it, seen likewise        keep beside-foreign-wildcard  skipped covered-by-foreign-entry
 * as it should be                                keep unchanged
 * others set fields of its spec                  skipped edited-by-others
 * it differs                                     update
 * ours for the host under another name                                         skipped host-in-namespace
 * foreign object under its name                                                skipped name-taken
 * otherwise                                                                    create
 *
 * entry of ours that is not wanted
 * ---------------------------------------------
 * its host was decided against                   delete host-unwanted
 * nobody decided                                 keep no-decision
 * ```
 *
 * A delete of an entry that others edited, too, is skipped as `edited-by-others`. Then the limits of the policy apply:
 * creates, updates and deletes beyond them are skipped as `change-limit`, `deletion-limit` or `deletion-share`.
 */
export function planServiceEntries(input: PlanInput): ServiceEntryPlan {
  const draft = new PlanDraft(input);
  for (const entry of sortEntries(input.desired)) draft.addWanted(entry);
  draft.addUnwanted(new Set((input.unwanted ?? []).map(normalizeHost)));
  return draft.finish();
}

class PlanDraft {
  readonly #input: PlanInput;
  readonly #foreign: ForeignEntries;
  readonly #ours = new Map<string, ServiceEntry>();
  readonly #oursByHost = new Map<string, ServiceEntry>();
  readonly #foreignNames = new Set<string>();
  readonly #wanted = new Set<string>();
  readonly #wantedHosts = new Set<string>();

  readonly #create: PlannedCreate[] = [];
  readonly #update: PlannedUpdate[] = [];
  readonly #delete: PlannedDelete[] = [];
  readonly #keep: PlannedKeep[] = [];
  readonly #skipped: PlannedSkip[] = [];

  constructor(input: PlanInput) {
    this.#input = input;
    const foreign: ServiceEntry[] = [];
    for (const entry of sortEntries(input.current)) {
      if (!isOwned(entry, input.policy.owner)) {
        foreign.push(entry);
        this.#foreignNames.add(keyOf(entry));
        continue;
      }
      this.#ours.set(keyOf(entry), entry);
      for (const host of entry.spec.hosts) this.#oursByHost.set(hostKeyOf(entry, host), entry);
    }
    this.#foreign = new ForeignEntries(foreign, input.policy.defaultExportTo ?? ['*']);
  }

  addWanted(entry: ServiceEntry): void {
    const hostKey = hostKeyOf(entry, entry.spec.hosts[0] ?? '');
    if (this.#wanted.has(keyOf(entry)) || this.#wantedHosts.has(hostKey)) return this.#skip('duplicate', entry, []);
    this.#wanted.add(keyOf(entry));
    this.#wantedHosts.add(hostKey);
    // A warning counts as much: each says that the entry would not do what it seems to do.
    const findings = validateServiceEntry(entry).map((finding) => finding.code);
    if (findings.length > 0) return this.#skip('invalid', entry, findings);
    if (this.#input.namespaces?.has(entry.metadata.namespace) === false) {
      return this.#skip('namespace-missing', entry, []);
    }
    const current = this.#ours.get(keyOf(entry));
    if (current === undefined) this.#addMissing(entry, hostKey);
    else this.#addPresent(entry, current);
  }

  #addMissing(entry: ServiceEntry, hostKey: string): void {
    const coverage = this.#foreign.coverageOf(entry);
    if (coverage?.how === 'in-namespace') return this.#skip('host-in-namespace', entry, [keyOf(coverage.by)]);
    if (coverage !== undefined) return this.#skip('covered-by-foreign-entry', entry, [keyOf(coverage.by)]);
    const underAnotherName = this.#oursByHost.get(hostKey);
    if (underAnotherName !== undefined) return this.#skip('host-in-namespace', entry, [keyOf(underAnotherName)]);
    if (this.#foreignNames.has(keyOf(entry))) return this.#skip('name-taken', entry, [keyOf(entry)]);
    this.#create.push({ reason: 'wanted', entry });
  }

  #addPresent(entry: ServiceEntry, current: ServiceEntry): void {
    if (current.metadata.deletionTimestamp !== undefined) return this.#skip('being-deleted', entry, []);
    const coverage = this.#foreign.coverageOf(entry);
    const reason = coverage && deleteReasonOf(coverage);
    if (coverage !== undefined && reason !== undefined) return this.#drop(current, reason);
    if (coverage !== undefined) {
      this.#keep.push({ reason: 'beside-foreign-wildcard', current });
      return;
    }
    const difference = entryDifference(current, entry);
    if (difference === undefined) {
      this.#keep.push({ reason: 'unchanged', current });
      return;
    }
    const others = otherSpecManagers(current);
    if (others.length > 0) return this.#skip('edited-by-others', entry, others);
    this.#update.push({ reason: difference, current, entry });
  }

  addUnwanted(unwanted: ReadonlySet<string>): void {
    for (const [key, current] of this.#ours) {
      if (this.#wanted.has(key)) continue;
      const isUnwanted = current.spec.hosts.every((host) => unwanted.has(normalizeHost(host)));
      if (!isUnwanted) this.#keep.push({ reason: 'no-decision', current });
      else if (current.metadata.deletionTimestamp !== undefined) this.#skip('being-deleted', current, []);
      else this.#drop(current, 'host-unwanted');
    }
  }

  #drop(current: ServiceEntry, reason: DeleteReason): void {
    const others = otherSpecManagers(current);
    if (others.length > 0) return this.#skip('edited-by-others', current, others);
    this.#delete.push({ reason, current });
  }

  #skip(reason: SkipReason, entry: ServiceEntry, because: readonly string[]): void {
    const { namespace, name } = entry.metadata;
    const host = entry.spec.hosts[0] ?? '';
    this.#skipped.push({ reason, namespace, name, host, because: [...because].sort() });
  }

  finish(): ServiceEntryPlan {
    const { maxChanges } = this.#input.policy;
    const create = this.#limit(this.#create, { most: maxChanges, reason: 'change-limit' });
    const update = this.#limit(this.#update, { most: maxChanges - create.length, reason: 'change-limit' });
    const changed = create.length + update.length;
    const remove = this.#limit(this.#allowedDeletes(), { most: maxChanges - changed, reason: 'change-limit' });
    return {
      create,
      update,
      delete: remove,
      keep: this.#keep.sort((a, b) => compareEntries(a.current, b.current)),
      skipped: this.#skipped.sort(compareSkips),
    };
  }

  #allowedDeletes(): readonly PlannedDelete[] {
    const { maxDeletions, maxDeletionShare } = this.#input.policy;
    const sorted = this.#delete.sort((a, b) => compareEntries(a.current, b.current));
    const isTooLarge = sorted.length > maxDeletions && sorted.length > maxDeletionShare * this.#ours.size;
    if (isTooLarge) return this.#limit(sorted, { most: 0, reason: 'deletion-share' });
    return this.#limit(sorted, { most: maxDeletions, reason: 'deletion-limit' });
  }

  /** The first of the sorted items; the others are skipped. */
  #limit<T extends { readonly entry: ServiceEntry } | { readonly current: ServiceEntry }>(
    items: readonly T[],
    { most, reason }: { readonly most: number; readonly reason: SkipReason },
  ): readonly T[] {
    const first = Math.max(0, most);
    for (const item of items.slice(first)) this.#skip(reason, 'entry' in item ? item.entry : item.current, []);
    return items.slice(0, first);
  }
}

function deleteReasonOf(coverage: Coverage): DeleteReason | undefined {
  if (coverage.how === 'in-namespace') return 'foreign-entry-in-namespace';
  return coverage.how === 'exact' ? 'shadows-foreign-entry' : undefined;
}

function keyOf(entry: ServiceEntry): string {
  return `${entry.metadata.namespace}/${entry.metadata.name}`;
}

function hostKeyOf(entry: ServiceEntry, host: string): string {
  return `${entry.metadata.namespace}/${normalizeHost(host)}`;
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function compareEntries(a: ServiceEntry, b: ServiceEntry): number {
  return compareTexts(a.metadata.namespace, b.metadata.namespace) || compareTexts(a.metadata.name, b.metadata.name);
}

function compareSkips(a: PlannedSkip, b: PlannedSkip): number {
  return compareTexts(a.namespace, b.namespace) || compareTexts(a.name, b.name) || compareTexts(a.reason, b.reason);
}

function sortEntries(entries: readonly ServiceEntry[]): readonly ServiceEntry[] {
  return [...entries].sort(compareEntries);
}
