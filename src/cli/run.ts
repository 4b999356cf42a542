import { Command } from 'commander';
import { run } from '../app/roles.js';
import { addSettings, readSettings } from './options.js';
import { formatListing, writePieces } from './output.js';
import type { Terminal } from './terminal.js';
import { formatRejections, HOST_LISTING } from './report.js';

export function runCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('run')
    .description('All in one process: receive or replay, record, and write ServiceEntries.')
    .addHelpText(
      'after',
      '\nExit status: 0 after SIGTERM or SIGINT, and with --once when everything is written; 1 when something failed; 2 for a wrong setting.',
    )
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
    const configuration = readSettings(command);
    const isYaml = configuration.output.target === 'stdout'; // it is the output, and nothing else may be
    const report = isYaml ? terminal.stderr : terminal.stdout;
    await run(configuration, {
      once,
      stdout: terminal.stdout,
      logStream: terminal.stderr,
      signal,
      onDone: async (store) => {
        await writePieces(formatListing(store.summaries(), 'table', HOST_LISTING), report);
        report.write(`\n${formatRejections(await store.rejections())}`);
      },
    });
  });
}
