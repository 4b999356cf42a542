import { buildServiceEntry, type ServiceEntryRequest } from '../../src/istio/build-service-entry.js';
import type { ServiceEntry, ServiceEntryMetadata, ServiceEntrySpec } from '../../src/istio/service-entry.js';
import type { PlanInput } from '../../src/plan/plan-input.js';
import { planServiceEntries } from '../../src/plan/plan-service-entries.js';
import type { AccountedPlan, PlanPolicy, ServiceEntryPlan } from '../../src/plan/service-entry-plan.js';
import { hostname } from '../istio/hostname.js';

/** Nothing is held back. */
export const policy: PlanPolicy = { owner: 'main', maxChanges: 1_000, maxDeletions: 1_000, maxDeletionShare: 1 };

export function wanted(
  host: string,
  namespace = 'shop',
  exportTo?: readonly string[],
  ports?: ServiceEntryRequest['ports'],
): ServiceEntry {
  const more = { ...(exportTo && { exportTo }), ...(ports && { ports }) };
  return buildServiceEntry({ hostname: hostname(host), namespace, owner: 'main', ...more });
}

export function foreign(hosts: string[], namespace = 'shop', spec: Partial<ServiceEntrySpec> = {}): ServiceEntry {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: `by-hand-${hosts.join('-').replaceAll('*', 'any')}`, namespace },
    spec: { hosts, resolution: 'DNS', ...spec },
  };
}

export function withMetadata(entry: ServiceEntry, metadata: Partial<ServiceEntryMetadata>): ServiceEntry {
  return { ...entry, metadata: { ...entry.metadata, ...metadata } };
}

export function plan(input: Partial<PlanInput>): AccountedPlan {
  return planServiceEntries({ current: [], desired: [], policy, ...input });
}

/** A plan in a few words, sorted as it is. */
export function summary(input: Partial<PlanInput>): string[] {
  const { create, update, delete: deletes, keep, skipped } = plan(input);
  return [
    ...create.map(({ entry, reason }) => `create ${entry.metadata.namespace}/${entry.metadata.name} ${reason}`),
    ...update.map(({ entry, reason }) => `update ${entry.metadata.namespace}/${entry.metadata.name} ${reason}`),
    ...deletes.map(({ current, reason }) => `delete ${current.metadata.namespace}/${current.metadata.name} ${reason}`),
    ...keep.map(({ current, reason }) => `keep ${current.metadata.namespace}/${current.metadata.name} ${reason}`),
    ...skipped.map(({ namespace, name, reason }) => `skip ${namespace}/${name} ${reason}`),
  ];
}

/** What a cluster holds after a plan was carried out. */
export function carryOut(current: readonly ServiceEntry[], planned: ServiceEntryPlan): readonly ServiceEntry[] {
  const gone = new Set([...planned.delete.map((item) => item.current), ...planned.update.map((item) => item.current)]);
  const written = [...planned.create, ...planned.update].map((item) => item.entry);
  return [...current.filter((entry) => !gone.has(entry)), ...written];
}

export const keyOf = ({ metadata }: ServiceEntry): string => `${metadata.namespace}/${metadata.name}`;
