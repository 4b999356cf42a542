import { isDeepStrictEqual } from 'node:util';
import type { ServiceEntry } from '../istio/service-entry.js';
import type { UpdateReason } from './service-entry-plan.js';

/**
 * What differs between an entry as it is and as it should be; `undefined` when nothing that is written differs.
 *
 * Labels of others beside ours, annotations and the status do not count: whoever set them did not touch what we wrote.
 */
export function entryDifference(current: ServiceEntry, wanted: ServiceEntry): UpdateReason | undefined {
  if (!isDeepStrictEqual(withoutUnset(current.spec), withoutUnset(wanted.spec))) return 'spec-differs';
  const { labels } = current.metadata;
  const isMissing = ([key, value]: [string, string]): boolean => labels?.[key] !== value;
  if (Object.entries(wanted.metadata.labels ?? {}).some(isMissing)) return 'labels-differ';
  return current.apiVersion === wanted.apiVersion ? undefined : 'api-version-differs';
}

function withoutUnset(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
