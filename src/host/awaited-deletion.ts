import type { AwaitedDeletion } from './host-store.js';

/** In order of namespace, then name, by code unit. */
export function sortDeletions(deletions: readonly AwaitedDeletion[]): readonly AwaitedDeletion[] {
  const keyOf = ({ namespace, name }: AwaitedDeletion): string => `${namespace}/${name}`;
  return deletions.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Reads a field of Redis, `namespace/name` and `[reason, sinceMs, plans]`; what is no such field is passed over. */
export function readDeletion(field: string, text: string): readonly AwaitedDeletion[] {
  const slash = field.indexOf('/');
  const values = JSON.parse(text) as unknown; // written by this program only, and checked below
  if (slash === -1 || !Array.isArray(values)) return [];
  const [reason, sinceMs, plans] = values as readonly unknown[];
  if (typeof reason !== 'string' || typeof sinceMs !== 'number' || typeof plans !== 'number') return [];
  return [{ namespace: field.slice(0, slash), name: field.slice(slash + 1), reason, sinceMs, plans }];
}
