#!/usr/bin/env node
import { CommanderError } from 'commander';
import { ConfigurationError } from './config/load.js';
import { ExitError } from './cli/exit-error.js';
import { createProgram } from './cli/program.js';

const EXIT_USAGE = 2;

const stop = new AbortController();
// As PID 1 a process has no default handlers: without these a container would ignore SIGTERM.
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());

let outputFault: Error | undefined;
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code === 'EPIPE') return; // whoever reads the output may have seen enough, as `head` does
  outputFault ??= err;
  process.stderr.write(`istio-discovery: standard output: ${describe(err)}\n`);
  process.exitCode = 1;
});
// A log that nobody can read any more is no reason to record nothing any more.
process.stderr.on('error', () => undefined);

try {
  await createProgram(process, stop.signal).parseAsync();
} catch (err) {
  process.exitCode = report(err);
}

function report(err: unknown): number {
  if (err === outputFault) return 1; // it is told already
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
  const message = err.message.startsWith(code) ? err.message : `${code}${err.message}`; // Node's own begin with it
  return `${message}${err.cause === undefined ? '' : `\n  because: ${describe(err.cause)}`}`;
}
