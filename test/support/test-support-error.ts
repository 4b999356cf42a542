/** What can go wrong in the harness itself; stable, so that tests assert it. */
export type TestSupportErrorCode =
  | 'TEST_ERR_COMMAND_FAILED'
  | 'TEST_ERR_NEEDS_ROOT'
  | 'TEST_ERR_PART_EXITED'
  | 'TEST_ERR_PART_NOT_BUILT'
  | 'TEST_ERR_PART_NOT_READY'
  | 'TEST_ERR_PODS_UNSUPPORTED'
  | 'TEST_ERR_WAITED_TOO_LONG';

/** Thrown by the harness of the tests, never by the program under test. */
export class TestSupportError extends Error {
  override readonly name = 'TestSupportError';
  readonly code: TestSupportErrorCode;

  constructor(code: TestSupportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
