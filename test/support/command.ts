import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TestSupportError } from './test-support-error.js';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** @see runCommand */
export interface CommandOptions {
  /** Written to the command's standard input. */
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly timeoutMs?: number;
}

/** What a command printed. */
export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

let path: string | undefined;

/** The variables of this process, with the PATH on which what scripts/setup installed is found. */
export function commandEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  path ??= execFileSync(`${ROOT}/scripts/env`, { encoding: 'utf8' }).trim();
  return { ...process.env, PATH: path, ...extra };
}

/**
 * Runs a command to its end.
 *
 * @throws TestSupportError `TEST_ERR_COMMAND_FAILED` with what it printed, when it ends with another status than 0
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  { input = '', environment = {}, workingDirectory = ROOT, timeoutMs = 60_000 }: CommandOptions = {},
): Promise<CommandOutput> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      {
        env: commandEnvironment(environment),
        cwd: workingDirectory,
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_OUTPUT_BYTES,
      },
      (cause, stdout, stderr) => {
        if (cause === null) resolve({ stdout, stderr });
        else reject(failure([command, ...args], { stdout, stderr }, cause));
      },
    );
    // A command that ends without having read its input is no fault of its own.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

function failure(command: readonly string[], { stdout, stderr }: CommandOutput, cause: Error): TestSupportError {
  const message = `${command.join(' ')} failed\n${stdout}${stderr}`;
  return new TestSupportError('TEST_ERR_COMMAND_FAILED', message, { cause });
}
