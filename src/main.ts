#!/usr/bin/env node
import { CommanderError } from 'commander';
import { ConfigurationError } from './config/load.js';
import { ExitError } from './cli/exit-error.js';
import { createProgram } from './cli/program.js';

const EXIT_USAGE = 2;

const stop = new AbortController();
// As PID 1 a process has no default handlers: without these a container would ignore SIGTERM.
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());

// Whoever reads the output may have seen enough, as `head` does.
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err;
});

try {
  await createProgram(process, stop.signal).parseAsync();
} catch (err) {
  process.exitCode = report(err);
}

function report(err: unknown): number {
  if (err instanceof ExitError) {
    if (err.cause !== undefined) process.stderr.write(`istio-discovery: ${describe(err.cause)}\n`);
    return err.exitCode;
  }
  if (err instanceof CommanderError) return err.exitCode === 0 ? 0 : EXIT_USAGE; // it has printed what is wrong
  const isUsage = err instanceof ConfigurationError;
  process.stderr.write(`istio-discovery: ${isUsage ? `${err.code}\n${err.message}` : describe(err)}\n`);
  return isUsage ? EXIT_USAGE : 1;
}

function describe(err: unknown): string {
  if (!(err instanceof Error)) return String(err);
  const code = 'code' in err ? `${String(err.code)}: ` : '';
  return `${code}${err.message}${err.cause === undefined ? '' : `\n  because: ${describe(err.cause)}`}`;
}
