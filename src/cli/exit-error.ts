/** A command ends with this status. What there is to say has been printed, or is the cause, which is printed as any failure. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly exitCode: number;

  constructor(exitCode: number, cause?: unknown) {
    super(`exit status ${exitCode}`, { cause });
    this.exitCode = exitCode;
  }
}
