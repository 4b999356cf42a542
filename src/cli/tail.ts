import { Command, Option } from 'commander';
import { withStore } from '../app/store.js';
import type { HostStore } from '../host/host-store.js';
import type { Observation } from '../observation/observation.js';
import { addSettings, readSettings } from './options.js';
import { toExpression } from './host-filter.js';
import { writePieces } from './output.js';
import type { Terminal } from './terminal.js';
import { timeText } from './time-text.js';

const NOTES = `
What collectors record from now on, as they record it, until Ctrl-C. It needs the store to be Redis, or embedded and held by
a collector that runs. When there is too much, some is left out and counted on standard error.`;

export function tailCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('tail')
    .description('Print look-ups of external hosts as they are recorded.')
    .argument('[PATTERN...]', 'only hosts with such a name; * stands for any characters')
    .addOption(new Option('-o, --format <FORMAT>', 'how').choices(['text', 'jsonl']).default('text'))
    .addHelpText('after', NOTES);
  addSettings(command, ['store', 'log']);
  return command.action(async (patterns: readonly string[], { format }: { readonly format: 'text' | 'jsonl' }) => {
    const names = patterns.map(toExpression);
    const isWanted = ({ hostname }: Observation): boolean =>
      names.length === 0 || names.some((name) => name.test(hostname));
    const print = async (store: HostStore): Promise<void> => {
      const lines = async function* (): AsyncGenerator<string> {
        for await (const { observations, missed } of store.tail(signal)) {
          if (missed > 0) terminal.stderr.write(`${missed} left out\n`);
          yield observations
            .filter(isWanted)
            .map(format === 'text' ? toText : toJson)
            .join('');
        }
      };
      await writePieces(lines(), terminal.stdout, { isLive: true });
    };
    await withStore(readSettings(command), print, { isLive: true });
  });
}

function toText({ lastObservedAtMs, hostname, client, pod, lookups, addresses, cnames }: Observation): string {
  const who = pod === undefined ? client : `${client} (${pod.namespace}/${pod.name})`;
  const answer = [...cnames, addresses.join(',')].join(' → ');
  return `${timeText(lastObservedAtMs)} ${who} ${hostname} ${lookups}x ${answer}\n`;
}

const toJson = (observation: Observation): string => `${JSON.stringify(observation)}\n`;
