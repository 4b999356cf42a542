import { Command } from 'commander';
import { reconcile } from '../app/roles.js';
import { addSettings, readSettings } from './options.js';
import type { Terminal } from './terminal.js';

export function reconcileCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('reconcile')
    .description('Write a ServiceEntry for each host in the store.')
    .addHelpText(
      'after',
      '\nExit status: 0 after SIGTERM or SIGINT, and with --once when everything is written; 1 when something failed; 2 for a wrong setting.',
    )
    .option('--once', 'one run, then exit');
  addSettings(command, ['store', 'kubernetes', 'host', 'istio', 'reconcile', 'output', 'http', 'log']);
  return command.action(({ once = false }: { once?: boolean }) =>
    reconcile(readSettings(command), { once, stdout: terminal.stdout, logStream: terminal.stderr, signal }),
  );
}
