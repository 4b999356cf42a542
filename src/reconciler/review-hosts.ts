import { believe, type Beliefs, type BeliefSettings } from '../host/believe.js';
import { watchedTime } from '../host/blind-window.js';
import { mergeUsage } from '../host/host-core.js';
import type { HostRecord, PendingEvidence, WorkloadEvidence } from '../host/host-record.js';
import type { HostRule } from '../host/host-rule.js';
import type { EvidenceAttribution, HostStore } from '../host/host-store.js';
import type { SearchConflict } from '../host/search-conflict.js';
import { attributeEvidence } from '../workload/attribute-evidence.js';
import type { PodIndex } from '../workload/pod-index.js';

export type EvidenceDismissal = SearchConflict &
  Pick<EvidenceAttribution, 'hostname'> & { readonly evidence: PendingEvidence };

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
  /** Evidence that is no use of its host: the client was asked for another name. */
  readonly dismissals: readonly EvidenceDismissal[];
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
  const dismissals: EvidenceDismissal[] = [];
  const unmeant: HostRecord[] = [];
  let waiting = 0;
  for await (const record of store.list()) {
    const { found, dismissed } = attributePending(record, input);
    attributions.push(...found);
    dismissals.push(...dismissed);
    waiting += record.pending.length - found.length - dismissed.length;
    const known = attributed(record, found, dismissed);
    if (dismissed.length > 0 && isUnused(known)) unmeant.push(known);
    else records.push(known);
  }
  const watched = watchedTime(await store.sources(), await store.blindWindows());
  const clock = { nowMs, watched, schedules: index.schedules };
  const rules = [...(await store.rules()).rules, ...lifecycle.rules];
  const beliefs = believe(records, { ...lifecycle, rules }, clock);
  const forgettable = [...beliefs.forgettable, ...unmeant];
  return { ...beliefs, forgettable, attributions, dismissals, rules, waiting };
}

function attributePending(
  record: HostRecord,
  { index, nowMs, graceMs }: ReviewInput,
): { readonly found: readonly FoundEvidence[]; readonly dismissed: readonly EvidenceDismissal[] } {
  const { hostname } = record;
  const found: FoundEvidence[] = [];
  const dismissed: EvidenceDismissal[] = [];
  for (const evidence of record.pending) {
    const finding = attributeEvidence({ hostname, evidence, index, nowMs, graceMs });
    if (finding === 'wait') continue;
    if ('asked' in finding) dismissed.push({ hostname, evidence, asked: finding.asked, answered: record });
    else found.push({ hostname, evidence, ...finding });
  }
  return { found, dismissed };
}

type FoundEvidence = EvidenceAttribution & { readonly evidence: PendingEvidence };

/** Whether nobody is left who used a host and nothing was decided or written for it. */
function isUnused({ workloads, pending, decisions, state }: HostRecord): boolean {
  return workloads.length + pending.length + decisions.length === 0 && state === 'candidate';
}

function attributed(
  record: HostRecord,
  found: readonly FoundEvidence[],
  dismissed: readonly EvidenceDismissal[],
): HostRecord {
  if (found.length + dismissed.length === 0) return record;
  const workloads = new Map<string, WorkloadEvidence>();
  const add = (evidence: WorkloadEvidence): void => {
    const { workload, attribution } = evidence;
    const key = [workload.namespace, workload.kind, workload.name, attribution].join('\0');
    workloads.set(key, { workload, attribution, ...mergeUsage(workloads.get(key), evidence) });
  };
  for (const evidence of record.workloads) add(evidence);
  for (const { evidence, workload, attribution } of found) add({ ...evidence, workload, attribution });
  const gone = new Set<PendingEvidence>([...found, ...dismissed].map(({ evidence }) => evidence));
  return {
    ...record,
    workloads: [...workloads.values()],
    pending: record.pending.filter((evidence) => !gone.has(evidence)),
  };
}
