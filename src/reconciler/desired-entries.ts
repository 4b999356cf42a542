import type { HostRecord } from '../host/host-record.js';
import { firstRule, type HostRule } from '../host/host-rule.js';
import { buildServiceEntry, type ServiceEntryRequest } from '../istio/build-service-entry.js';
import { decidePorts, type PortEvidence, type WithheldPort } from '../istio/decide-ports.js';
import { IstioError } from '../istio/istio-error.js';
import type { SpecialHost } from '../istio/special-host.js';
import {
  DEFAULT_PORTS,
  type PortSpec,
  type ServiceEntry,
  type ServiceEntryApiVersion,
} from '../istio/service-entry.js';

/**
 * Where the entries of a host go.
 *
 * - `namespace`: one into each namespace that uses the host.
 * - `central`: one into a namespace of its own, exported by name to those that use the host. The Sidecars of these have to
 *   import that namespace.
 * - `classic`: as istio-discovery did in 2019: one into the namespace `default`, with 443/HTTPS and 80/HTTP, for everybody.
 */
export type EntryMode = 'namespace' | 'central' | 'classic';

export interface EntrySettings {
  readonly owner: string;
  /** `exportTo` of an entry; in the mode `central` only `*` counts, in place of the names. */
  readonly exportTo: readonly string[];
  /** Stands for the namespace of a client that is no known pod. */
  readonly defaultNamespace: string;
  readonly apiVersion: ServiceEntryApiVersion;
  /** @defaultValue namespace */
  readonly mode?: EntryMode;
  /** Namespace of all entries in the mode `central`. @defaultValue istio-system */
  readonly centralNamespace?: string;
  /** Ports of a host of which nothing else is known. @defaultValue 80/HTTP and 443/TLS */
  readonly ports?: readonly PortSpec[];
  /** Hosts with an entry of another kind, by name: their ports are theirs alone. @defaultValue none */
  readonly specialHosts?: ReadonlyMap<string, SpecialHost>;
  /** Those about ports and namespaces count here. @defaultValue none */
  readonly rules?: readonly HostRule[];
}

const WANTED_STATES: ReadonlySet<string> = new Set(['approved', 'applied', 'stale']);
const DEFAULT_CENTRAL_NAMESPACE = 'istio-system';
const CLASSIC_NAMESPACE = 'default';
const CLASSIC_PORTS: readonly PortSpec[] = [
  { number: 443, protocol: 'HTTPS' },
  { number: 80, protocol: 'HTTP' },
];

/** An entry that cannot be: a namespace that CoreDNS named but that is none, say. */
export interface RefusedEntry {
  readonly hostname: string;
  readonly namespace: string;
  readonly code: string;
}

/** Ports of a host that are known and not declared. */
export interface WithheldPorts {
  readonly hostname: string;
  readonly ports: readonly WithheldPort[];
}

export interface DesiredEntries {
  readonly entries: readonly ServiceEntry[];
  readonly refused: readonly RefusedEntry[];
  readonly withheld: readonly WithheldPorts[];
}

/**
 * The entries that a host should have, for each namespace from which a workload used it, and for the default namespace if
 * a client was seen that is no known pod, or for those of a rule. Evidence that still waits for the API server to know the
 * pod asks for nothing yet. An entry that cannot be costs that entry, not the run.
 */
export function desiredEntries(record: HostRecord, settings: EntrySettings): DesiredEntries {
  const { hostname } = record;
  const users = usersOf(record, settings);
  if (!WANTED_STATES.has(record.state) || users.length === 0) return { entries: [], refused: [], withheld: [] };
  const special = settings.specialHosts?.get(hostname);
  const { ports, withheld } =
    special === undefined
      ? decidePorts(portEvidence(record, settings), defaultPorts(settings))
      : { ports: special.ports, withheld: [] };
  const common = { owner: settings.owner, apiVersion: settings.apiVersion, ports, ...special, hostname };
  const entries: ServiceEntry[] = [];
  const refused: RefusedEntry[] = [];
  for (const request of placesOf(users, settings).map((place): ServiceEntryRequest => ({ ...common, ...place }))) {
    try {
      entries.push(buildServiceEntry(request));
    } catch (err) {
      if (!(err instanceof IstioError) || !OF_THE_HOST.has(err.code)) throw err;
      refused.push({ hostname, namespace: request.namespace, code: err.code });
    }
  }
  return { entries, refused, withheld: withheld.length === 0 ? [] : [{ hostname, ports: withheld }] };
}

/** What comes from outside; every other refusal is one of a setting and concerns all entries. */
const OF_THE_HOST: ReadonlySet<string> = new Set(['ISTIO_ERR_NAMESPACE', 'ISTIO_ERR_HOST', 'ISTIO_ERR_PORTS']);

/** Namespaces that use the host, or those of a rule; sorted. */
function usersOf(
  { hostname, workloads }: HostRecord,
  { defaultNamespace, rules = [] }: EntrySettings,
): readonly string[] {
  const rule = firstRule(rules, hostname, ['namespace']);
  const users = workloads.map(({ workload, attribution }) =>
    attribution === 'exact' ? workload.namespace : defaultNamespace,
  );
  return [...new Set(rule?.action === 'namespace' ? rule.namespaces : users)].sort();
}

function portEvidence({ hostname, ports }: HostRecord, { rules = [] }: EntrySettings): readonly PortEvidence[] {
  const rule = firstRule(rules, hostname, ['port']);
  const [evidence, isOrdered] = rule?.action === 'port' ? [rule.ports, true] : [ports, false];
  return evidence.map(({ number, protocol }) => ({ number, protocol, isOrdered }));
}

interface Place {
  readonly namespace: string;
  readonly exportTo: readonly string[];
}

function placesOf(users: readonly string[], settings: EntrySettings): readonly Place[] {
  const { mode = 'namespace', exportTo, centralNamespace: namespace = DEFAULT_CENTRAL_NAMESPACE } = settings;
  if (mode === 'classic') return [{ namespace: CLASSIC_NAMESPACE, exportTo: ['*'] }];
  if (mode === 'central') return [{ namespace, exportTo: exportTo.includes('*') ? ['*'] : users }];
  return users.map((user) => ({ namespace: user, exportTo }));
}

function defaultPorts({ mode, ports = DEFAULT_PORTS }: EntrySettings): readonly PortSpec[] {
  return mode === 'classic' ? CLASSIC_PORTS : ports;
}

/** What a plan is asked for, of all hosts. */
export interface WantedEntries {
  readonly desired: readonly ServiceEntry[];
  /** Hosts that were decided against: their entries go. */
  readonly unwanted: readonly string[];
  /** When that was (Unix milliseconds). */
  readonly unwantedSinceMs: ReadonlyMap<string, number>;
  readonly refused: readonly RefusedEntry[];
  readonly withheld: readonly WithheldPorts[];
}

const UNWANTED_STATES: ReadonlySet<string> = new Set(['ignored', 'quarantined', 'retired']);

export function wantedEntries(records: readonly HostRecord[], settings: EntrySettings): WantedEntries {
  const desired: ServiceEntry[] = [];
  const refused: RefusedEntry[] = [];
  const withheld: WithheldPorts[] = [];
  const unwantedSinceMs = new Map<string, number>();
  for (const record of records) {
    const wanted = desiredEntries(record, settings);
    desired.push(...wanted.entries);
    refused.push(...wanted.refused);
    withheld.push(...wanted.withheld);
    if (UNWANTED_STATES.has(record.state)) unwantedSinceMs.set(record.hostname, stateSinceMs(record));
  }
  return { desired, unwanted: [...unwantedSinceMs.keys()], unwantedSinceMs, refused, withheld };
}

/** When a host came into its state (Unix milliseconds). */
function stateSinceMs({ transitions, state, firstSeenMs }: HostRecord): number {
  return transitions.findLast((transition) => transition.state === state)?.atMs ?? firstSeenMs;
}
