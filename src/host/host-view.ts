import { mergeUsage } from './host-core.js';
import type { Attribution, HostFlagName, HostSummary, HostState, Usage, WorkloadEvidence } from './host-record.js';

/** A host as `hosts -o json` prints it: others script against these names. Times are ISO 8601 in UTC. */
export interface HostView {
  readonly hostname: string;
  readonly state: HostState;
  readonly reason: string;
  /** Those that hold now. */
  readonly flags: readonly HostFlagName[];
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly lookups: number;
  readonly addresses: readonly string[];
  readonly workloads: readonly WorkloadView[];
}

export interface WorkloadView {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly attribution: Attribution;
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly lookups: number;
}

/** Evidence that nobody has attributed yet shows as of an unknown workload, by its client address. */
export function viewHost(record: HostSummary): HostView {
  return {
    hostname: record.hostname,
    state: record.state,
    reason: record.reason,
    flags: record.flags.filter(({ untilMs }) => untilMs === undefined).map(({ name }) => name),
    ...viewUsage(record),
    addresses: record.addresses,
    workloads: allEvidence(record).map(({ workload, attribution, ...usage }) => ({
      namespace: workload.namespace,
      kind: workload.kind,
      name: workload.name,
      attribution,
      ...viewUsage(usage),
    })),
  };
}

/** The evidence of a host; what is not attributed yet as of its client's address. */
export function allEvidence({ workloads, pending }: HostSummary): readonly WorkloadEvidence[] {
  const unknown = new Map<string, Usage>();
  const known: WorkloadEvidence[] = [];
  for (const evidence of workloads) {
    if (evidence.attribution === 'unknown') unknown.set(evidence.workload.name, mergeUsage(undefined, evidence));
    else known.push(evidence);
  }
  for (const evidence of pending) {
    unknown.set(evidence.client, mergeUsage(unknown.get(evidence.client), evidence));
  }
  const byAddress = [...unknown].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...byAddress.map(([name, usage]): WorkloadEvidence => ({
      workload: { namespace: '', kind: 'Address', name },
      attribution: 'unknown',
      ...usage,
    })),
    ...known,
  ];
}

function viewUsage({ firstSeenMs, lastSeenMs, lookups }: Usage): {
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly lookups: number;
} {
  return { firstSeen: new Date(firstSeenMs).toISOString(), lastSeen: new Date(lastSeenMs).toISOString(), lookups };
}
