import { Command } from 'commander';
import { collect } from '../app/roles.js';
import { addSettings, readSettings } from './options.js';
import type { Terminal } from './terminal.js';

export function collectCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('collect')
    .description('Receive dnstap from CoreDNS and record hosts in the store.')
    .addHelpText('after', '\nExit status: 0 after SIGTERM or SIGINT, 1 when it cannot listen, 2 for a wrong setting.');
  addSettings(command, ['dnstap', 'observation', 'store', 'http', 'log']);
  return command.action(() => collect(readSettings(command), { once: false, logStream: terminal.stderr, signal }));
}
