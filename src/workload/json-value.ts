/** A JSON object of which nothing is known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The value as an object; an empty one for everything else, so that a path of absent fields reads as absent. */
export function objectOf(value: unknown): JsonObject {
  // Safe: every property of a non-null object may be read, and is unknown.
  return typeof value === 'object' && value !== null ? (value as JsonObject) : {};
}

export function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value as text; undefined when it is empty or not text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * A Kubernetes time (RFC 3339, or a Date as typed clients make it) in Unix milliseconds. Undefined when it is absent or not
 * after 1970: Kubernetes writes an unknown time as null or as the year 1.
 */
export function timeMsOf(value: unknown): number | undefined {
  const ms = value instanceof Date ? value.getTime() : Date.parse(textOf(value) ?? '');
  return ms > 0 ? ms : undefined;
}
