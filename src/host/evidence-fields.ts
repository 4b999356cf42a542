import type { Attribution, PendingEvidence, WorkloadEvidence, WorkloadReference } from './host-record.js';

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
  readonly usage: { readonly firstSeenMs: number; readonly lastSeenMs: number; readonly lookups: number };
}

/** Sorts rows into what waits and what is attributed. Fields of other kinds are passed over. */
export function readEvidence(rows: readonly EvidenceRow[]): {
  readonly pending: readonly PendingEvidence[];
  readonly workloads: readonly WorkloadEvidence[];
} {
  const pending: PendingEvidence[] = [];
  const workloads: WorkloadEvidence[] = [];
  for (const { field, usage } of rows) {
    const [kind, ...parts] = field.split('|');
    if (kind === 'p') pending.push({ ...readPending(parts), ...usage });
    if (kind === 'w') workloads.push({ ...readWorkload(parts), ...usage });
  }
  return { pending, workloads };
}

function readPending([client = '', slotMs = '', pod = '']: readonly string[]): Omit<
  PendingEvidence,
  keyof EvidenceRow['usage']
> {
  const slash = pod.indexOf('/');
  return {
    client,
    slotMs: Number(slotMs),
    ...(slash < 0 ? {} : { pod: { namespace: pod.slice(0, slash), name: pod.slice(slash + 1) } }),
  };
}

function readWorkload([attribution, namespace = '', kind = '', name = '']: readonly string[]): Omit<
  WorkloadEvidence,
  keyof EvidenceRow['usage']
> {
  // Written by workloadField only.
  return { attribution: attribution as Attribution, workload: { namespace, kind, name } };
}
