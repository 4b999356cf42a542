import { HostStoreError } from './host-store-error.js';

/** What LevelDB throws, by our codes. */
export function toStoreError(err: unknown): HostStoreError {
  if (err instanceof HostStoreError) return err;
  const isCorrupt = typeof err === 'object' && err !== null && 'code' in err && err.code === 'LEVEL_CORRUPTION';
  const code = isCorrupt ? 'HOST_STORE_CORRUPT' : 'HOST_STORE_UNAVAILABLE';
  return new HostStoreError(code, 'embedded store failed', { cause: err });
}

/** Runs a reading of the database. @throws HostStoreError */
export async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (err) {
    throw toStoreError(err);
  }
}
