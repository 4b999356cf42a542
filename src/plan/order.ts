import type { ServiceEntry } from '../istio/service-entry.js';

/** `namespace/name`; a namespace has no slash. */
export function keyOf({ metadata }: ServiceEntry): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** `namespace/host` of an entry's only host. */
export function hostKeyOf({ metadata, spec }: ServiceEntry): string {
  return `${metadata.namespace}/${spec.hosts[0] ?? ''}`;
}

/**
 * Sorted by code unit, so that the locale of the process does not matter; items of one key by all that is in them, so that
 * their order does not matter either.
 */
export function sortByKey<T>(items: readonly T[], keyOfItem: (item: T) => string): readonly T[] {
  return items
    .map((item) => ({ item, key: keyOfItem(item) }))
    .sort((a, b) => compareTexts(a.key, b.key) || compareTexts(JSON.stringify(a.item), JSON.stringify(b.item)))
    .map(({ item }) => item);
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Adds to the list of a key. */
export function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
