/** What every object of the API has, and whatever else it has. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: KubernetesMetadata;
  readonly [field: string]: unknown;
}

export interface KubernetesMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly deletionTimestamp?: string;
  readonly [field: string]: unknown;
}

/** A resource of the API; the core group is the empty text. */
export interface KubernetesResource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

export interface ResourceLocation {
  readonly namespace?: string;
  readonly name?: string;
}

/** Path of a resource's collection or of one object. */
export function resourcePath(resource: KubernetesResource, { namespace, name }: ResourceLocation = {}): string {
  const { group, version, plural } = resource;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const inNamespace = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${inNamespace}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** @internal Whether a value of the API is an object with metadata. */
export function isKubernetesObject(value: unknown): value is KubernetesObject {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const { metadata } = value;
  return typeof metadata === 'object' && metadata !== null;
}
