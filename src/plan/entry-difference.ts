import type { ServiceEntry } from '../istio/service-entry.js';
import type { UpdateReason } from './service-entry-plan.js';

/**
 * What differs between an entry as it is and as it should be; `undefined` when nothing that is written differs.
 *
 * Labels of others beside ours, annotations and the status do not count: whoever set them did not touch what we wrote.
 */
export function entryDifference(current: ServiceEntry, wanted: ServiceEntry): UpdateReason | undefined {
  if (!isSame(current.spec, wanted.spec)) return 'spec-differs';
  const { labels = {} } = current.metadata;
  const wantedLabels = wanted.metadata.labels ?? {};
  for (const key in wantedLabels) if (labels[key] !== wantedLabels[key]) return 'labels-differ';
  return current.apiVersion === wanted.apiVersion ? undefined : 'api-version-differs';
}

/** @internal Of JSON values; a field that is undefined is one that is not there. Asked for every entry in every run, so it makes nothing. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [a, b] = [one as Readonly<Record<string, unknown>>, other as Readonly<Record<string, unknown>>]; // by index, too
  for (const key in a) if (!isSame(a[key], b[key])) return false;
  for (const key in b) if (a[key] === undefined && b[key] !== undefined) return false;
  return true;
}
