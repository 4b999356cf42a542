import { isDeepStrictEqual } from 'node:util';
import { formatServiceEntry } from '../istio/format-yaml.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import type { ServiceEntryPlan } from '../plan/service-entry-plan.js';

/** One change of a plan, in words. */
export interface EntryChange {
  readonly kind: 'create' | 'update' | 'delete';
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly reason: string;
  /** Of an update: the fields that differ. */
  readonly fields: readonly { readonly path: string; readonly from: unknown; readonly to: unknown }[];
  /** As YAML; absent where there is nothing. */
  readonly before?: string;
  readonly after?: string;
}

/** The changes of a plan, creates first, each list sorted by namespace and name. */
export function describeChanges(plan: ServiceEntryPlan): readonly EntryChange[] {
  return [
    ...plan.create.map(({ reason, entry }) => ({
      ...describe('create', reason, entry),
      after: formatServiceEntry(entry),
    })),
    ...plan.update.map(({ reason, entry, current }) => ({
      ...describe('update', reason, entry),
      fields: differences(current, entry),
      before: formatServiceEntry(current),
      after: formatServiceEntry(entry),
    })),
    ...plan.delete.map(({ reason, current }) => ({
      ...describe('delete', reason, current),
      before: formatServiceEntry(current),
    })),
  ];
}

function describe(kind: EntryChange['kind'], reason: string, { metadata, spec }: ServiceEntry): EntryChange {
  const { namespace, name } = metadata;
  return { kind, namespace, name, host: spec.hosts[0] ?? '', reason, fields: [] };
}

function differences(current: ServiceEntry, wanted: ServiceEntry): EntryChange['fields'] {
  const [before, after] = [fieldsOf(current), fieldsOf(wanted)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths
    .map((path) => ({ path, from: before.get(path), to: after.get(path) }))
    .filter(({ path, from, to }) => !isDeepStrictEqual(from, to) && (after.has(path) || path.startsWith('spec.')));
}

function fieldsOf({ apiVersion, metadata, spec }: ServiceEntry): ReadonlyMap<string, unknown> {
  return new Map<string, unknown>([
    ['apiVersion', apiVersion],
    ...Object.entries(metadata.labels ?? {}).map(([label, value]) => [`metadata.labels.${label}`, value] as const),
    ...Object.entries(spec).map(([field, value]) => [`spec.${field}`, value] as const),
  ]);
}
