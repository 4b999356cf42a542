import type { SeenCluster, SeenEntries, SeenEntry } from './host-store.js';

/** Field of the cluster; those of entries have a slash. */
export const CLUSTER_FIELD = 'cluster';

export function seenField({ namespace, name }: Pick<SeenEntry, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

/** In order of namespace, then name, by code unit. */
export function sortSeen(entries: readonly SeenEntry[]): readonly SeenEntry[] {
  return entries.toSorted((a, b) => (seenField(a) < seenField(b) ? -1 : 1));
}

/** Text of a field of Redis. */
export function formatSeen({ host, namespaceUid = '', missingSinceMs = 0 }: SeenEntry): string {
  return JSON.stringify([host, namespaceUid, missingSinceMs]);
}

/** Reads what {@link formatSeen} has written, with its fields, and the cluster as JSON. */
export function readSeen(hash: Readonly<Record<string, string>>): SeenEntries {
  const { [CLUSTER_FIELD]: cluster, ...fields } = hash;
  const entries = Object.entries(fields).map(([field, text]): SeenEntry => {
    const slash = field.indexOf('/');
    const [host, namespaceUid, missingSinceMs] = JSON.parse(text) as [string, string, number]; // by formatSeen()
    return {
      namespace: field.slice(0, slash),
      name: field.slice(slash + 1),
      host,
      ...(namespaceUid !== '' && { namespaceUid }),
      ...(missingSinceMs !== 0 && { missingSinceMs }),
    };
  });
  return {
    ...(cluster !== undefined && { cluster: JSON.parse(cluster) as SeenCluster }), // by noteSeen()
    entries: sortSeen(entries),
  };
}
