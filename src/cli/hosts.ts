import { Command, Option } from 'commander';
import { openStore } from '../app.js';
import type { HostStore } from '../host/host-store.js';
import { viewHost, type HostView } from '../host/host-view.js';
import { addSettings, readSettings } from './options.js';
import type { Terminal } from './terminal.js';
import { formatHosts, formatRejections } from './report.js';

export function hostsCommand(terminal: Terminal): Command {
  const command = new Command('hosts')
    .description('Print the hosts that were learnt.')
    .addOption(new Option('-o, --format <format>', 'how').choices(['table', 'json']).default('table'));
  addSettings(command, ['store', 'log']);
  command.option('-n, --namespace <NAMESPACE>', 'only hosts that were used from this namespace');
  return command.action(async ({ format, namespace }: { format: string; namespace?: string }) => {
    const store = await openStore(readSettings(command));
    try {
      const hosts = await listHosts(store, namespace);
      const text = format === 'json' ? `${JSON.stringify(hosts, undefined, 2)}\n` : formatHosts(hosts);
      terminal.stdout.write(text);
      if (format === 'table') terminal.stdout.write(`\n${formatRejections(await store.rejections())}`);
    } finally {
      await store.close();
    }
  });
}

/** Every host of the store, or those that a namespace uses, in order of the name. */
export async function listHosts(store: HostStore, namespace?: string): Promise<readonly HostView[]> {
  const hosts: HostView[] = [];
  for await (const record of store.list()) {
    const host = viewHost(record);
    const isUsed = namespace === undefined || host.workloads.some((workload) => workload.namespace === namespace);
    if (isUsed) hosts.push(host);
  }
  return hosts;
}
