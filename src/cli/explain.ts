import { BlockList } from 'node:net';
import { Command, Option } from 'commander';
import { stringify } from 'yaml';
import { configuredRules } from '../app/reconcile-settings.js';
import { withStore } from '../app/store.js';
import type { Configuration } from '../config/schema.js';
import { parseHostname, type Hostname } from '../dns/hostname.js';
import type { HostStore } from '../host/host-store.js';
import { parentsOf } from '../host/registrable-domain.js';
import { ClusterDomains } from '../observation/cluster-domains.js';
import { scopeOf } from '../observation/name-scope.js';
import type { Rejection } from '../observation/rejection.js';
import { ExitError } from './exit-error.js';
import { explainInWords, rulesAbout, type Explanation } from './explain-host.js';
import { addSettings, readSettings } from './options.js';
import type { Terminal } from './terminal.js';
import { withIsoTimes } from './time-text.js';
import { describeReach } from './wildcard-reach.js';

const EXIT_UNKNOWN = 1;
const EXIT_STATUS = `
Exit status: 0 for a known host and for a name of which it is known why it is none, 1 for any other name.`;

export function explainCommand(terminal: Terminal): Command {
  const command = new Command('explain')
    .description('Say everything that is known about a host and why, or why a name is none.')
    .argument('<HOST>', 'a name, or *.parent')
    .addOption(new Option('-o, --format <FORMAT>', 'how').choices(['text', 'json', 'yaml']).default('text'))
    .addHelpText('after', EXIT_STATUS);
  addSettings(command, ['store', 'host', 'observation', 'log']);
  return command.action(async (text: string, { format }: { readonly format: 'text' | 'json' | 'yaml' }) => {
    const settings = readSettings(command);
    const explanation = await withStore(settings, (store) => explain(store, text, settings));
    terminal.stdout.write(print(explanation, format));
    if (!isExplained(explanation)) throw new ExitError(EXIT_UNKNOWN);
  });
}

function isExplained(explanation: Explanation): boolean {
  if ('host' in explanation) return true;
  const { byName, seenAs, countedIn } = explanation;
  return byName !== undefined || seenAs.length + countedIn.length > 0;
}

function print(explanation: Explanation, format: 'text' | 'json' | 'yaml'): string {
  if (format === 'text') return explainInWords(explanation);
  const value = withIsoTimes(explanation);
  return format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : stringify(value, { compat: 'yaml-1.1' });
}

async function explain(store: HostStore, text: string, settings: Configuration): Promise<Explanation> {
  const name = text.toLowerCase().replace(/\.$/, '');
  const host = await store.get(name as Hostname); // a name that is no Hostname is not found
  if (host === undefined) return explainMissing(store, name, settings);
  const { rules } = await store.rules();
  return {
    name,
    host,
    rules: rulesAbout(host, rules, configuredRules(settings)),
    sources: await store.sources(),
    blindWindows: await store.blindWindows(),
    ...(host.hostname.startsWith('*.') && { reach: await describeReach(store, host.hostname) }),
    nowMs: Date.now(),
  };
}

async function explainMissing(store: HostStore, name: string, { observation }: Configuration): Promise<Explanation> {
  const byName = rejectionByName(name, observation);
  // Of a conflict, the example is both names and the addresses.
  const isAboutName = (example: string): boolean => example.split(/[→(),]/).includes(name);
  const rejections = await store.rejections();
  const rows = await Promise.all(
    typeof parseHostname(name) === 'string'
      ? parentsOf(name).map((parent) => store.get(`*.${parent}` as Hostname)) // the row of a parent
      : [],
  );
  return {
    name,
    ...(byName === undefined ? {} : { byName }),
    seenAs: rejections.filter(({ examples }) => examples.some(isAboutName)).map(({ reason }) => reason),
    conflicts: rejections.flatMap(({ examples }) => examples).filter((text) => text !== name && isAboutName(text)),
    countedIn: rows.filter((row) => row !== undefined).filter(({ state }) => state === 'quarantined'),
  };
}

/** By the cluster domain that is set or usual: one that was found in the traffic is known to the collector only. */
function rejectionByName(name: string, observation: Configuration['observation']): Rejection | undefined {
  const { clusterDomains } = observation;
  const cluster = new ClusterDomains({ clusterDomains, clusterNetworks: new BlockList() });
  const scope = scopeOf(name, observation, cluster);
  return scope.kind === 'external' ? undefined : scope.rejection;
}
