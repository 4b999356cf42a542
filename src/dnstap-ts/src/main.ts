#!/usr/bin/env node
import { runCommand } from './command.js';

const interrupt = new AbortController();
process.on('SIGTERM', () => interrupt.abort());
process.on('SIGINT', () => interrupt.abort());
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  interrupt.abort();
  // Whoever reads our output may have seen enough (`| head`): that is no failure.
  if (error.code === 'EPIPE') return;
  process.stderr.write(`dnstap-ts: standard output: ${error.message}\n`);
  process.exitCode = 1;
});

void runCommand(process.argv.slice(2), {
  input: process.stdin,
  output: process.stdout,
  errorOutput: process.stderr,
  signal: interrupt.signal,
}).then((status) => {
  process.exitCode ||= status;
});
