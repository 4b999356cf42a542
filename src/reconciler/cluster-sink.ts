import type { ServiceEntry } from '../istio/service-entry.js';
import type { KubernetesClient } from '../kubernetes/client.js';
import { TokenBucket } from '../kubernetes/token-bucket.js';
import type { ServiceEntryPlan } from '../plan/service-entry-plan.js';
import { ApplyRun, type Change } from './apply-run.js';
import type { ClusterState } from './cluster-state.js';
import { forEachInFlight } from './in-flight.js';
import { PostponedEntries } from './postponed-entries.js';
import { ReconcilerError } from './reconciler-error.js';
import { toFailure, type ServiceEntrySink, type SinkFailure, type SinkResult, type SinkState } from './sink.js';

export interface ClusterSinkOptions {
  readonly client: KubernetesClient;
  readonly state: ClusterState;
  /** Asked before every write: whether this process is still the leader. */
  readonly mayWrite: () => boolean;
  /** Entries written or deleted a second. @defaultValue 20 */
  readonly maxWritesPerSecond?: number;
  /** Writes at a time. @defaultValue 8 */
  readonly inFlight?: number;
  /** Clock that never jumps. @defaultValue performance.now */
  readonly monotonicMs?: () => number;
}

/** Entries written after one look at their namespace: few, so that the look is fresh, unless a watch looks as well. */
const BATCH_ENTRIES = 8;
const WATCHED_BATCH_ENTRIES = 64;
/** After so long a plan says nothing about deletions any more. */
const FRESH_PLAN_MS = 5000;
const DEFAULT_IN_FLIGHT = 8;
const DEFAULT_WRITES_PER_SECOND = 20;

/** Writes to the cluster by server-side apply. Never forces, never adopts, never touches what it did not plan for. */
export class ClusterSink implements ServiceEntrySink {
  readonly #options: ClusterSinkOptions;
  readonly #monotonicMs: () => number;
  readonly #bucket: TokenBucket;
  readonly #postponed: PostponedEntries;

  constructor(options: ClusterSinkOptions) {
    const { maxWritesPerSecond = DEFAULT_WRITES_PER_SECOND, monotonicMs = () => performance.now() } = options;
    this.#options = options;
    this.#monotonicMs = monotonicMs;
    this.#bucket = new TokenBucket({ perSecond: maxWritesPerSecond, monotonicMs });
    this.#postponed = new PostponedEntries({ monotonicMs });
  }

  async read(signal: AbortSignal): Promise<SinkState> {
    const state = await this.#options.state.read(signal);
    for (const { metadata } of state.deletedByOthers ?? []) {
      this.#postponed.noteDeletion(keyOf(metadata), metadata.uid ?? '');
    }
    return state;
  }

  async apply(plan: ServiceEntryPlan, signal: AbortSignal): Promise<SinkResult> {
    const planned = changesOf(plan);
    this.#postponed.retain(new Set(planned.map(({ entry }) => keyOf(entry.metadata))));
    const waiting = planned.flatMap((change) => this.#findPostponed(change) ?? []);
    const isWaiting = new Set(waiting.map(keyOf));
    const due = planned.filter(({ entry }) => !isWaiting.has(keyOf(entry.metadata)));
    const run = new ApplyRun({ ...this.#options, bucket: this.#bucket, postponed: this.#postponed, signal });
    const inFlight = this.#options.inFlight ?? DEFAULT_IN_FLIGHT;
    const untilMs = this.#monotonicMs() + FRESH_PLAN_MS;
    const writes = due.filter(({ kind }) => kind !== 'deleted');
    const size = this.#options.state.isLive() ? WATCHED_BATCH_ENTRIES : BATCH_ENTRIES;
    await forEachInFlight(batchesOf(writes, size), inFlight, async (batch) => run.writeBatch(batch));
    // Last, when nobody is left without an entry that was to be written, and only if what they were decided on is recent:
    // something may refer to the host by now, or somebody may want it. The next plan calls for them again.
    const isFresh = this.#monotonicMs() < untilMs;
    const deletes = due.filter(({ kind }) => kind === 'deleted' && isFresh);
    await forEachInFlight(deletes, inFlight, async ({ entry }) => run.remove(entry));
    return resultOf(run, waiting);
  }

  /** Why a change is not tried now: it failed lately, or somebody deletes what is written again and again. */
  #findPostponed(change: Change): SinkFailure | undefined {
    const { kind, entry } = change;
    const key = keyOf(entry.metadata);
    const deletions = kind === 'created' ? this.#postponed.deletionsOf(key) : undefined;
    if (deletions === undefined) return this.#postponed.find(key, JSON.stringify(change));
    const message = `somebody has deleted it, ${deletions} times by now; it is created again ever more rarely`;
    return toFailure(entry, new ReconcilerError('RECONCILER_ERR_DELETED_BY_OTHERS', message));
  }
}

function changesOf(plan: ServiceEntryPlan): readonly Change[] {
  return [
    ...plan.create.map(({ entry }): Change => ({ kind: 'created', entry })),
    ...plan.update.map(({ entry, current: { metadata } }): Change => {
      const { uid, resourceVersion } = metadata;
      const seen = { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
      return { kind: 'updated', entry, seen };
    }),
    ...plan.delete.map(({ current }): Change => ({ kind: 'deleted', entry: current })),
  ];
}

function resultOf(run: ApplyRun, waiting: readonly SinkFailure[]): SinkResult {
  const entriesOf = (kind: Change['kind']): readonly ServiceEntry[] =>
    run.done
      .filter((change) => change.kind === kind)
      .map(({ entry }) => entry)
      .sort((a, b) => (keyOf(a.metadata) < keyOf(b.metadata) ? -1 : 1));
  return {
    created: entriesOf('created'),
    updated: entriesOf('updated'),
    deleted: entriesOf('deleted'),
    failures: [...run.failures, ...waiting].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
  };
}

/** At most `size` entries of one namespace each, in their order. */
function batchesOf(changes: readonly Change[], size: number): readonly (readonly Change[])[] {
  const batches: Change[][] = [];
  const open = new Map<string, Change[]>();
  for (const change of changes) {
    const { namespace } = change.entry.metadata;
    let batch = open.get(namespace);
    if (batch === undefined || batch.length === size) {
      batch = [];
      batches.push(batch);
      open.set(namespace, batch);
    }
    batch.push(change);
  }
  return batches;
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
