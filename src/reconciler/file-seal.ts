import { createHash } from 'node:crypto';
import { FIELD_MANAGER } from '../istio/ownership.js';
import type { ServiceEntry } from '../istio/service-entry.js';

const SEAL = /^# istio-discovery (?<digest>[0-9a-f]{16})\b/m;

/** What stands in place of a field manager where somebody edited the file of an entry. */
const EDITOR = 'edited-file';

/** The line that says as what the `spec` was written. How it is laid out does not matter. */
export function sealOf(spec: unknown): string {
  return `# istio-discovery ${digestOf(spec)}: once its spec is edited, this file is left alone\n`;
}

/**
 * An entry as it was read from a file: with another one beside us among its field managers if its `spec` is not the one
 * that was written. A file without the line was written before there was one.
 */
export function withEditor(entry: ServiceEntry, text: string): ServiceEntry {
  const digest = SEAL.exec(text)?.groups?.['digest'];
  if (digest === undefined || digest === digestOf(entry.spec)) return entry;
  const managedFields = [{ manager: FIELD_MANAGER }, { manager: EDITOR, fieldsV1: { 'f:spec': {} } }];
  return { ...entry, metadata: { ...entry.metadata, managedFields } };
}

function digestOf(spec: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(spec)))
    .digest('hex')
    .slice(0, 16);
}

/** The same with the keys of its objects in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([key, item]) => [key, sorted(item)]));
}
