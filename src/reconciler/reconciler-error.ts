/** Codes of {@link ReconcilerError}. */
export const RECONCILER_ERROR_CODES = [
  'RECONCILER_ERR_NOT_LEADER',
  'RECONCILER_ERR_NOT_SEEN',
  'RECONCILER_ERR_HOST_APPEARED',
  'RECONCILER_ERR_NAME_APPEARED',
  'RECONCILER_ERR_WARNING',
  'RECONCILER_ERR_DELETED_BY_OTHERS',
  'RECONCILER_ERR_FOREIGN_FILE',
] as const;
export type ReconcilerErrorCode = (typeof RECONCILER_ERROR_CODES)[number];

/** Something that was planned must not be carried out. */
export class ReconcilerError extends Error {
  override readonly name = 'ReconcilerError';
  readonly code: ReconcilerErrorCode;

  constructor(code: ReconcilerErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
