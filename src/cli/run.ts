import { Command } from 'commander';
import { run } from '../app.js';
import { addSettings, readSettings } from './options.js';
import { listHosts } from './hosts.js';
import type { Terminal } from './terminal.js';
import { formatHosts, formatRejections } from './report.js';

export function runCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('run')
    .description('All in one process: receive or replay, record, and write ServiceEntries.')
    .option('--once', 'work through what there is, write, print what was learnt, and exit');
  addSettings(command, [
    'dnstap',
    'replay',
    'observation',
    'store',
    'host',
    'istio',
    'reconcile',
    'output',
    'kubernetes',
    'http',
    'log',
  ]);
  return command.action(async ({ once = false }: { once?: boolean }) => {
    await run(readSettings(command), {
      once,
      logStream: terminal.stderr,
      signal,
      onDone: async (store) => {
        terminal.stdout.write(formatHosts(await listHosts(store)));
        terminal.stdout.write(`\n${formatRejections(await store.rejections())}`);
      },
    });
  });
}
