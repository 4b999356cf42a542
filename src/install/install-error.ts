/** Codes of {@link InstallError}. */
const INSTALL_ERROR_CODES = ['INSTALL_ERR_OFFLINE_DIRECTORY'] as const;
export type InstallErrorCode = (typeof INSTALL_ERROR_CODES)[number];

/** What has to do with installation failed. */
export class InstallError extends Error {
  override readonly name = 'InstallError';
  readonly code: InstallErrorCode;

  constructor(code: InstallErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}
