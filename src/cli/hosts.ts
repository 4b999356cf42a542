import { Command } from 'commander';
import { withStore } from '../app.js';
import type { HostRecord } from '../host/host-record.js';
import { addFilterOptions, matchesFilter, type HostFilter } from './host-filter.js';
import { addSettings, readSettings } from './options.js';
import { formatListing, outputOption, writePieces, type OutputFormat } from './output.js';
import { formatRejections, HOST_LISTING } from './report.js';
import type { Terminal } from './terminal.js';

const EXAMPLES = `
PATTERN is a name in which * stands for any characters, also dots.

Examples:
  istio-discovery hosts
  istio-discovery hosts '*.example.com' --namespace shop --state eligible
  istio-discovery hosts --unseen-for 30d -o name`;

type HostsOptions = Omit<HostFilter, 'patterns'> & { readonly format: OutputFormat };

export function hostsCommand(terminal: Terminal): Command {
  const command = new Command('hosts')
    .description('Print the hosts that were learnt.')
    .argument('[PATTERN...]', 'only hosts with such a name')
    .addOption(outputOption())
    .addHelpText('after', EXAMPLES);
  addFilterOptions(command);
  addSettings(command, ['store', 'log']);
  return command.action(async (patterns: readonly string[], { format, ...options }: HostsOptions) => {
    const filter = { ...options, patterns };
    await withStore(readSettings(command), async (store) => {
      const hosts = selectHosts(store.list(), matchesFilter(filter, Date.now()));
      await writePieces(formatListing(hosts, format, HOST_LISTING), terminal.stdout);
      if (format !== 'table' || patterns.length > 0) return;
      terminal.stdout.write(`\n${formatRejections(await store.rejections())}`);
    });
  });
}

async function* selectHosts(
  records: AsyncIterable<HostRecord>,
  matches: (record: HostRecord) => boolean,
): AsyncGenerator<HostRecord> {
  for await (const record of records) if (matches(record)) yield record;
}
