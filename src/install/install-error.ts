/** Codes of {@link InstallError}. */
const INSTALL_ERROR_CODES = [
  'INSTALL_ERR_NO_COREDNS',
  'INSTALL_ERR_COREFILE',
  'INSTALL_ERR_RECEIVER',
  'INSTALL_ERR_NOT_VERIFIED',
  'INSTALL_ERR_DNS_FAILED',
  'INSTALL_ERR_CONFLICT',
  'INSTALL_ERR_SETTINGS',
  'INSTALL_ERR_ABORTED',
  'INSTALL_ERR_OFFLINE_DIRECTORY',
] as const;
export type InstallErrorCode = (typeof INSTALL_ERROR_CODES)[number];

/** Exit status when trying again cannot help: a Job must not. */
const EXIT_FINAL = 3;

const FINAL: ReadonlySet<InstallErrorCode> = new Set([
  'INSTALL_ERR_NO_COREDNS',
  'INSTALL_ERR_COREFILE',
  'INSTALL_ERR_NOT_VERIFIED',
  'INSTALL_ERR_DNS_FAILED',
  'INSTALL_ERR_SETTINGS',
]);

/** The cluster DNS could not be changed as wanted. */
export class InstallError extends Error {
  override readonly name = 'InstallError';
  readonly code: InstallErrorCode;

  constructor(code: InstallErrorCode, message: string, details: { readonly cause?: unknown } = {}) {
    super(message, details);
    this.code = code;
  }

  /** Exit status of the process: 3 when trying again cannot help, else 1. */
  get exitCode(): number {
    return FINAL.has(this.code) ? EXIT_FINAL : 1;
  }
}
