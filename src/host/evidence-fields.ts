import type { Attribution, PendingEvidence, Usage, WorkloadEvidence, WorkloadReference } from './host-record.js';

/**
 * How both stores name a row of evidence. No part can contain `|`: addresses, RFC 1123 names and kinds have none.
 *
 * ```
 *   p|<client>|<slotMs>|<pod namespace>/<pod>       what waits to be attributed; the last part empty without metadata
 *   w|<attribution>|<namespace>|<kind>|<name>       what is attributed
 * ```
 */
export function pendingField({ client, slotMs, pod }: Pick<PendingEvidence, 'client' | 'slotMs' | 'pod'>): string {
  return `p|${client}|${slotMs}|${pod === undefined ? '' : `${pod.namespace}/${pod.name}`}`;
}

export function workloadField({ namespace, kind, name }: WorkloadReference, attribution: Attribution): string {
  return `w|${attribution}|${namespace}|${kind}|${name}`;
}

export interface EvidenceRow {
  readonly field: string;
  readonly usage: Usage;
}

/** Sorts rows into what waits and what is attributed. Fields of other kinds are passed over. */
export function readEvidence(rows: readonly EvidenceRow[]): {
  readonly pending: readonly PendingEvidence[];
  readonly workloads: readonly WorkloadEvidence[];
} {
  const pending: PendingEvidence[] = [];
  const workloads: WorkloadEvidence[] = [];
  for (const { field, usage } of rows) {
    if (field.startsWith('p|')) pending.push(readPending(field, usage));
    if (field.startsWith('w|')) workloads.push(readWorkload(field, usage));
  }
  return { pending, workloads };
}

/** What waits to be attributed, by its {@link pendingField}. */
export function readPending(field: string, { firstSeenMs, lastSeenMs, lookups }: Usage): PendingEvidence {
  const [, client = '', slotMs = '', pod = ''] = field.split('|');
  const slash = pod.indexOf('/');
  const evidence = { client, slotMs: Number(slotMs), firstSeenMs, lastSeenMs, lookups };
  return slash < 0 ? evidence : { ...evidence, pod: { namespace: pod.slice(0, slash), name: pod.slice(slash + 1) } };
}

function readWorkload(field: string, { firstSeenMs, lastSeenMs, lookups }: Usage): WorkloadEvidence {
  const [, attribution, namespace = '', kind = '', name = ''] = field.split('|');
  // Written by workloadField only.
  return { workload: { namespace, kind, name }, attribution: attribution as Attribution, firstSeenMs, lastSeenMs, lookups }; // prettier-ignore
}
