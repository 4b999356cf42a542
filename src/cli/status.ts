import { Command, Option } from 'commander';
import { stringify } from 'yaml';
import { lookAtInstallation, lookForIstio, type IstioPresence } from '../app/examination.js';
import { withStore } from '../app/store.js';
import type { Configuration } from '../config/schema.js';
import { BLIND_REASONS, type BlindWindow } from '../host/blind-window.js';
import { hasFlag, HOST_STATES, type HostState } from '../host/host-record.js';
import type { HostStore, StoreStatistics } from '../host/host-store.js';
import type { SourceStatus } from '../host/source.js';
import type { InstallationView } from '../install/view-installation.js';
import type { RejectionCount } from '../observation/rejection.js';
import { parseDurationMs } from './duration.js';
import { addSettings, readSettings } from './options.js';
import { formatRejections } from './report.js';
import { formatTable } from './table.js';
import type { Terminal } from './terminal.js';
import { deletionsText, waitingDeletions, type WaitingDeletion } from './waiting-deletions.js';
import { countText, durationText, timeText, withIsoTimes } from './time-text.js';

const WEEK_MS = 7 * 86_400_000;
/** A collector reports every ten seconds. */
const ALIVE_MS = 60_000;

interface Status {
  readonly store: StoreStatistics;
  /** Hosts by state, in the order of their life. */
  readonly states: Readonly<Partial<Record<HostState, number>>>;
  /** Hosts in use that have no entry because learning is frozen. */
  readonly wouldBreak: number;
  readonly istio: IstioPresence;
  /** What is covered; absent where that is the whole cluster. */
  readonly coverage?: Coverage;
  /** Entries that are to go, in order of namespace and name. */
  readonly deletions: readonly WaitingDeletion[];
  readonly sources: readonly SourceStatus[];
  readonly blindWindows: readonly BlindWindow[];
  readonly rejections: readonly RejectionCount[];
  /** Absent where no cluster is named and this is no pod of one. */
  readonly clusterDns?: InstallationView;
}

/** What is seen with `kubernetes.namespaces`, and what is not. */
interface Coverage {
  readonly namespaces: readonly string[];
  readonly unseen: readonly (keyof typeof UNSEEN)[];
}

const UNSEEN = {
  'pods-elsewhere': 'pods elsewhere, so that they are clients nobody knows',
  'exports-from-elsewhere': 'what others export to these namespaces, the root namespace included',
  namespaces: 'labels of namespaces, and whether one is being deleted',
} as const;

const UNSEEN_KINDS = Object.keys(UNSEEN) as readonly (keyof typeof UNSEEN)[]; // its own keys

interface StatusOptions {
  readonly format: 'text' | 'json' | 'yaml';
  readonly within: number;
}

export function statusCommand(terminal: Terminal, signal: AbortSignal): Command {
  const command = new Command('status')
    .description(
      'Say how the store, the collectors and the cluster are, when nobody watched, which ServiceEntries are to go, and whether CoreDNS is as it was left.',
    )
    .addOption(new Option('-o, --format <FORMAT>', 'how').choices(['text', 'json', 'yaml']).default('text'))
    .addOption(
      new Option('--within <DURATION>', 'sources and blind windows of the last 12h, 30d, …')
        .argParser(parseDurationMs)
        .default(WEEK_MS, '7d'),
    )
    .addHelpText('after', '\nExit status: 0 when the store answers, 1 when it does not.');
  addSettings(command, ['store', 'kubernetes', 'reconcile', 'log']);
  return command.action(async ({ format, within }: StatusOptions) => {
    const nowMs = Date.now();
    const settings = readSettings(command);
    const istio = lookForIstio(settings);
    const status = await withStore(settings, (store) =>
      readStatus(store, { settings, nowMs, sinceMs: nowMs - within }),
    );
    const clusterDns = await lookAtInstallation(settings, signal);
    const whole = { ...status, istio: await istio, ...(clusterDns && { clusterDns }) };
    terminal.stdout.write(format === 'text' ? textOf(whole, settings, nowMs) : print(whole, format));
  });
}

async function readStatus(
  store: HostStore,
  { settings, nowMs, sinceMs }: { readonly settings: Configuration; readonly nowMs: number; readonly sinceMs: number },
): Promise<Omit<Status, 'istio'>> {
  const { namespaces } = settings.kubernetes;
  const sources = await store.sources();
  const blindWindows = await store.blindWindows();
  return {
    store: await store.statistics(),
    ...(await countHosts(store)),
    ...(namespaces.length > 0 && { coverage: { namespaces, unseen: UNSEEN_KINDS } }),
    deletions: waitingDeletions(await store.awaitedDeletions(), settings.reconcile, nowMs),
    sources: sources.filter(({ untilMs }) => untilMs >= sinceMs),
    blindWindows: blindWindows.filter(({ untilMs }) => untilMs >= sinceMs),
    rejections: await store.rejections(),
  };
}

async function countHosts(store: HostStore): Promise<Pick<Status, 'states' | 'wouldBreak'>> {
  const counts = new Map<HostState, number>();
  let wouldBreak = 0;
  for await (const record of store.summaries()) {
    counts.set(record.state, (counts.get(record.state) ?? 0) + 1);
    if (hasFlag(record, 'would-break')) wouldBreak += 1;
  }
  const states = HOST_STATES.flatMap((state) => (counts.has(state) ? [[state, counts.get(state)] as const] : []));
  return { states: Object.fromEntries(states), wouldBreak };
}

function print(status: Status, format: 'json' | 'yaml'): string {
  if (format === 'json') return `${JSON.stringify(withIsoTimes(status), undefined, 2)}\n`;
  return stringify(withIsoTimes(status), { compat: 'yaml-1.1' });
}

function textOf(status: Status, { reconcile }: Configuration, nowMs: number): string {
  return [
    storeText(status),
    clusterDnsText(status.clusterDns),
    deletionsText(status.deletions, reconcile, nowMs),
    sourcesText(status.sources, nowMs),
    blindText(status),
    formatRejections(status.rejections),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

function storeText(status: Status): string {
  return [storeLine(status.store), hostsLine(status), istioLine(status.istio), coverageText(status.coverage)].join('');
}

function hostsLine({ states, wouldBreak }: Status): string {
  const counts = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  const broken =
    wouldBreak === 0
      ? ''
      : `${countText(wouldBreak, 'host')} in use would break with egress closed, as learning is frozen: istio-discovery hosts --flag would-break\n`;
  return `${counts.length === 0 ? '' : `Hosts: ${counts.join(', ')}.\n`}${broken}`;
}

function istioLine(istio: IstioPresence): string {
  if (istio.crds === 'present') return `The cluster takes ServiceEntries (networking.istio.io/${istio.version}).\n`;
  if (istio.crds === 'unknown') return `Whether the cluster takes ServiceEntries is not known: ${istio.reason}.\n`;
  return "Istio's custom resource definitions are not installed: hosts are learnt, and no ServiceEntry is written.\n";
}

function coverageText(coverage: Coverage | undefined): string {
  if (coverage === undefined) return '';
  const lines = coverage.unseen.map((what) => `  Not seen: ${UNSEEN[what]}.\n`);
  return `Only these namespaces are covered: ${coverage.namespaces.join(', ')}.\n${lines.join('')}`;
}

function storeLine({ kind, schema, hosts, overflow, latencyMs }: StoreStatistics): string {
  const more =
    overflow.lookups === 0
      ? ''
      : `  ${countText(overflow.lookups, 'look-up')} of hosts that are not stored, as there are too many, such as ${overflow.examples.join(', ')}\n`;
  return `The store (${kind}, schema ${schema}) answers in ${latencyMs.toFixed(1)} ms and holds ${countText(hosts, 'host')}.\n${more}`;
}

function clusterDnsText(view: InstallationView | undefined): string {
  if (view === undefined) return '';
  if (view.state === 'unreadable') return `The cluster DNS could not be looked at: ${view.reason}\n`;
  if (view.state === 'absent') return 'CoreDNS was not changed by an installation.\n';
  const { namespace, deployment, configMap, mode, drifts, repairs } = view;
  const missing = {
    corefile: `the dnstap line is not in ConfigMap ${namespace}/${configMap}`,
    sidecar: `the container is not in Deployment ${namespace}/${deployment}`,
  };
  const is = {
    installing: 'is being changed, or its installation was stopped in the middle',
    intact: 'is as it was left',
    drifted: `is not as it was left: ${drifts.map((drift) => missing[drift]).join('; ')}`,
  };
  const tried =
    repairs === undefined
      ? ''
      : `  Put right ${countText(repairs.attempts, 'time')}, last at ${timeText(repairs.lastAtMs)}${repairs.givenUp ? '; given up until the installation is run again' : ''}\n`;
  return `CoreDNS (mode ${mode}) ${is[view.state]}.\n${tried}`;
}

function sourcesText(sources: readonly SourceStatus[], nowMs: number): string {
  if (sources.length === 0) return 'No source has reported.\n';
  const rows = sources
    .toSorted((a, b) => b.untilMs - a.untilMs)
    .map((source) => [
      source.name === '' ? source.source : source.name,
      source.kind,
      source.kind === 'replay' || nowMs - source.untilMs > ALIVE_MS ? 'ended' : 'alive',
      timeText(source.fromMs),
      timeText(source.untilMs),
      String(source.connections),
      String(source.batches),
      String(source.missingBatches),
      String(source.lost),
    ]);
  const header = ['SOURCE', 'KIND', 'IS', 'FROM', 'UNTIL', 'CONNECTIONS', 'BATCHES', 'MISSING', 'LOST'];
  return formatTable(header, rows);
}

function blindText({ blindWindows, sources }: Status): string {
  if (blindWindows.length === 0) return 'No blind windows.\n';
  const names = new Map(sources.map(({ source, name }) => [source, name]));
  const rows = blindWindows
    .toSorted((a, b) => b.fromMs - a.fromMs)
    .map(({ source, reason, fromMs, untilMs }) => [
      names.get(source) ?? source,
      timeText(fromMs),
      timeText(untilMs),
      durationText(untilMs - fromMs),
      BLIND_REASONS[reason],
    ]);
  return formatTable(['BLIND', 'FROM', 'UNTIL', 'FOR', 'BECAUSE'], rows);
}
