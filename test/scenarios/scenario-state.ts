import type { HostRecord, WorkloadReference } from '../../src/host/host-record.js';
import type { HostStore } from '../../src/host/host-store.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import type { ServiceEntrySink } from '../../src/reconciler/sink.js';
import type { Expectation } from './scenario-schema.js';

/** Both sides in the same shape, so that a test runner's difference reads well. */
export interface Comparison {
  readonly expected: object;
  readonly actual: object;
}

export interface StateSource {
  readonly store: HostStore;
  readonly sink: ServiceEntrySink;
  readonly startMs: number;
}

type ExpectedHost = Expectation['hosts'][string];

/** Hosts and reasons are compared whole; of a host, its state, its workloads and whatever else is stated. */
export async function compareState(expected: Expectation, source: StateSource): Promise<Comparison> {
  const hosts: Record<string, object> = {};
  for await (const record of source.store.list()) {
    hosts[record.hostname] = viewHost(record, expected.hosts[record.hostname], source.startMs);
  }
  const rejected: Record<string, object | number> = {};
  for (const { reason, responses, examples } of await source.store.rejections()) {
    rejected[reason] = typeof expected.rejected[reason] === 'object' ? { responses, examples } : responses;
  }
  const { entries } = await source.sink.read(new AbortController().signal);
  return {
    expected: { ...expected },
    actual: {
      hosts,
      rejected,
      ...(expected.entries && { entries: entries.flatMap(placesOf).sort() }),
      ...(expected.entryPorts && { entryPorts: Object.fromEntries(entries.flatMap(portsOf)) }),
    },
  };
}

function viewHost(record: HostRecord, stated: ExpectedHost | undefined, startMs: number): object {
  const all: Required<ExpectedHost> = {
    state: record.state,
    workloads: viewWorkloads(record),
    reason: record.reason,
    addresses: [...record.addresses],
    cnames: [...record.cnames],
    askedAs: record.askedAs ?? '',
    ttl: [record.ttlSeconds.min, record.ttlSeconds.max],
    seen: [record.firstSeenMs - startMs, record.lastSeenMs - startMs],
    lookups: record.lookups,
    flags: record.flags.filter(({ untilMs }) => untilMs === undefined).map(({ name }) => name),
    ports: record.ports.map(({ number, protocol, reason }) => `${number}/${protocol}: ${reason}`),
    decisions: record.decisions.map(({ kind, by, why }) => `${kind} by ${by}: ${why}`),
    children: record.children.length,
    history: record.transitions.map(({ state, reason }) => `${state}: ${reason}`),
  };
  const shown = new Set(['state', 'workloads', ...Object.keys(stated ?? {})]);
  return Object.fromEntries(Object.entries(all).filter(([key]) => shown.has(key)));
}

function viewWorkloads({ workloads, pending }: HostRecord): Record<string, number> {
  const lookups: Record<string, number> = {};
  for (const { attribution, workload, lookups: count } of workloads) {
    lookups[`${attribution} ${viewReference(workload)}`] = count;
  }
  for (const { client, lookups: count } of pending) {
    const key = `unknown /Pending/${client}`;
    lookups[key] = (lookups[key] ?? 0) + count;
  }
  return lookups;
}

function viewReference({ namespace, kind, name }: WorkloadReference): string {
  return `${namespace}/${kind}/${name}`;
}

function placesOf({ metadata, spec }: ServiceEntry): readonly string[] {
  return spec.hosts.map((host) => `${metadata.namespace}/${host}`);
}

function portsOf(entry: ServiceEntry): readonly (readonly [place: string, ports: readonly string[]])[] {
  const ports = (entry.spec.ports ?? []).toSorted((a, b) => a.number - b.number);
  const texts = ports.map(({ number, protocol }) => `${number}/${protocol ?? ''}`);
  return placesOf(entry).map((place) => [place, texts]);
}
