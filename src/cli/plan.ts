import { Command, Option } from 'commander';
import { apply, preview } from '../app/one-run.js';
import { ConfigurationError } from '../config/load.js';
import type { SectionName } from '../config/schema.js';
import { ExitError } from './exit-error.js';
import { addSettings, readSettings } from './options.js';
import { formatDiff, formatPlan, planToJson } from './plan-report.js';
import type { Terminal } from './terminal.js';

const SECTIONS: readonly SectionName[] = [
  'store',
  'kubernetes',
  'host',
  'istio',
  'reconcile',
  'output',
  'replay',
  'log',
];
const EXIT_DIFFERENT = 1;
/** As of kubectl and diff: above 1 is a failure. */
const EXIT_FAILED = 2;

const format = (): Option => new Option('-o, --format <FORMAT>', 'how').choices(['text', 'json']).default('text');

/** What a run would do. */
export function planCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('plan')
    .description('Print what would be written for the hosts in the store, and write nothing.')
    .addOption(format())
    .addHelpText('after', '\nExit status: 0 planned, 1 failed (nothing can be planned), 2 wrong usage.');
  addSettings(command, SECTIONS);
  return command.action(async (options: { format: string }) => {
    const configuration = readSettings(command);
    const planned = await preview(configuration, { ...outputOf(terminal), signal });
    const { namespaces } = configuration.kubernetes;
    terminal.stdout.write(
      options.format === 'json' ? planToJson(planned, namespaces) : formatPlan(planned, namespaces),
    );
  });
}

/** Whether a run would do something. */
export function diffCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('diff')
    .description('Print how the target differs from what the hosts in the store ask for, as YAML lines.')
    .addHelpText('after', '\nExit status: 0 no difference, 1 a difference, 2 failed or wrong usage.');
  addSettings(command, SECTIONS);
  return command.action(async () => {
    const planned = await preview(readSettings(command), { ...outputOf(terminal), signal }).catch((err: unknown) => {
      throw err instanceof ConfigurationError ? err : new ExitError(EXIT_FAILED, err);
    });
    const text = formatDiff(planned);
    terminal.stdout.write(text);
    if (text !== '') throw new ExitError(EXIT_DIFFERENT);
  });
}

/** One run, and what it did. */
export function applyCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('apply')
    .description('Write what is to be written for the hosts in the store, once, and print what was done.')
    .addOption(format())
    .addHelpText(
      'after',
      '\nExit status: 0 everything written, 1 failed, or an entry could not be written, 2 wrong usage.',
    );
  addSettings(command, SECTIONS);
  return command.action(async (options: { format: string }) => {
    const configuration = readSettings(command);
    const { result, ...planned } = await apply(configuration, { ...outputOf(terminal), signal });
    const isYaml = configuration.output.target === 'stdout'; // it is the output, and nothing else may be
    const report = isYaml ? terminal.stderr : terminal.stdout;
    const text = formatPlan(planned, configuration.kubernetes.namespaces);
    report.write(options.format === 'json' ? `${JSON.stringify(result, undefined, 2)}\n` : text);
    const { failures } = result;
    for (const { namespace, name, code, message } of failures) {
      terminal.stderr.write(`istio-discovery: ${namespace}/${name} was not written: ${code}: ${message}\n`);
    }
    if (failures.length > 0) throw new ExitError(1);
  });
}

function outputOf({ stdout, stderr }: Terminal): {
  readonly stdout: NodeJS.WritableStream;
  readonly logStream: Terminal['stderr'];
} {
  return { stdout, logStream: stderr };
}
