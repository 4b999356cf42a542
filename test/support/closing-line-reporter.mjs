import { writeSync } from 'node:fs';

/** Closes a run with a line that counts the tests, in a form that any tool can read. */
// oxlint-disable-next-line import/no-default-export -- jest takes a reporter by its default export
export default class ClosingLineReporter {
  onRunComplete(
    _contexts,
    { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites },
  ) {
    const skipped = numPendingTests + numTodoTests;
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    const line = `${numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`;
    // At the very end: jest's own summary comes after the reporters.
    process.on('exit', () => writeSync(process.stdout.fd, `\n${line}`));
  }
}
