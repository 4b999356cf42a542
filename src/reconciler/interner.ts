import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';

const MAX_KEPT = 4096;

/**
 * Keeps of an object what is read of a ServiceEntry, and makes objects share equal parts: ten thousand entries have the
 * same ports and the same managed fields, which are two thirds of their memory.
 */
export class Interner {
  #kept = new Map<string, unknown>();

  /** The object with shared parts, and without annotations, status and times of managed fields. */
  intern({ apiVersion, kind, metadata, ...rest }: KubernetesObject): KubernetesObject {
    const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = metadata;
    const spec = Object.entries(rest['spec'] ?? {}).map(([field, value]) => [field, this.#shareField(field, value)]);
    // Written out, so that all of them have one hidden class.
    const kept = {
      name,
      namespace: this.#share(namespace),
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      labels: this.#share(metadata['labels']),
      managedFields: this.#share(withoutTimes(metadata['managedFields'])),
    };
    const shared = { apiVersion: this.#share(apiVersion), kind: this.#share(kind) };
    return { ...shared, metadata: kept, spec: Object.fromEntries(spec) as unknown } as KubernetesObject; // of its fields
  }

  /** Hosts differ in each object. */
  #shareField(field: string, value: unknown): unknown {
    return field === 'hosts' ? value : this.#share(value);
  }

  #share(value: unknown): unknown {
    if (value === undefined || value === null) return value;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const known = this.#kept.get(text);
    if (known !== undefined) return known;
    if (this.#kept.size >= MAX_KEPT) this.#kept = new Map(); // what is in use stays in use
    this.#kept.set(text, value);
    return value;
  }
}

/** Of managed fields, when they were written: nobody asks, and it differs in each object. */
function withoutTimes(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((item: unknown) =>
    typeof item === 'object' && item !== null ? { ...item, time: undefined } : item,
  );
}
