import type { HostRecord, HostState, PendingEvidence } from '../host/host-record.js';
import type { EvidenceAttribution, HostStore, HostTransition } from '../host/host-store.js';
import { nextTransition, type LifecycleSettings } from '../host/lifecycle.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { planServiceEntries } from '../plan/plan-service-entries.js';
import type { PlanPolicy, ServiceEntryPlan } from '../plan/service-entry-plan.js';
import type { PodIndex } from '../workload/pod-index.js';
import { attributeEvidence } from '../workload/attribute-evidence.js';
import { desiredEntries, isUnwanted, type EntrySettings, type RefusedEntry } from './desired-entries.js';
import type { ServiceEntrySink, SinkFailure, SinkResult } from './sink.js';

export interface ReconcileSettings extends EntrySettings {
  readonly lifecycle: LifecycleSettings;
  readonly policy: PlanPolicy;
  /** How long evidence waits for the API server to know the client's address. */
  readonly graceMs: number;
}

export interface ReconcileInput {
  readonly store: HostStore;
  readonly sink: ServiceEntrySink;
  readonly index: PodIndex;
  readonly settings: ReconcileSettings;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** What a run did and what it left. */
export interface ReconcileStatus {
  readonly atMs: number;
  readonly hosts: Readonly<Partial<Record<HostState, number>>>;
  /** Pieces of evidence that wait for the API server to know their client. */
  readonly waiting: number;
  /** Entries that cannot be. */
  readonly refused: readonly RefusedEntry[];
  readonly plan: ServiceEntryPlan;
  readonly result: SinkResult;
}

/**
 * One run: attribute what is new, move hosts along their life, plan, carry out. Works from what the store, the pods and
 * the sink hold now, not from what happened since the last run.
 *
 * @throws what a read throws: then nothing was planned.
 */
export async function reconcileOnce(input: ReconcileInput): Promise<ReconcileStatus> {
  const { store, sink, settings, nowMs, signal } = input;
  // First what needs no cluster: while it is away, or without Istio, learning goes on.
  const waiting = await attributePending(input);
  await advance(store, settings.lifecycle, nowMs);
  const { entries, namespaces, apiVersion = settings.apiVersion } = await sink.read(signal);
  const { records, desired, unwanted, refused } = await collectHosts(store, { ...settings, apiVersion });
  const plan = planServiceEntries({
    current: entries,
    desired: settings.lifecycle.policy === 'observe' ? [] : desired,
    unwanted: settings.lifecycle.policy === 'observe' ? [] : unwanted,
    ...(namespaces === undefined ? {} : { namespaces }),
    policy: settings.policy,
  });
  const result = await sink.apply(plan, signal);
  await store.transition(appliedHosts(records, plan, result, nowMs));
  return { atMs: nowMs, hosts: countStates(records), waiting, refused, plan, result };
}

interface Hosts {
  readonly records: readonly HostRecord[];
  readonly desired: readonly ServiceEntry[];
  readonly unwanted: readonly string[];
  readonly refused: readonly RefusedEntry[];
}

async function collectHosts(store: HostStore, settings: EntrySettings): Promise<Hosts> {
  const records: HostRecord[] = [];
  const desired: ServiceEntry[] = [];
  const unwanted: string[] = [];
  const refused: RefusedEntry[] = [];
  for await (const record of store.list()) {
    records.push(record);
    const wanted = desiredEntries(record, settings);
    desired.push(...wanted.entries);
    refused.push(...wanted.refused);
    if (isUnwanted(record)) unwanted.push(record.hostname);
  }
  return { records, desired, unwanted, refused };
}

/** Attributes pending evidence where the pods are known; returns how many pieces have to wait. */
async function attributePending({ store, index, settings, nowMs }: ReconcileInput): Promise<number> {
  let waiting = 0;
  let attributions: EvidenceAttribution[] = [];
  const attribute = ({ hostname }: HostRecord, evidence: PendingEvidence): void => {
    const found = attributeEvidence({ evidence, index, nowMs, graceMs: settings.graceMs });
    if (found === 'wait') waiting++;
    else attributions.push({ hostname, evidence, ...found });
  };
  for await (const record of store.list()) {
    for (const evidence of record.pending) attribute(record, evidence);
    if (attributions.length < MAX_CALL_ITEMS) continue;
    await store.attribute(attributions);
    attributions = [];
  }
  await store.attribute(attributions);
  return waiting;
}

/** Attributions and transitions handed to the store at a time. */
const MAX_CALL_ITEMS = 500;

/** Each host goes as far as time and policy allow; every step is stored. */
async function advance(store: HostStore, lifecycle: LifecycleSettings, nowMs: number): Promise<void> {
  let steps: HostTransition[] = [];
  for await (const record of store.list()) {
    let { state } = record;
    for (let step = nextTransition(record, lifecycle, nowMs); step !== undefined;) {
      steps.push(step);
      state = step.to;
      step = nextTransition({ ...record, state }, lifecycle, nowMs);
    }
    if (steps.length < MAX_CALL_ITEMS) continue;
    await store.transition(steps);
    steps = [];
  }
  await store.transition(steps);
}

/** Hosts that have an entry now and are not marked as applied. */
function appliedHosts(
  records: readonly HostRecord[],
  plan: ServiceEntryPlan,
  { created, updated, failures }: SinkResult,
  nowMs: number,
): readonly HostTransition[] {
  const there = new Set(
    [...created, ...updated, ...plan.keep.map(({ current }) => current)].flatMap(({ spec }) => spec.hosts),
  );
  const failed = new Set(failures.map(({ host }: SinkFailure) => host));
  return records
    .filter(({ hostname, state }) => state === 'approved' && there.has(hostname) && !failed.has(hostname))
    .map(({ hostname }) => ({ hostname, from: 'approved', to: 'applied', reason: 'written', atMs: nowMs }));
}

function countStates(records: readonly HostRecord[]): ReconcileStatus['hosts'] {
  const counts: Partial<Record<HostState, number>> = {};
  for (const { state } of records) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}
