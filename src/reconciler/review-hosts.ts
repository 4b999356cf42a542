import { mergeUsage } from '../host/host-core.js';
import type { HostRecord, PendingEvidence, WorkloadEvidence } from '../host/host-record.js';
import type { EvidenceAttribution, HostStore, HostTransition } from '../host/host-store.js';
import { nextTransition, type LifecycleSettings } from '../host/lifecycle.js';
import { attributeEvidence } from '../workload/attribute-evidence.js';
import type { PodIndex } from '../workload/pod-index.js';

export interface ReviewInput {
  readonly store: Pick<HostStore, 'list'>;
  readonly index: PodIndex;
  readonly lifecycle: LifecycleSettings;
  /** How long evidence waits for the API server to know the client's address. */
  readonly graceMs: number;
  readonly nowMs: number;
}

/** What there is to be believed now, and what has to be stored for that. */
export interface HostReview {
  /** Every host as it is once the changes are stored. */
  readonly records: readonly HostRecord[];
  readonly attributions: readonly EvidenceAttribution[];
  readonly transitions: readonly HostTransition[];
  /** Pieces of evidence that wait for the API server to know their client. */
  readonly waiting: number;
}

/**
 * Looks at every host once: whose evidence it is, and how far time and policy let it go along its life. Stores nothing, so
 * that a plan can be shown without carrying it out.
 */
export async function reviewHosts(input: ReviewInput): Promise<HostReview> {
  const records: HostRecord[] = [];
  const attributions: EvidenceAttribution[] = [];
  const transitions: HostTransition[] = [];
  let waiting = 0;
  for await (const record of input.store.list()) {
    const found = attributePending(record, input);
    const steps = stepsOf(record, input);
    attributions.push(...found);
    transitions.push(...steps);
    waiting += record.pending.length - found.length;
    records.push(advanced(attributed(record, found), steps));
  }
  return { records, attributions, transitions, waiting };
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

/** Each host goes as far as time and policy allow. */
function stepsOf(record: HostRecord, { lifecycle, nowMs }: ReviewInput): readonly HostTransition[] {
  const steps: HostTransition[] = [];
  let { state } = record;
  for (let step = nextTransition(record, lifecycle, nowMs); step !== undefined;) {
    steps.push(step);
    state = step.to;
    step = nextTransition({ ...record, state }, lifecycle, nowMs);
  }
  return steps;
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

function advanced(record: HostRecord, steps: readonly HostTransition[]): HostRecord {
  const last = steps.at(-1);
  if (last === undefined) return record;
  const transitions = steps.map(({ to, reason, atMs }) => ({ state: to, reason, atMs }));
  return {
    ...record,
    state: last.to,
    reason: last.reason,
    transitions: [...record.transitions, ...transitions],
  };
}
