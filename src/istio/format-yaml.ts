import { stringify } from 'yaml';
import type { ServiceEntry } from './service-entry.js';

/**
 * Formats an entry as one YAML document for `kubectl apply`: keys in the order in which people write them, only what was
 * built (nothing that an API server adds), the same bytes for the same entry, a line feed at the end.
 *
 * Strings that a YAML 1.1 reader such as kubectl would take for a boolean, a number or a date are quoted.
 */
export function formatServiceEntry(entry: ServiceEntry): string {
  const { metadata, spec } = entry;
  const document = {
    apiVersion: entry.apiVersion,
    kind: entry.kind,
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace,
      ...(metadata.labels && { labels: sortKeys(metadata.labels) }),
    },
    spec: {
      hosts: spec.hosts,
      ...(spec.addresses && { addresses: spec.addresses }),
      ...(spec.exportTo && { exportTo: spec.exportTo }),
      ...(spec.location && { location: spec.location }),
      ...(spec.resolution && { resolution: spec.resolution }),
      ...(spec.ports && { ports: spec.ports }),
    },
  };
  return stringify(document, { compat: 'yaml-1.1', aliasDuplicateObjects: false, lineWidth: 0 });
}

function sortKeys(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
