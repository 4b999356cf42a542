import type { SeenChange, SeenEntries, SeenEntry } from '../host/host-store.js';
import { isOwned } from '../istio/ownership.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { goesOnFrom } from '../kubernetes/resource-version.js';
import { DELETION_SETTLED_MS, type SinkState } from './sink.js';

/** Why entries of ours that are not there were not taken away by somebody who wants them gone. */
export const LOST_REASONS = {
  'cluster-went-back': 'the cluster was restored from a backup',
  'namespace-gone': 'their namespace was deleted, is being deleted, or is not read any more',
  'not-watched': 'nobody watched, and namespaces may not be read, so nobody knows whether theirs was deleted',
  'approved-since': 'somebody approved the host after they were last there',
  'too-many': 'too many are missing at once',
} as const;
export type LostReason = keyof typeof LOST_REASONS;

/** An entry of ours that is gone and is written again. */
export interface LostEntry extends Pick<SeenEntry, 'namespace' | 'name' | 'host'> {
  readonly reason: LostReason;
}

/** What to make of entries of ours that were in the cluster and are not. */
export interface Absences {
  /** Somebody deleted them, and wants them gone. */
  readonly wishes: readonly SeenEntry[];
  /** `namespace/name` of those of which that turns out soon. */
  readonly held: ReadonlySet<string>;
  readonly lost: readonly LostEntry[];
  /** What is to be kept for the next look; wishes are kept until they were followed. */
  readonly change: SeenChange;
}

export interface AbsenceInput {
  readonly known: SeenEntries;
  readonly state: SinkState;
  readonly owner: string;
  /** When a person last approved a host (Unix milliseconds), if nothing else was decided since. */
  readonly approvedAtMs: (host: string) => number | undefined;
  readonly nowMs: number;
}

/** More at once are no decision about each of them: somebody cleaned up, and what is in use is put right. */
const MAX_WISHES = 10;
/** Nor are those that nobody saw go, if they are more than this share of what was there. */
const MAX_UNSEEN_SHARE = 0.5;
/** How often the version of the cluster is kept while nothing else is. */
const KEEP_VERSION_MS = 10_000;

/**
 * Compares what was in the cluster when it was last looked at, be it by another process, with what is there. Pure.
 *
 * ```
 * an entry that was there and is not                     is
 * -----------------------------------------------------  -------------------------------
 * the cluster's version is lower, or higher by far       lost cluster-went-back
 * its namespace is another one, going, or not read       lost namespace-gone
 * that is not known, and no watch saw it go              lost not-watched
 * somebody approved its host since                       lost approved-since
 * no watch saw it go, nor more than half of the others   lost too-many
 * more than ten hosts                                    lost too-many
 * missing for less than DELETION_SETTLED_MS              held
 * missing for longer                                     a wish
 * ```
 *
 * What this program deletes is forgotten before, and what it did not come to create was never there.
 */
export function judgeAbsences(input: AbsenceInput): Absences {
  const { known, state, owner, nowMs } = input;
  const present = new Map(state.entries.map((entry) => [keyOf(entry.metadata), entry]));
  const missing = known.entries.filter((entry) => !present.has(keyOf(entry)));
  const lost = findLost(missing, input);
  const isLost = new Set(lost.map(keyOf));
  const [wishes, waiting] = partitionSettled(
    missing.filter((entry) => !isLost.has(keyOf(entry))),
    nowMs,
  );
  const noticed = waiting
    .filter(({ missingSinceMs = Infinity }) => missingSinceMs > nowMs) // or the clock was set back
    .map((entry) => ({ ...entry, missingSinceMs: nowMs }));
  const notOurs = known.entries.filter((entry) => {
    const there = present.get(keyOf(entry));
    return there !== undefined && !isOwned(there, owner);
  });
  const change = { seen: [...noticed, ...newlySeen(input)], gone: [...lost, ...notOurs] };
  return { wishes, held: new Set(waiting.map(keyOf)), lost, change: withCluster(change, input) };
}

function partitionSettled(
  missing: readonly SeenEntry[],
  nowMs: number,
): readonly [readonly SeenEntry[], readonly SeenEntry[]] {
  const isSettled = ({ missingSinceMs = nowMs }: SeenEntry): boolean => nowMs - missingSinceMs >= DELETION_SETTLED_MS;
  return [missing.filter(isSettled), missing.filter((entry) => !isSettled(entry))];
}

/** With the version of the cluster, where something else is kept or that was not for some time. */
function withCluster(change: SeenChange, { known: { cluster }, state, nowMs }: AbsenceInput): SeenChange {
  const { clusterVersion: version } = state;
  const isDue = cluster === undefined || Math.abs(nowMs - cluster.atMs) >= KEEP_VERSION_MS;
  if (version === undefined || (change.seen.length + change.gone.length === 0 && !isDue)) return change;
  return { ...change, cluster: { version, atMs: nowMs } };
}

/** What is kept of entries that are there. */
export function toSeen(entries: readonly ServiceEntry[], { mesh }: SinkState): readonly SeenEntry[] {
  const uids = new Map((mesh?.namespaces ?? []).map(({ name, uid }) => [name, uid]));
  return entries.map(({ metadata: { namespace, name }, spec }) => {
    const namespaceUid = uids.get(namespace);
    return { namespace, name, host: spec.hosts[0] ?? '', ...(namespaceUid !== undefined && { namespaceUid }) };
  });
}

/** Entries of ours that were not known, or not so. */
function newlySeen({ known, state, owner }: AbsenceInput): readonly SeenEntry[] {
  const before = new Map(known.entries.map((entry) => [keyOf(entry), entry]));
  const ours = state.entries.filter((entry) => isOwned(entry, owner) && entry.metadata.deletionTimestamp === undefined);
  return toSeen(ours, state).filter((entry) => {
    const { host, namespaceUid, missingSinceMs } = before.get(keyOf(entry)) ?? {};
    return host !== entry.host || namespaceUid !== entry.namespaceUid || missingSinceMs !== undefined;
  });
}

function findLost(missing: readonly SeenEntry[], input: AbsenceInput): readonly LostEntry[] {
  const reasonOf = reasonFinder(input);
  const reasons = new Map(missing.map((entry) => [entry, reasonOf(entry)]));
  const rest = missing.filter((entry) => reasons.get(entry) === undefined);
  const isUnseen = unseenBy(input.state);
  const unseen = rest.filter(isUnseen);
  const areUnseenTooMany = unseen.length > MAX_UNSEEN_SHARE * input.known.entries.length;
  const areTooMany = new Set(rest.map(({ host }) => host)).size > MAX_WISHES;
  for (const entry of rest) {
    if (areTooMany || (areUnseenTooMany && isUnseen(entry))) reasons.set(entry, 'too-many');
  }
  return [...reasons].flatMap(([{ namespace, name, host }, reason]) =>
    reason === undefined ? [] : [{ namespace, name, host, reason }],
  );
}

/** Whether no watch saw an entry go. */
function unseenBy({ deletedByOthers = [] }: SinkState): (entry: SeenEntry) => boolean {
  const watched = new Set(deletedByOthers.map(({ metadata }) => keyOf(metadata)));
  return (entry) => !watched.has(keyOf(entry));
}

function reasonFinder(input: AbsenceInput): (entry: SeenEntry) => LostReason | undefined {
  const { known, state, approvedAtMs } = input;
  const { cluster } = known;
  const { clusterVersion } = state;
  const goesOn = cluster !== undefined && clusterVersion !== undefined && goesOnFrom(clusterVersion, cluster.version);
  if (!goesOn) return () => 'cluster-went-back';
  const reasonOfNamespace = namespaceFinder(state);
  return (entry) => {
    const lastThereMs = entry.missingSinceMs ?? cluster.atMs;
    const isApproved = (approvedAtMs(entry.host) ?? -Infinity) > lastThereMs;
    return reasonOfNamespace(entry) ?? (isApproved ? 'approved-since' : undefined);
  };
}

function namespaceFinder(state: SinkState): (entry: SeenEntry) => LostReason | undefined {
  const living = state.mesh?.namespaces?.filter(({ isTerminating }) => !isTerminating);
  const uids = living && new Map(living.map(({ name, uid }) => [name, uid]));
  const isUnseen = unseenBy(state);
  return (entry) => {
    const { namespace, namespaceUid, missingSinceMs } = entry;
    if (state.namespaces?.has(namespace) !== true) return 'namespace-gone';
    if (uids !== undefined && namespaceUid !== undefined) {
      return uids.get(namespace) === namespaceUid ? undefined : 'namespace-gone';
    }
    return missingSinceMs === undefined && isUnseen(entry) ? 'not-watched' : undefined;
  };
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
