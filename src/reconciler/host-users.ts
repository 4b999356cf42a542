import type { HostRecord } from '../host/host-record.js';

/** The namespaces that use a host, sorted; `anybody` where a user is no known pod, or where there is none yet. */
export function namespacesUsing({
  workloads,
  pending,
}: Pick<HostRecord, 'workloads' | 'pending'>): readonly string[] | 'anybody' {
  const isKnown = workloads.length > 0 && pending.length === 0;
  if (!isKnown || workloads.some(({ attribution }) => attribution !== 'exact')) return 'anybody';
  return [...new Set(workloads.map(({ workload }) => workload.namespace))].sort();
}
