const MAX_KEPT = 4096;
/** The parts of an object that thousands of objects have in common. */
const SHARED_METADATA = ['labels', 'managedFields'] as const;

/**
 * Makes objects share equal parts: ten thousand entries have the same ports and the same managed fields, which are two
 * thirds of their memory.
 */
export class Interner {
  #kept = new Map<string, unknown>();

  /** The same object with shared parts, and without what `kubectl apply` leaves in annotations. */
  intern<T extends { readonly metadata: Readonly<Record<string, unknown>>; readonly [field: string]: unknown }>(
    object: T,
  ): T {
    const metadata: Record<string, unknown> = { ...object.metadata };
    for (const field of SHARED_METADATA) metadata[field] = this.#share(withoutTimes(metadata[field]));
    metadata['annotations'] = withoutCopy(metadata['annotations']);
    const spec = Object.entries(object['spec'] ?? {}).map(([field, value]) => [field, this.#share(value)]);
    return { ...object, metadata, spec: Object.fromEntries(spec) as unknown };
  }

  #share(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const text = JSON.stringify(value);
    const known = this.#kept.get(text);
    if (known !== undefined) return known;
    if (this.#kept.size >= MAX_KEPT) this.#kept = new Map(); // what is in use stays in use
    this.#kept.set(text, value);
    return value;
  }
}

/** `kubectl apply` keeps a copy of the whole object there. */
const COPY = 'kubectl.kubernetes.io/last-applied-configuration';

function withoutCopy(annotations: unknown): unknown {
  if (typeof annotations !== 'object' || annotations === null || !(COPY in annotations)) return annotations;
  return { ...annotations, [COPY]: undefined };
}

/** Of managed fields, when they were written: nobody asks, and it differs in each object. */
function withoutTimes(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((item: unknown) =>
    typeof item === 'object' && item !== null ? { ...item, time: undefined } : item,
  );
}
