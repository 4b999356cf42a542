import { believe, type Beliefs, type BeliefSettings } from '../host/believe.js';
import { watchedTime } from '../host/blind-window.js';
import { mergeUsage } from '../host/host-core.js';
import type { HostRecord, PendingEvidence, WorkloadEvidence } from '../host/host-record.js';
import type { HostRule } from '../host/host-rule.js';
import type { EvidenceAttribution, HostStore } from '../host/host-store.js';
import { attributeEvidence } from '../workload/attribute-evidence.js';
import type { PodIndex } from '../workload/pod-index.js';

export interface ReviewInput {
  readonly store: Pick<HostStore, 'list' | 'rules' | 'sources' | 'blindWindows'>;
  readonly index: PodIndex;
  readonly lifecycle: BeliefSettings;
  /** How long evidence waits for the API server to know the client's address. */
  readonly graceMs: number;
  readonly nowMs: number;
}

/** What there is to be believed now, and what has to be stored for that. */
export interface HostReview extends Beliefs {
  readonly attributions: readonly EvidenceAttribution[];
  /** Of the store, then of the settings: the first that is about a host counts. */
  readonly rules: readonly HostRule[];
  /** Pieces of evidence that wait for the API server to know their client. */
  readonly waiting: number;
}

/**
 * Looks at every host once: whose evidence it is, and what is to be believed of all of them. Stores nothing, so that a
 * plan can be shown without carrying it out.
 */
export async function reviewHosts(input: ReviewInput): Promise<HostReview> {
  const { store, lifecycle, nowMs, index } = input;
  const records: HostRecord[] = [];
  const attributions: EvidenceAttribution[] = [];
  let waiting = 0;
  for await (const record of store.list()) {
    const found = attributePending(record, input);
    attributions.push(...found);
    waiting += record.pending.length - found.length;
    records.push(attributed(record, found));
  }
  const watched = watchedTime(await store.sources(), await store.blindWindows());
  const clock = { nowMs, watched, schedules: index.schedules };
  const rules = [...(await store.rules()).rules, ...lifecycle.rules];
  return { ...believe(records, { ...lifecycle, rules }, clock), attributions, rules, waiting };
}

function attributePending(
  record: HostRecord,
  { index, nowMs, graceMs }: ReviewInput,
): readonly (EvidenceAttribution & { readonly evidence: PendingEvidence })[] {
  const { hostname } = record;
  return record.pending.flatMap((evidence) => {
    const found = attributeEvidence({ evidence, index, nowMs, graceMs });
    return found === 'wait' ? [] : [{ hostname, evidence, ...found }];
  });
}

function attributed(
  record: HostRecord,
  found: readonly (EvidenceAttribution & { readonly evidence: PendingEvidence })[],
): HostRecord {
  if (found.length === 0) return record;
  const workloads = new Map<string, WorkloadEvidence>();
  const add = (evidence: WorkloadEvidence): void => {
    const { workload, attribution } = evidence;
    const key = [workload.namespace, workload.kind, workload.name, attribution].join('\0');
    workloads.set(key, { workload, attribution, ...mergeUsage(workloads.get(key), evidence) });
  };
  for (const evidence of record.workloads) add(evidence);
  for (const { evidence, workload, attribution } of found) add({ ...evidence, workload, attribution });
  const gone = new Set<PendingEvidence>(found.map(({ evidence }) => evidence));
  return {
    ...record,
    workloads: [...workloads.values()],
    pending: record.pending.filter((evidence) => !gone.has(evidence)),
  };
}
