import { IstioError } from './istio-error.js';
import type { ServiceEntry } from './service-entry.js';

/** Field manager of every server-side apply, and the value of the `managed-by` label. */
export const FIELD_MANAGER = 'istio-discovery';
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
/** Which installation wrote an entry. Entries of another installation are foreign. */
export const OWNER_LABEL = 'istio-discovery.io/owner';

const LABEL_VALUE = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/i; // Kubernetes: at most 63 characters

/**
 * Labels of every entry of an installation, constant for the entry's life: a change of labels is a push to every proxy in
 * scope and can end the merging of entries.
 *
 * @throws IstioError ISTIO_ERR_OWNER when the owner is no label value
 */
export function ownerLabels(owner: string): Readonly<Record<string, string>> {
  if (!LABEL_VALUE.test(owner)) {
    throw new IstioError('ISTIO_ERR_OWNER', `owner ${JSON.stringify(owner)} is no Kubernetes label value`);
  }
  return { [MANAGED_BY_LABEL]: FIELD_MANAGER, [OWNER_LABEL]: owner };
}

/**
 * Whether this installation wrote the entry: both labels say so and, in an object that an API server holds, our field
 * manager is among its managed fields. A label alone can be copied with an object that a person took over, and managed
 * fields can be cleared. A file has none.
 */
export function isOwned({ metadata }: ServiceEntry, owner: string): boolean {
  const { labels, managedFields, uid } = metadata;
  if (labels?.[MANAGED_BY_LABEL] !== FIELD_MANAGER || labels[OWNER_LABEL] !== owner) return false;
  if (managedFields === undefined) return uid === undefined;
  return managedFields.some((fields) => fields.manager === FIELD_MANAGER);
}

/**
 * Field managers other than ours that set something in `spec`, sorted: somebody edited the object. istiod writes only the
 * status.
 */
export function otherSpecManagers(entry: ServiceEntry): readonly string[] {
  const others = (entry.metadata.managedFields ?? [])
    .filter((fields) => fields.subresource === undefined && fields.fieldsV1?.['f:spec'] !== undefined)
    .map((fields) => fields.manager ?? '')
    .filter((manager) => manager !== FIELD_MANAGER);
  return [...new Set(others)].sort();
}
