/** Major, minor, patch. */
export type CoreDnsVersion = readonly [number, number, number];

const VERSION = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+_.].*)?$/;

/** A version with or without `v` and with what distributors append, such as `v1.11.3-eksbuild.1`. */
export function parseCoreDnsVersion(text: string): CoreDnsVersion | undefined {
  const match = VERSION.exec(text);
  if (match === null) return undefined;
  return [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

export function isBefore(a: CoreDnsVersion, b: CoreDnsVersion): boolean {
  const index = a.findIndex((number, position) => number !== b[position]);
  return index >= 0 && (a[index] ?? 0) < (b[index] ?? 0);
}
