import { TestSupportError } from '../support/test-support-error.js';
import { runProgram } from '../support/program.js';

/** Exit code and what was printed, also of a command that fails. */
export async function outcome(...args: readonly string[]): Promise<{ readonly code: unknown; readonly text: string }> {
  try {
    const { stdout, stderr } = await runProgram(...args);
    return { code: 0, text: stdout + stderr };
  } catch (err) {
    if (!(err instanceof TestSupportError)) throw err;
    return { code: (err.cause as { code?: unknown }).code, text: err.message }; // what execFile gives
  }
}
