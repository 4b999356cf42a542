import { Command, Option } from 'commander';
import { examineCluster } from '../app/examination.js';
import { formatDoctor } from '../install/format-doctor.js';
import { ExitError } from './exit-error.js';
import { addSettings, readSettings } from './options.js';
import type { Terminal } from './terminal.js';

const EXIT_PROBLEM = 1;

const EXIT_STATUS = `
Exit status: 0 when it can be installed or works, 1 with a problem, 2 when it is called wrongly.`;

interface DoctorFlags {
  readonly offline?: string;
  readonly endpoint?: string;
  readonly format: 'text' | 'json';
}

export function doctorCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('doctor')
    .description('Say what the DNS of a cluster is, what installation would do and lose, or whether queries arrive.')
    .option('--offline <DIRECTORY>', 'YAML of `kubectl get -o yaml` instead of a cluster')
    .option('--endpoint <ENDPOINT>', 'where CoreDNS is to send to (default: the Service of the collector)')
    .addOption(new Option('-o, --format <FORMAT>', 'how').choices(['text', 'json']).default('text'));
  addSettings(command, ['kubernetes', 'store', 'log']);
  return command.addHelpText('after', EXIT_STATUS).action(async (flags: DoctorFlags) => {
    const { offline, endpoint, format } = flags;
    const report = await examineCluster(readSettings(command), { offline, endpoint, signal });
    terminal.stdout.write(format === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : formatDoctor(report));
    if (report.findings.some(({ severity }) => severity === 'problem')) throw new ExitError(EXIT_PROBLEM);
  });
}
