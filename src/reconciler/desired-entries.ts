import type { HostRecord } from '../host/host-record.js';
import { buildServiceEntry } from '../istio/build-service-entry.js';
import type { ServiceEntry, ServiceEntryApiVersion } from '../istio/service-entry.js';

export interface EntrySettings {
  readonly owner: string;
  readonly exportTo: readonly string[];
  /** Takes the entries of hosts whose client is no known pod. */
  readonly defaultNamespace: string;
  readonly apiVersion: ServiceEntryApiVersion;
}

const WANTED_STATES: ReadonlySet<string> = new Set(['approved', 'applied', 'stale']);

/**
 * The entries that a host should have: one in each namespace from which a workload used it, and one in the default
 * namespace if a client was seen that is no known pod. Evidence that still waits for the API server to know the pod asks
 * for nothing yet.
 */
export function desiredEntries(record: HostRecord, settings: EntrySettings): readonly ServiceEntry[] {
  if (!WANTED_STATES.has(record.state)) return [];
  const namespaces = record.workloads.map(({ workload, attribution }) =>
    attribution === 'exact' ? workload.namespace : settings.defaultNamespace,
  );
  return [...new Set(namespaces)].sort().map((namespace) =>
    buildServiceEntry({
      hostname: record.hostname,
      namespace,
      owner: settings.owner,
      exportTo: settings.exportTo,
      apiVersion: settings.apiVersion,
    }),
  );
}

/** Hosts that a person decided against: their entries go. */
export function isUnwanted(record: HostRecord): boolean {
  return record.state === 'ignored' || record.state === 'quarantined' || record.state === 'retired';
}
