import { Command } from 'commander';
import { withStore } from '../app/store.js';
import type { HostSummary } from '../host/host-record.js';
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
      const matches = matchesFilter(filter, Date.now());
      const pieces = formatListing(selectHosts(store.summaries(), matches), format, HOST_LISTING);
      await writePieces(pieces, terminal.stdout);
      if (format !== 'table' || patterns.length > 0) return;
      terminal.stdout.write(`\n${formatRejections(await store.rejections())}`);
    });
  });
}

async function* selectHosts(
  hosts: AsyncIterable<HostSummary>,
  matches: (host: HostSummary) => boolean,
): AsyncGenerator<HostSummary> {
  for await (const host of hosts) if (matches(host)) yield host;
}
