import type { HostRecord } from '../host/host-record.js';
import { buildServiceEntry } from '../istio/build-service-entry.js';
import { IstioError } from '../istio/istio-error.js';
import type { ServiceEntry, ServiceEntryApiVersion } from '../istio/service-entry.js';

export interface EntrySettings {
  readonly owner: string;
  readonly exportTo: readonly string[];
  /** Takes the entries of hosts whose client is no known pod. */
  readonly defaultNamespace: string;
  readonly apiVersion: ServiceEntryApiVersion;
}

const WANTED_STATES: ReadonlySet<string> = new Set(['approved', 'applied', 'stale']);

/** An entry that cannot be: a namespace that CoreDNS named but that is none, say. */
export interface RefusedEntry {
  readonly hostname: string;
  readonly namespace: string;
  readonly code: string;
}

export interface DesiredEntries {
  readonly entries: readonly ServiceEntry[];
  readonly refused: readonly RefusedEntry[];
}

/**
 * The entries that a host should have: one in each namespace from which a workload used it, and one in the default
 * namespace if a client was seen that is no known pod. Evidence that still waits for the API server to know the pod asks
 * for nothing yet. A namespace in which no entry can be costs that entry, not the run.
 */
export function desiredEntries(record: HostRecord, settings: EntrySettings): DesiredEntries {
  const entries: ServiceEntry[] = [];
  const refused: RefusedEntry[] = [];
  if (!WANTED_STATES.has(record.state)) return { entries, refused };
  const namespaces = record.workloads.map(({ workload, attribution }) =>
    attribution === 'exact' ? workload.namespace : settings.defaultNamespace,
  );
  const { hostname } = record;
  const { owner, exportTo, apiVersion } = settings;
  for (const namespace of [...new Set(namespaces)].sort()) {
    try {
      entries.push(buildServiceEntry({ hostname, namespace, owner, exportTo, apiVersion }));
    } catch (err) {
      // Only the namespace comes from outside; every other refusal is one of a setting and concerns all entries.
      if (!(err instanceof IstioError) || err.code !== 'ISTIO_ERR_NAMESPACE') throw err;
      refused.push({ hostname, namespace, code: err.code });
    }
  }
  return { entries, refused };
}

/** Hosts that a person decided against: their entries go. */
export function isUnwanted(record: HostRecord): boolean {
  return record.state === 'ignored' || record.state === 'quarantined' || record.state === 'retired';
}
