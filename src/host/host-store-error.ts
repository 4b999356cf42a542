export const HOST_STORE_ERROR_CODES = [
  /** The store cannot be reached or does not answer in time; the same call may be made again. */
  'HOST_STORE_UNAVAILABLE',
  /** The user of the store lacks a right, or its password is wrong. */
  'HOST_STORE_DENIED',
  /** The URL of the store cannot be used. */
  'HOST_STORE_URL',
  /** A file with a password, a certificate or a key cannot be read. */
  'HOST_STORE_CREDENTIALS',
  /** Another process has the embedded store's directory open. */
  'HOST_STORE_LOCKED',
  /** The store was written by a newer version of the program, or by an older one and may not be changed. */
  'HOST_STORE_SCHEMA',
  /** What is stored cannot be read. */
  'HOST_STORE_CORRUPT',
  'HOST_STORE_CLOSED',
] as const;
export type HostStoreErrorCode = (typeof HOST_STORE_ERROR_CODES)[number];

export class HostStoreError extends Error {
  readonly code: HostStoreErrorCode;

  constructor(code: HostStoreErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'HostStoreError';
    this.code = code;
  }
}
