/** Versions of one API server are whole numbers that grow; see "resourceVersion" in Kubernetes' API concepts. */
export function isLaterVersion(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}

/** More than a cluster writes in days: such a distance is made by `etcdutl snapshot restore --bump-revision`. */
const MOST_WRITES = 500_000_000;

/**
 * Whether what was seen at a version is still there at a later look, unless somebody took it away. It is not where the
 * cluster went back to a backup: then its version is lower, or higher by far.
 */
export function goesOnFrom(version: string, seen: string): boolean {
  const writes = Number(version) - Number(seen);
  return writes >= 0 && writes < MOST_WRITES; // false for what is no number
}
