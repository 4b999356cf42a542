import { readPending } from './evidence-fields.js';
import type { Attribution, PendingEvidence, Usage, WorkloadEvidence, WorkloadReference } from './host-record.js';

/** The evidence of one host. */
export interface HostEvidence {
  readonly workloads: WorkloadEvidence[];
  readonly pending: PendingEvidence[];
}

/** How Redis has attributions and common kinds; short, as there is one of them for each host and workload. */
const ATTRIBUTION_LETTERS = { exact: 'x', node: 'n', unknown: 'u' } as const satisfies Readonly<
  Record<Attribution, string>
>;

/** No kind of Kubernetes has a single letter. */
const KIND_LETTERS: Readonly<Record<string, string>> = {
  Address: 'A',
  CronJob: 'C',
  DaemonSet: 'M',
  Deployment: 'D',
  Job: 'J',
  Node: 'N',
  Pod: 'P',
  StatefulSet: 'S',
};

const ATTRIBUTIONS = invert(ATTRIBUTION_LETTERS);
const KINDS = invert(KIND_LETTERS);

function invert(letters: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(letters).map(([word, letter]) => [letter, word]));
}

/** `<letter>|<namespace>|<kind or its letter>|<name>`, {@link workloadField} in short. */
export function shortWorkloadField({ namespace, kind, name }: WorkloadReference, attribution: Attribution): string {
  return `${ATTRIBUTION_LETTERS[attribution]}|${namespace}|${KIND_LETTERS[kind] ?? kind}|${name}`;
}

/** Adds what a row of a host's hashes says; see redis-host.ts. */
export function readRow(field: string, value: string, to: HostEvidence): void {
  const usage = readUsage(value);
  if (field.startsWith('p|')) {
    to.pending.push(readPending(field, usage));
    return;
  }
  const [letter = '', namespace = '', kind = '', name = ''] = field.split('|');
  to.workloads.push({
    workload: { namespace, kind: KINDS.get(kind) ?? kind, name },
    attribution: (ATTRIBUTIONS.get(letter) ?? 'unknown') as Attribution, // its keys
    firstSeenMs: usage.firstSeenMs,
    lastSeenMs: usage.lastSeenMs,
    lookups: usage.lookups,
  });
}

/** `<first> <span> <lookups>`, to the base of 36; what may follow is passed over. */
export function readUsage(text: string): Usage {
  const [first = '0', span = '0', lookups = '0'] = text.split(' ', 3);
  const firstSeenMs = Number.parseInt(first, 36);
  return {
    firstSeenMs,
    lastSeenMs: firstSeenMs + Number.parseInt(span, 36),
    lookups: Number.parseInt(lookups, 36),
  };
}

export function writeUsage({ firstSeenMs, lastSeenMs, lookups }: Usage): string {
  return `${firstSeenMs.toString(36)} ${(lastSeenMs - firstSeenMs).toString(36)} ${lookups.toString(36)}`;
}
