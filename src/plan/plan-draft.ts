import { otherSpecManagers } from '../istio/ownership.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { validateServiceEntry } from '../istio/validation/validate-service-entry.js';
import { planBudget } from './budget.js';
import { settleDeletions, type DeletionCandidate } from './deletions.js';
import { entryDifference } from './entry-difference.js';
import { EntryIndex } from './entry-index.js';
import { hostKeyOf, keyOf, sortByKey } from './order.js';
import type { PlanInput } from './plan-input.js';
import { agreeOnProtocols, hasPortsOf, losesPorts, missingPorts } from './ports.js';
import type {
  AccountedPlan,
  KeepReason,
  PlannedCreate,
  PlannedDelete,
  PlannedKeep,
  PlannedSkip,
  PlannedUpdate,
  SkipReason,
  UpdateReason,
} from './service-entry-plan.js';
import { Situation, type Coverage } from './situation.js';
import { normalizeHost } from './visibility.js';

/** An entry that is wanted, ours that is there, and in what they differ. */
interface Present {
  readonly entry: ServiceEntry;
  readonly current: ServiceEntry;
  readonly difference: UpdateReason | undefined;
}

/** A plan in the making; see `planServiceEntries` for its decisions. */
export class PlanDraft {
  readonly #input: PlanInput;
  readonly #situation: Situation;
  /** Keys of what is wanted, whatever became of it. */
  readonly #wanted = new Set<string>();
  readonly #wantedHosts = new Set<string>();
  /** Wanted entries that are there or will be, as they will be. */
  readonly #accepted = new EntryIndex();
  /** Keys of those among them that are there already, as they should be. */
  readonly #settled = new Set<string>();

  /** Entries of ours by namespace, with those that are to be created. */
  readonly #countOf = new Map<string, number>();

  readonly #create: PlannedCreate[] = [];
  readonly #update: PlannedUpdate[] = [];
  readonly #deletions: DeletionCandidate[] = [];
  readonly #keep: PlannedKeep[] = [];
  readonly #skipped: PlannedSkip[] = [];

  constructor(input: PlanInput) {
    this.#input = input;
    this.#situation = new Situation(input, sortByKey(input.current, keyOf));
    for (const { metadata } of this.#situation.ours.values()) {
      this.#countOf.set(metadata.namespace, (this.#countOf.get(metadata.namespace) ?? 0) + 1);
    }
  }

  addWanted(): void {
    // What covers others comes first: wildcards, then what is there already.
    const rankOf = (entry: ServiceEntry): number =>
      (entry.spec.hosts[0]?.startsWith('*') === true ? 0 : 2) + (this.#situation.ours.has(keyOf(entry)) ? 0 : 1);
    const order = sortByKey(this.#input.desired, (entry) => `${rankOf(entry)} ${keyOf(entry)}`);
    for (const entry of order) this.#addWantedEntry(entry);
  }

  #addWantedEntry(entry: ServiceEntry): void {
    const key = keyOf(entry);
    if (this.#wantedHosts.has(hostKeyOf(entry))) return this.#skip('duplicate', entry);
    this.#wanted.add(key);
    this.#wantedHosts.add(hostKeyOf(entry));
    const current = this.#situation.ours.get(key);
    const difference = current && entryDifference(current, entry);
    // What is there as it should be has passed the validation before.
    const isNew = current === undefined || difference !== undefined;
    // A warning counts as much as an error: each says that the entry would not do what it seems to do.
    const findings = isNew ? this.#findingsOf(entry) : [];
    if (findings.length > 0 || entry.spec.hosts.length !== 1) return this.#skip('invalid', entry, findings);
    const service = this.#situation.references.serviceNamed(entry.spec.hosts[0] ?? '');
    if (service !== undefined) return this.#skip('kubernetes-service', entry, [service]);
    if (!this.#situation.takesEntries(entry.metadata.namespace)) return this.#skip('namespace-missing', entry);
    if (current === undefined) this.#addMissing(entry);
    else this.#addPresent({ entry, current, difference });
  }

  #findingsOf(entry: ServiceEntry): readonly string[] {
    const codes = validateServiceEntry(entry).map(({ code }) => code);
    const hasCapture = this.#input.policy.capturesDns === true;
    return codes.filter((code) => !(hasCapture && code === 'port-open-without-capture'));
  }

  #addMissing(entry: ServiceEntry): void {
    if (this.#input.held?.has(keyOf(entry)) === true) return this.#skip('deleted-by-others', entry);
    const obstacle = this.#obstacleTo(entry);
    if (obstacle !== undefined) {
      this.#skip(obstacle.reason, entry, obstacle.because, obstacle.missingPorts);
      return;
    }
    const agreed = this.#agree(entry);
    if ('conflicts' in agreed) return this.#skip('protocol-conflict', entry, agreed.conflicts);
    // Before it is accepted: what there is no room for covers nothing.
    const ceiling = this.#takePlace(entry.metadata.namespace);
    if (ceiling !== undefined) return this.#skip(ceiling, entry);
    const notImportedIn = this.#situation.visibility.blindNamespaces(entry);
    this.#create.push({ reason: 'wanted', entry: agreed.entry, ...(notImportedIn.length > 0 && { notImportedIn }) });
    this.#accepted.add(agreed.entry);
  }

  /** Counts one entry more in a namespace, or says which ceiling is reached. */
  #takePlace(namespace: string): SkipReason | undefined {
    const { maxEntries = Infinity, maxEntriesPerNamespace = Infinity } = this.#input.policy;
    const count = this.#countOf.get(namespace) ?? 0;
    if (this.#situation.ours.size + this.#create.length >= maxEntries) return 'entry-ceiling';
    if (count >= maxEntriesPerNamespace) return 'namespace-ceiling';
    this.#countOf.set(namespace, count + 1);
    return undefined;
  }

  /** Why an entry that is not there yet must not be. */
  #obstacleTo(
    entry: ServiceEntry,
  ):
    | { readonly reason: SkipReason; readonly because: readonly string[]; readonly missingPorts?: readonly string[] }
    | undefined {
    const { references, visibility, foreignNames } = this.#situation;
    const coverage = this.#situation.coverageOf(entry);
    if (coverage !== undefined) {
      const reason = coverage.how === 'in-namespace' ? 'host-in-namespace' : 'covered-by-foreign-entry';
      return { reason, because: [keyOf(coverage.by)], missingPorts: missingPorts(entry, [coverage.by]) };
    }
    const namesake = this.#situation.namesake(entry);
    if (namesake !== undefined) return { reason: 'host-in-namespace', because: [keyOf(namesake)] };
    if (foreignNames.has(keyOf(entry))) return { reason: 'name-taken', because: [keyOf(entry)] };
    if (this.#situation.isUselessForWaypoint(entry)) return { reason: 'namespace-uses-waypoint', because: [] };
    const governors = references.governorsOf(entry);
    if (governors.length > 0) return { reason: 'governed-by-others', because: governors };
    const cover = this.#ownCoverOf(entry);
    // A wildcard counts only once it is there: it may be refused, and then the host would have nothing.
    if (cover !== undefined && (isSameHost(cover, entry) || this.#settled.has(keyOf(cover)))) {
      return { reason: 'covered-by-own-entry', because: [keyOf(cover)] };
    }
    const audience = visibility.audienceOfEntry(entry);
    const blind = visibility.blindNamespaces(entry);
    if (audience !== 'everybody' && blind.length === audience.size) return { reason: 'not-imported', because: blind };
    return undefined;
  }

  /** An accepted entry of ours that gives all clients of another one all its ports. */
  #ownCoverOf(entry: ServiceEntry): ServiceEntry | undefined {
    const host = entry.spec.hosts[0] ?? '';
    return [...this.#accepted.withHost(host), ...this.#accepted.coveringHost(host)].find(
      (other) =>
        keyOf(other) !== keyOf(entry) &&
        hasPortsOf(other, entry) &&
        this.#situation.visibility.isSeenByAllOf(other, entry),
    );
  }

  /** The entry in the words of those for the same host that will be there beside it. */
  #agree(entry: ServiceEntry): ReturnType<typeof agreeOnProtocols> {
    // istioctl takes an entry without exportTo for public, whatever the mesh says.
    const others = [...this.#situation.foreignWithHost(entry), ...this.#accepted.withHost(entry.spec.hosts[0] ?? '')];
    return agreeOnProtocols(
      entry,
      others.filter((other) => keyOf(other) !== keyOf(entry) && mayConflict(entry, other)),
    );
  }

  #addPresent({ entry, current, difference }: Present): void {
    if (current.metadata.deletionTimestamp !== undefined) return this.#skip('being-deleted', entry);
    const coverage = this.#situation.coverageOf(current) ?? this.#situation.coverageOf(entry);
    if (coverage !== undefined) return this.#giveWay(current, coverage);
    const agreed = this.#agree(entry);
    if ('conflicts' in agreed) return this.#skip('protocol-conflict', entry, agreed.conflicts);
    const cover = this.#ownCoverOf(agreed.entry);
    if (cover !== undefined) return this.#replaceBy(cover, current);
    const isAsWanted = agreed.entry === entry;
    this.#bringInLine({
      entry: agreed.entry,
      current,
      difference: isAsWanted ? difference : entryDifference(current, agreed.entry),
    });
  }

  #bringInLine({ entry, current, difference }: Present): void {
    const { references, visibility } = this.#situation;
    if (difference === undefined) {
      this.#accepted.add(entry);
      this.#settled.add(keyOf(entry));
      return this.#keepAs('unchanged', current);
    }
    const others = otherSpecManagers(current);
    if (others.length > 0) return this.#skip('edited-by-others', entry, others);
    const narrows = losesPorts(current, entry) || !visibility.isSeenByAllOf(entry, current);
    const referrers = narrows ? references.referrersOf(current) : [];
    if (referrers.length > 0) return this.#skip('still-referenced', entry, referrers);
    this.#accepted.add(entry);
    this.#update.push({ reason: difference, current, entry, narrows });
  }

  /** Ours beside a foreign entry: theirs stays, and where both do harm ours goes. */
  #giveWay(current: ServiceEntry, { by, how }: Coverage): void {
    const isSafe = this.#situation.visibility.isSeenByAllOf(by, current);
    if (how === 'wildcard' || (how === 'exact' && !isSafe)) return this.#keepAs('beside-foreign-entry', current);
    // What refers to a port that only ours has, or sees only ours, would lead nowhere.
    if ((!isSafe || missingPorts(current, [by]).length > 0) && this.#isReferred(current)) return;
    const reason = how === 'exact' ? 'shadows-foreign-entry' : 'foreign-entry-in-namespace';
    this.#drop({
      reason,
      current,
      isUrgent: !hasPortsOf(current, by) || by.spec.resolution !== current.spec.resolution,
    });
  }

  #replaceBy(cover: ServiceEntry, current: ServiceEntry): void {
    if (!this.#settled.has(keyOf(cover))) return this.#keepAs('until-cover-is-there', current);
    // A rule for the host does not apply to what a wildcard matches.
    if (!isSameHost(cover, current) && this.#isReferred(current)) return;
    this.#drop({ reason: 'covered-by-own-entry', current, isUrgent: false });
  }

  /** Skips an entry that something refers to, or of which that is not known. */
  #isReferred(current: ServiceEntry): boolean {
    const { references } = this.#situation;
    const { unknownKinds } = references;
    const referrers = references.referrersOf(current);
    if (referrers.length > 0) this.#skip('still-referenced', current, referrers);
    else if (unknownKinds.length > 0) this.#skip('references-unknown', current, unknownKinds);
    return referrers.length + unknownKinds.length > 0;
  }

  addUnwanted(): void {
    const unwanted = new Set((this.#input.unwanted ?? []).map(normalizeHost));
    for (const [key, current] of this.#situation.ours) {
      if (!this.#wanted.has(key)) this.#addUnwantedEntry(current, unwanted);
    }
  }

  #addUnwantedEntry(current: ServiceEntry, unwanted: ReadonlySet<string>): void {
    if (current.metadata.deletionTimestamp !== undefined) return this.#skip('being-deleted', current);
    const coverage = this.#situation.coverageOf(current);
    if (coverage !== undefined && coverage.how !== 'wildcard') return this.#giveWay(current, coverage);
    const hosts = current.spec.hosts.map(normalizeHost);
    if (hosts.every((host) => unwanted.has(host))) return this.#dropUnwanted(current, hosts);
    const cover = this.#ownCoverOf(current);
    if (cover === undefined) this.#keepAs('no-decision', current);
    else this.#replaceBy(cover, current);
  }

  #dropUnwanted(current: ServiceEntry, hosts: readonly string[]): void {
    if (this.#isReferred(current)) return;
    const children = hosts
      .filter((host) => host.startsWith('*'))
      .flatMap((host) => this.#accepted.belowWildcard(host))
      .filter((child) => !this.#settled.has(keyOf(child)));
    if (children.length > 0) return this.#skip('children-first', current, children.map(keyOf));
    const decided = hosts.flatMap((host) => this.#input.unwantedSinceMs?.get(host) ?? []);
    const isKnown = decided.length === hosts.length;
    this.#drop({
      reason: 'host-unwanted',
      current,
      isUrgent: false,
      ...(isKnown && { decidedMs: Math.max(...decided) }),
    });
  }

  #drop(candidate: DeletionCandidate): void {
    const others = otherSpecManagers(candidate.current);
    if (others.length > 0) return this.#skip('edited-by-others', candidate.current, others);
    this.#deletions.push(candidate);
  }

  #keepAs(reason: KeepReason, current: ServiceEntry): void {
    this.#keep.push({ reason, current });
  }

  #skip(
    reason: SkipReason,
    entry: ServiceEntry,
    because: readonly string[] = [],
    missing: readonly string[] = [],
  ): void {
    const { namespace, name } = entry.metadata;
    const host = entry.spec.hosts[0] ?? '';
    this.#skipped.push({ reason, namespace, name, host, because: [...because].sort(), missingPorts: missing });
  }

  finish(): AccountedPlan {
    const { nowMs = 0, pendingDeletions: history = [], policy } = this.#input;
    const { maxChanges, maxDeletions } = policy;
    const { due, waiting, pending } = settleDeletions(this.#deletions, { history, nowMs, policy });
    for (const { current } of waiting) this.#skip('deletion-waits', current);

    const create = this.#limit(sortByKey(this.#create, keyOfItem), maxChanges, 'change-limit');
    const [narrowing, widening] = partition(sortByKey(this.#update, keyOfItem), ({ narrows }) => narrows);
    const widened = this.#limit(widening, maxChanges - create.length, 'change-limit');
    const left = maxChanges - create.length - widened.length;
    // What closes connections goes few at a time.
    const narrowed = this.#limit(this.#limit(narrowing, maxDeletions, 'deletion-limit'), left, 'change-limit');
    const deletable = this.#limit(this.#belowShare(due), maxDeletions - narrowed.length, 'deletion-limit');
    const deleted = this.#limit(deletable, left - narrowed.length, 'change-limit');

    const update = sortByKey([...widened, ...narrowed], keyOfItem);
    const remove = deleted.map(({ reason, current }): PlannedDelete => ({ reason, current }));
    const changes = { create, update, delete: remove };
    return {
      ...changes,
      keep: sortByKey(this.#keep, keyOfItem),
      skipped: sortByKey(this.#skipped, (skip) => `${skip.namespace}/${skip.name} ${skip.reason}`),
      budget: planBudget(changes, this.#situation.visibility),
      pendingDeletions: pending,
    };
  }

  /** All of the deletions, or none when they are a suspicious share of what there is. */
  #belowShare(due: readonly DeletionCandidate[]): readonly DeletionCandidate[] {
    const { maxDeletions, maxDeletionShare, deletionsConfirmed } = this.#input.policy;
    const isTooLarge = due.length > maxDeletions && due.length > maxDeletionShare * this.#situation.ours.size;
    return isTooLarge && deletionsConfirmed !== true ? this.#limit(due, 0, 'deletion-share') : due;
  }

  /** The first of the items; the others are skipped. */
  #limit<T extends { readonly entry: ServiceEntry } | { readonly current: ServiceEntry }>(
    items: readonly T[],
    most: number,
    reason: SkipReason,
  ): readonly T[] {
    const first = Math.max(0, most);
    for (const item of items.slice(first)) this.#skip(reason, 'entry' in item ? item.entry : item.current);
    return items.slice(0, first);
  }
}

function keyOfItem(item: { readonly entry: ServiceEntry } | { readonly current: ServiceEntry }): string {
  return keyOf('entry' in item ? item.entry : item.current);
}

function isSameHost(one: ServiceEntry, other: ServiceEntry): boolean {
  return normalizeHost(one.spec.hosts[0] ?? '') === normalizeHost(other.spec.hosts[0] ?? '');
}

/** Whether istioctl would compare the ports of the two (IST0177). To it `~` is a scope as any other. */
function mayConflict(one: ServiceEntry, other: ServiceEntry): boolean {
  const [a, b] = [scopesOf(one), scopesOf(other)];
  return a.has('*') || b.has('*') || [...a].some((scope) => b.has(scope));
}

function scopesOf({ metadata, spec: { exportTo = [] } }: ServiceEntry): ReadonlySet<string> {
  if (exportTo.length === 0) return new Set(['*']);
  return new Set(exportTo.map((name) => (name === '.' ? metadata.namespace : name)));
}

function partition<T>(items: readonly T[], belongs: (item: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))];
}
