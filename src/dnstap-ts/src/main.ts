#!/usr/bin/env node
import { runCommand } from './command.js';

const interrupt = new AbortController();
process.on('SIGTERM', () => interrupt.abort());
process.on('SIGINT', () => interrupt.abort());
// Whoever reads our output may have seen enough (`| head`): that ends the command, it is no failure.
process.stdout.on('error', () => interrupt.abort());

void runCommand(process.argv.slice(2), {
  input: process.stdin,
  output: process.stdout,
  errorOutput: process.stderr,
  signal: interrupt.signal,
}).then((status) => {
  process.exitCode = status;
});
