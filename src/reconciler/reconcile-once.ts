import type { BeliefSettings } from '../host/believe.js';
import { hasFlag, type HostRecord, type HostState } from '../host/host-record.js';
import type { AwaitedDeletion, FlagChange, HostStore, HostTransition, SeenChange } from '../host/host-store.js';
import { countConflicts } from '../host/search-conflict.js';
import { visibilityIn } from '../plan/visibility.js';
import { PlanMemory } from '../plan/plan-memory.js';
import type { AccountedPlan, PlanPolicy, ServiceEntryPlan } from '../plan/service-entry-plan.js';
import type { PodIndex } from '../workload/pod-index.js';
import { judgeAbsences, toSeen, type Absences, type LostEntry } from './absent-entries.js';
import { wantedEntries, type EntrySettings, type RefusedEntry, type WithheldPorts } from './desired-entries.js';
import { MeshInfluence } from './mesh-influence.js';
import { reviewHosts, type HostReview } from './review-hosts.js';
import { breakagesOf } from './would-break.js';
import type { ServiceEntrySink, SinkFailure, SinkResult, SinkState } from './sink.js';

export interface ReconcileSettings extends EntrySettings {
  readonly lifecycle: BeliefSettings;
  readonly policy: PlanPolicy;
  /** How long evidence waits for the API server to know the client's address. */
  readonly graceMs: number;
  /** What it means that somebody deleted an entry of ours: it is put right, or the host is ignored from then on. */
  readonly onDeleted: 'restore' | 'ignore';
}

export interface ReconcileInput {
  readonly store: HostStore;
  readonly sink: ServiceEntrySink;
  readonly index: PodIndex;
  readonly settings: ReconcileSettings;
  readonly nowMs: number;
  readonly signal: AbortSignal;
  /** Of the run before, so that the same is not planned twice. @defaultValue none */
  readonly memory?: PlanMemory;
}

/** What a run did and what it left. */
export interface ReconcileStatus {
  readonly atMs: number;
  readonly hosts: Readonly<Partial<Record<HostState, number>>>;
  /** Pieces of evidence that wait for the API server to know their client. */
  readonly waiting: number;
  /** Hosts that are used and have no entry because learning is frozen. */
  readonly wouldBreak: number;
  /** Entries that cannot be. */
  readonly refused: readonly RefusedEntry[];
  /** Ports that are known and not declared. */
  readonly withheld: readonly WithheldPorts[];
  /** Entries of ours that are gone, by nobody's wish. */
  readonly lost: readonly LostEntry[];
  readonly plan: AccountedPlan;
  readonly result: SinkResult;
}

/** What a run would do, and what it would do it with. */
export interface ReconcilePreview {
  readonly review: HostReview;
  readonly refused: readonly RefusedEntry[];
  readonly withheld: readonly WithheldPorts[];
  readonly plan: AccountedPlan;
}

/**
 * One run: attribute what is new, move hosts along their life, plan, carry out. Works from what the store, the pods and
 * the sink hold now, not from what happened since the last run.
 *
 * @throws what a read throws: then nothing was planned.
 */
export async function reconcileOnce(input: ReconcileInput): Promise<ReconcileStatus> {
  const { store, sink, nowMs, signal } = input;
  const review = await reviewHosts({ ...input, ...input.settings });
  // First what needs no cluster: while it is away, or without Istio, learning goes on.
  await storeReview(store, review);
  const state = await sink.read(signal);
  const absences = await findAbsences(input, review.records, state);
  const ignored = ignoredHosts(review.records, absences, nowMs);
  await store.transition(ignored);
  await noteSeen(store, { seen: [], gone: absences.wishes });
  await forgetHosts(input, review, state);
  const records = withStates(review.records, ignored);
  const wouldBreak = countBreakages(records, await noteEntries(input, records, state));
  const awaited = await store.awaitedDeletions();
  const { held, lost } = absences;
  const planned = planHosts(input, { ...review, records, awaited, held }, state);
  const { plan } = planned;
  await noteDeletions(store, awaited, plan);
  const result = await applyKnowingly(input, plan, state);
  const { waiting } = review;
  await inPortions(appliedHosts(records, plan, result, nowMs), async (portion) => store.transition(portion));
  return { atMs: nowMs, hosts: countStates(records), waiting, wouldBreak, lost, ...planned, result };
}

async function storeReview(store: HostStore, review: HostReview): Promise<void> {
  await inPortions(review.attributions, async (portion) => store.attribute(portion));
  await inPortions(review.dismissals, async (portion) => {
    await store.dismiss(portion);
    await store.countRejections([countConflicts(portion)]); // a run that fails before loses no more than a count
  });
  if (review.quarantines.length > 0) await store.quarantine(review.quarantines);
  await inPortions(review.proposals, async (portion) => store.propose(portion));
  await inPortions(review.transitions, async (portion) => store.transition(portion));
  await inPortions(review.flags, async (portion) => store.setFlags(portion));
}

/** Not those that still have an entry: without its host nobody would know that it is to go. */
async function forgetHosts(
  { store }: ReconcileInput,
  { forgettable }: HostReview,
  { entries }: SinkState,
): Promise<void> {
  if (forgettable.length === 0) return;
  const declared = new Set(entries.flatMap(({ spec }) => spec.hosts));
  const gone = forgettable.filter(({ hostname }) => !declared.has(hostname));
  await inPortions(gone, async (portion) => store.forget(portion));
}

/** What entries do to what DNS tells of a host, which counts from the next run on, and what they leave open. */
async function noteEntries(
  { store, settings: { policy, lifecycle }, nowMs }: ReconcileInput,
  records: readonly HostRecord[],
  { entries, mesh }: SinkState,
): Promise<readonly FlagChange[]> {
  const visibility = visibilityIn(mesh, policy);
  const changes = [
    ...new MeshInfluence({ entries, visibility }).changesOf(records, nowMs),
    ...breakagesOf({ records, entries, visibility, policy: lifecycle.policy, nowMs }),
  ];
  await inPortions(changes, async (portion) => store.setFlags(portion));
  return changes;
}

/** Hosts that have the flag `would-break` after the changes. */
function countBreakages(records: readonly HostRecord[], changes: readonly FlagChange[]): number {
  const before = records.filter((record) => hasFlag(record, 'would-break')).length;
  const steps = changes.filter(({ flag }) => flag === 'would-break').map(({ holds }) => (holds ? 1 : -1));
  return steps.reduce<number>((sum, step) => sum + step, before);
}

/**
 * What {@link reconcileOnce} would do now. Changes nothing, neither in the store nor in the target.
 *
 * @throws what a read throws
 */
export async function previewReconcile(input: ReconcileInput): Promise<ReconcilePreview> {
  const review = await reviewHosts({ ...input, ...input.settings });
  const awaited = await input.store.awaitedDeletions();
  return { review, ...planHosts(input, { ...review, awaited }, await input.sink.read(input.signal)) };
}

/**
 * Keeps which deletions wait, before any takes place: who leads next, or runs next where each run is a process of its own,
 * goes on with the wait. What this plan does not call for starts anew, should it be called for again.
 */
async function noteDeletions(
  store: HostStore,
  awaited: readonly AwaitedDeletion[],
  { pendingDeletions }: AccountedPlan,
): Promise<void> {
  const before = new Map(awaited.map((one) => [`${one.namespace}/${one.name}`, one]));
  const changed = pendingDeletions.filter((one) => {
    const known = before.get(`${one.namespace}/${one.name}`);
    return known?.reason !== one.reason || known.sinceMs !== one.sinceMs || known.plans !== one.plans;
  });
  const pending = new Set(pendingDeletions.map(({ namespace, name }) => `${namespace}/${name}`));
  const ended = awaited.filter(({ namespace, name }) => !pending.has(`${namespace}/${name}`));
  await inPortions(changed, async (portion) => store.awaitDeletions(portion));
  await inPortions(ended, async (portion) => store.endDeletions(portion));
}

function planHosts(
  { settings, nowMs, memory = new PlanMemory() }: ReconcileInput,
  {
    records,
    rules,
    awaited,
    held = NONE_HELD,
  }: Pick<HostReview, 'records' | 'rules'> & {
    readonly awaited: readonly AwaitedDeletion[];
    readonly held?: ReadonlySet<string>;
  },
  state: SinkState,
): Omit<ReconcilePreview, 'review'> {
  const { entries, namespaces, mesh, apiVersion = settings.apiVersion } = state;
  const { refused, withheld, ...wanted } = wantedEntries(withoutEchoes(records, state, settings), {
    ...settings,
    apiVersion,
    rules,
  });
  const isObserving = settings.lifecycle.policy === 'observe';
  const plan = memory.plan({
    current: entries,
    ...(isObserving ? { desired: [] } : wanted),
    ...(namespaces && { namespaces }),
    ...(mesh && { mesh }),
    held,
    pendingDeletions: awaited,
    nowMs,
    policy: settings.policy,
  });
  return { plan, refused, withheld };
}

/** Without what entries, and nobody, look up. */
function withoutEchoes(
  records: readonly HostRecord[],
  { entries, mesh }: SinkState,
  { policy }: ReconcileSettings,
): readonly HostRecord[] {
  return new MeshInfluence({ entries, visibility: visibilityIn(mesh, policy) }).withoutEchoes(records);
}

const NONE_HELD: ReadonlySet<string> = new Set();
const NO_ABSENCES: Absences = { wishes: [], held: NONE_HELD, lost: [], change: { seen: [], gone: [] } };

/** What became of entries of ours that were there, where that matters; keeps what is there now. */
async function findAbsences(
  { store, settings, nowMs }: ReconcileInput,
  records: readonly HostRecord[],
  state: SinkState,
): Promise<Absences> {
  if (state.clusterVersion === undefined) return NO_ABSENCES;
  const known = await store.seenEntries();
  if (settings.onDeleted !== 'ignore') {
    // Who takes it for a wish later must not take what was deleted until then for one.
    await noteSeen(store, { seen: [], gone: known.entries });
    return NO_ABSENCES;
  }
  const approvals = new Map(records.map((record) => [record.hostname as string, approvedAtMs(record)]));
  const approvedAt = (host: string): number | undefined => approvals.get(host);
  const absences = judgeAbsences({ known, state, owner: settings.owner, approvedAtMs: approvedAt, nowMs });
  await noteSeen(store, absences.change);
  return absences;
}

function approvedAtMs({ decisions }: HostRecord): number | undefined {
  const last = decisions.findLast(({ kind }) => kind !== 'note');
  return last?.kind === 'approve' ? last.atMs : undefined;
}

/** Carries a plan out. What it deletes is forgotten before, so that nobody takes its absence for somebody else's doing. */
async function applyKnowingly(
  { store, sink, settings, signal }: ReconcileInput,
  plan: ServiceEntryPlan,
  state: SinkState,
): Promise<SinkResult> {
  const isKept = settings.onDeleted === 'ignore' && state.clusterVersion !== undefined;
  if (isKept) await noteSeen(store, { seen: [], gone: plan.delete.map(({ current }) => current.metadata) });
  const result = await sink.apply(plan, signal);
  if (isKept) await noteSeen(store, { seen: toSeen(result.created, state), gone: [] });
  return result;
}

async function noteSeen(store: HostStore, { cluster, seen, gone }: SeenChange): Promise<void> {
  await inPortions(seen, async (portion) => store.noteSeen({ seen: portion, gone: [] }));
  await inPortions(gone, async (portion) => store.noteSeen({ seen: [], gone: portion }));
  if (cluster !== undefined) await store.noteSeen({ cluster, seen: [], gone: [] });
}

const WITH_ENTRY: ReadonlySet<HostState> = new Set(['approved', 'applied', 'stale']);

/** Hosts of which somebody deleted an entry, where that is taken as a wish. */
function ignoredHosts(records: readonly HostRecord[], { wishes }: Absences, nowMs: number): readonly HostTransition[] {
  const places = new Map(wishes.map(({ host, namespace }) => [host, namespace]));
  return records
    .filter(({ hostname, state }) => WITH_ENTRY.has(state) && places.has(hostname))
    .map(({ hostname, state }) => ({
      hostname,
      from: state,
      to: 'ignored',
      reason: `person: entry deleted in ${places.get(hostname)}`,
      atMs: nowMs,
    }));
}

function withStates(records: readonly HostRecord[], steps: readonly HostTransition[]): readonly HostRecord[] {
  if (steps.length === 0) return records;
  const states = new Map<string, HostState>(steps.map(({ hostname, to }) => [hostname, to]));
  return records.map((record) => ({ ...record, state: states.get(record.hostname) ?? record.state }));
}

/** Attributions and transitions handed to the store at a time. */
const MAX_CALL_ITEMS = 500;

async function inPortions<T>(items: readonly T[], store: (portion: readonly T[]) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += MAX_CALL_ITEMS) {
    await store(items.slice(start, start + MAX_CALL_ITEMS));
  }
}

/** Hosts that have an entry now and are not marked as applied. */
function appliedHosts(
  records: readonly HostRecord[],
  plan: ServiceEntryPlan,
  { created, updated, failures }: SinkResult,
  nowMs: number,
): readonly HostTransition[] {
  const approved = records.filter(({ state }) => state === 'approved');
  if (approved.length === 0) return [];
  const there = new Set([
    ...[...created, ...updated, ...plan.keep.map(({ current }) => current)].flatMap(({ spec }) => spec.hosts),
    ...plan.skipped.filter(({ reason }) => reason === 'covered-by-own-entry').map(({ host }) => host),
  ]);
  const failed = new Set(failures.map(({ host }: SinkFailure) => host));
  return approved
    .filter(({ hostname }) => there.has(hostname) && !failed.has(hostname))
    .map(({ hostname }) => ({ hostname, from: 'approved', to: 'applied', reason: 'written', atMs: nowMs }));
}

function countStates(records: readonly HostRecord[]): ReconcileStatus['hosts'] {
  const counts: Partial<Record<HostState, number>> = {};
  for (const { state } of records) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}
