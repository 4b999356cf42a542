import { randomInt, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BlockList, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import type { ReceiverTlsOptions } from 'dnstap-ts';
import { HttpServer } from './api/http-server.js';
import {
  ConfigurationError,
  type ConfigurationProblem,
  defaultStateDirectory,
  isInCluster,
  processEnvironment,
  readSettingFile,
} from './config/load.js';
import type { Configuration } from './config/schema.js';
import type { BeliefSettings } from './host/believe.js';
import { parseRule, type HostRule } from './host/host-rule.js';
import type { HostStore } from './host/host-store.js';
import type { RedisConnectionOptions } from './host/redis-connection.js';
import type { RedisStoreOptions } from './host/redis-store.js';
import { Collector } from './intake/dnstap/collector.js';
import { decidePorts, parsePort } from './istio/decide-ports.js';
import type { PortSpec } from './istio/service-entry.js';
import { parseSpecialHost, type SpecialHost } from './istio/special-host.js';
import { corefileLine } from './install/corefile/corefile-line.js';
import type { DoctorReport } from './install/doctor.js';
import type { StoreReport } from './install/store-report.js';
import type { InstallationView } from './install/view-installation.js';
import { FloodGuard } from './intake/flood-guard.js';
import { createFrameIntake } from './intake/frame-intake.js';
import { PeerCount } from './intake/peer-count.js';
import { Recorder } from './intake/recorder.js';
import { SourceWatch } from './intake/source-watch.js';
import { replay } from './intake/replay/replay.js';
import { clusterDomainOf, parseSearchList, PRIVATE_NETWORKS } from './observation/cluster-domains.js';
import { isBelow } from './observation/name-scope.js';
import {
  createObservationTable,
  type ObservationTable,
  type ObservationTableOptions,
} from './observation/observation-table.js';
import { ReconcileLoop } from './reconciler/loop.js';
import type { EntryEvent } from './reconciler/entry-events.js';
import {
  previewReconcile,
  reconcileOnce,
  type ReconcileInput,
  type ReconcilePreview,
  type ReconcileSettings,
  type ReconcileStatus,
} from './reconciler/reconcile-once.js';
import { openTarget, until, type Target } from './target.js';
import { Health } from './telemetry/health.js';
import { createLogger, type Logger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';

/** Something that runs until it is closed. */
interface Running {
  close(): Promise<void>;
}

interface Telemetry {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
}

export interface OnceOptions {
  /** Where the target `stdout` prints. */
  readonly stdout: NodeJS.WritableStream;
  readonly logStream: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

export interface RoleOptions {
  /** Work through what there is, then end. */
  readonly once: boolean;
  /** Where the target `stdout` prints. */
  readonly stdout: NodeJS.WritableStream;
  readonly logStream: NodeJS.WriteStream;
  /** Ends the role in good order. */
  readonly signal: AbortSignal;
}

/** How long the last observations may take to be recorded at the end. Kubernetes kills after 30 s. */
const CLOSE_TIMEOUT_MS = 10_000;

/** Where the chart goes unless told. */
const DEFAULT_NAMESPACE = 'istio-discovery';

/** The collector: dnstap in, observations into the store, until the signal aborts. */
export async function collect(
  configuration: Configuration,
  { logStream, signal }: Omit<RoleOptions, 'stdout'>,
): Promise<void> {
  requireEndpoints(configuration);
  const telemetry = createTelemetry(configuration, logStream);
  const running: Running[] = [];
  try {
    const store = await openStore(configuration, telemetry.log);
    running.push(store);
    const collector = await startCollector(configuration, store, telemetry);
    running.push(collector, await startHttp(configuration, telemetry, collector.connections));
    await aborted(signal);
  } finally {
    await closeAll(running);
  }
}

/** The reconciler: hosts out of the store, ServiceEntries into the cluster or a directory. */
export async function reconcile(configuration: Configuration, options: RoleOptions): Promise<void> {
  const { once, stdout, logStream, signal } = options;
  const telemetry = createTelemetry(configuration, logStream);
  const running: Running[] = [];
  try {
    const store = await openStore(configuration, telemetry.log);
    running.push(store);
    const target = await openTarget(configuration, { role: 'reconcile', once, log: telemetry.log, stdout });
    running.push(target);
    if (!once) running.push(await startDriftWatch(configuration, target, telemetry));
    running.push(await startHttp(configuration, telemetry));
    await runReconciler(configuration, { store, target, telemetry, once, signal });
  } finally {
    await closeAll(running);
  }
}

/** All in one process. `onDone` is called at the end of `once`, before the store is closed. */
export async function run(
  configuration: Configuration,
  options: RoleOptions & { readonly onDone: (store: HostStore) => Promise<void> },
): Promise<void> {
  const { once, stdout, logStream, signal } = options;
  if (configuration.replay.files.length === 0) requireEndpoints(configuration);
  const telemetry = createTelemetry(configuration, logStream);
  const running: Running[] = [];
  try {
    const store = await openStore(configuration, telemetry.log);
    running.push(store);
    let connections: RunningCollector['connections'] | undefined;
    if (!once) {
      const collector = await startCollector(configuration, store, telemetry);
      running.push(collector);
      connections = collector.connections;
      tellCorefileLines(configuration, telemetry.log);
    }
    const lastMs = await replayAll(configuration, store, telemetry.log, signal);
    const target = await openTarget(configuration, { role: 'run', once, log: telemetry.log, stdout });
    running.push(target);
    if (!once) {
      running.push(await startDriftWatch(configuration, target, telemetry));
      running.push(await startHttp(configuration, telemetry, connections));
    }
    await runReconciler(configuration, {
      store,
      target,
      telemetry,
      once,
      signal,
      ...(lastMs === undefined ? {} : { lastMs }),
    });
    if (once) await options.onDone(store);
  } finally {
    await closeAll(running);
  }
}

/** What one run would do now. Changes nothing, neither in the store nor in the target. */
export async function preview(configuration: Configuration, options: OnceOptions): Promise<ReconcilePreview> {
  return once(configuration, options, async (input) => previewReconcile(input));
}

/** One run. */
export async function apply(configuration: Configuration, options: OnceOptions): Promise<ReconcileStatus> {
  return once(configuration, options, async (input, target) => {
    await until(target.mayWrite, options.signal);
    return reconcileOnce(input);
  });
}

async function once<T>(
  configuration: Configuration,
  { stdout, logStream, signal }: OnceOptions,
  work: (input: ReconcileInput, target: Target) => Promise<T>,
): Promise<T> {
  const { log } = createTelemetry(configuration, logStream);
  const running: Running[] = [];
  try {
    const store = await openSharedStore(configuration, log);
    running.push(store);
    const target = await openTarget(configuration, { role: 'reconcile', once: true, log, stdout });
    running.push(target);
    await target.ready(signal);
    const { sink, index } = target;
    const settings = reconcileSettings(configuration, { graceMs: target.graceMs, once: true });
    return await work({ store, sink, index, settings, nowMs: Date.now(), signal }, target);
  } finally {
    await closeAll(running);
  }
}

const EMBEDDED = 'embedded://';

function storeUrl({ store }: Configuration): string {
  return store.url?.reveal() ?? `${EMBEDDED}${defaultStateDirectory(processEnvironment())}`;
}

/**
 * What a command does with the store; an embedded one also while another process has it open.
 *
 * @param options `isLive`: it is about what another process records, so that one must have an embedded store open.
 */
export async function withStore<T>(
  configuration: Configuration,
  work: (store: HostStore) => Promise<T>,
  { isLive = false }: { readonly isLive?: boolean } = {},
): Promise<T> {
  const url = storeUrl(configuration);
  if (isLive && url.startsWith(EMBEDDED)) {
    const { connectStore } = await import('./host/store-socket.js');
    return work(connectStore(url.slice(EMBEDDED.length)));
  }
  const store = await openSharedStore(configuration);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** As {@link openStore}, for a command: an embedded one also while another process has it open. */
async function openSharedStore(configuration: Configuration, log?: Logger): Promise<HostStore> {
  const url = storeUrl(configuration);
  if (!url.startsWith(EMBEDDED)) return openRedis(configuration, { log, mayTakeOver: false });
  const { useEmbeddedStore } = await import('./host/embedded-store.js');
  return useEmbeddedStore(url.slice(EMBEDDED.length), configuration.store);
}

/** Opens the store that the settings name; the embedded one in the user's state directory by default. */
async function openStore(configuration: Configuration, log?: Logger): Promise<HostStore> {
  const url = storeUrl(configuration);
  // Loaded on demand: no role needs both, and the collector's memory counts on every DNS pod.
  if (url.startsWith(EMBEDDED)) {
    const { openEmbeddedStore } = await import('./host/embedded-store.js');
    return openEmbeddedStore(url.slice(EMBEDDED.length), configuration.store);
  }
  return openRedis(configuration, { log, mayTakeOver: true });
}

/** What lasts brings an older store up to date; a command must not do that to those that still run. */
async function openRedis(
  configuration: Configuration,
  { log, mayTakeOver }: { readonly log: Logger | undefined; readonly mayTakeOver: boolean },
): Promise<HostStore> {
  const { openRedisStore } = await import('./host/redis-store.js');
  let wasConnected: boolean | undefined;
  const options: RedisStoreOptions = {
    ...redisOptions(configuration, storeUrl(configuration)),
    mayTakeOver,
    onConnection: ({ connected, err }) => {
      if (connected === wasConnected) return;
      wasConnected = connected;
      if (connected) log?.info({}, 'Redis connected');
      else log?.warn({ err }, 'Redis is away');
    },
  };
  return openRedisStore(options, configuration.store);
}

function redisOptions(configuration: Configuration, url: string): RedisConnectionOptions {
  const { password, sentinelPassword, ...settings } = configuration.store;
  return { ...settings, url, password: password?.reveal(), sentinelPassword: sentinelPassword?.reveal() };
}

/** Whether the cluster takes ServiceEntries; `unknown` where there is no cluster to ask, or it does not answer. */
export type IstioPresence =
  | { readonly crds: 'present'; readonly version: string }
  | { readonly crds: 'absent' }
  | { readonly crds: 'unknown'; readonly code: string; readonly reason: string };

/** A person waits for it. */
const ISTIO_LOOK_MS = 3000;

/** Looks for Istio's custom resource definitions, as every process may that reaches the cluster. */
export async function lookForIstio({ kubernetes }: Configuration): Promise<IstioPresence> {
  const [{ KubernetesClient }, { KubernetesError }, { discoverVersion }, { SERVICE_ENTRIES }] = await Promise.all([
    import('./kubernetes/client.js'),
    import('./kubernetes/kubernetes-error.js'),
    import('./kubernetes/discovery.js'),
    import('./reconciler/cluster-resources.js'),
  ]);
  const { kubeconfig, context } = kubernetes;
  try {
    const named = { ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) };
    const client = KubernetesClient.load({ ...named, timeoutMs: ISTIO_LOOK_MS });
    try {
      return { crds: 'present', version: await discoverVersion({ client, ...SERVICE_ENTRIES }) };
    } finally {
      await client.close();
    }
  } catch (err) {
    if (!(err instanceof KubernetesError)) throw err;
    if (err.code === 'KUBERNETES_ERR_RESOURCE_ABSENT') return { crds: 'absent' };
    return { crds: 'unknown', code: err.code, reason: err.message };
  }
}

export interface ExaminationOptions {
  /** A directory of objects in place of a cluster. */
  readonly offline: string | undefined;
  readonly endpoint: string | undefined;
  readonly signal: AbortSignal;
}

/** What the cluster is and what installation would do, or does. Changes nothing. */
export async function examineCluster(
  configuration: Configuration,
  { offline, endpoint, signal }: ExaminationOptions,
): Promise<DoctorReport> {
  const { examine } = await import('./install/examine.js');
  const { kubeconfig, context, namespace = DEFAULT_NAMESPACE } = configuration.kubernetes;
  const options = { namespace, endpoint, store: await examineStore(configuration), signal };
  if (offline !== undefined) return examine({ ...options, from: { directory: offline } });
  const { KubernetesClient } = await import('./kubernetes/client.js');
  const client = KubernetesClient.load({ ...(kubeconfig && { kubeconfig }), ...(context && { context }) });
  try {
    return await examine({ ...options, from: { client } });
  } finally {
    await client.close();
  }
}

/** Looks at the cluster that the settings name, or that this is a pod of; undefined where there is none. Changes nothing. */
export async function lookAtInstallation(
  { istio, kubernetes }: Configuration,
  signal: AbortSignal,
): Promise<InstallationView | undefined> {
  const { kubeconfig, context } = kubernetes;
  if (kubeconfig === undefined && context === undefined && !isInCluster(processEnvironment())) return undefined;
  const [{ openClient }, { viewInstallation }] = await Promise.all([
    import('./install/open-client.js'),
    import('./install/view-installation.js'),
  ]);
  const client = openClient(kubernetes);
  try {
    const namespace = kubernetes.namespace ?? client.namespace ?? DEFAULT_NAMESPACE;
    return await viewInstallation({ client, namespace, owner: istio.owner, nowMs: Date.now(), signal });
  } finally {
    await client.close();
  }
}

/** Only a Redis is asked: to open an embedded store would make one. */
async function examineStore(configuration: Configuration): Promise<StoreReport | undefined> {
  const url = configuration.store.url?.reveal();
  if (url === undefined || url.startsWith('embedded://')) return undefined;
  const { inspectRedis } = await import('./host/inspect-redis.js');
  try {
    const inspection = await inspectRedis(redisOptions(configuration, url));
    return { kind: 'redis', reachable: true, ...inspection, collectors: await readCollectors(configuration) };
  } catch (err) {
    return { kind: 'redis', reachable: false, reason: err instanceof Error ? err.message : String(err) };
  }
}

async function readCollectors(configuration: Configuration): Promise<NonNullable<StoreReport['collectors']>> {
  const store = await openSharedStore(configuration);
  try {
    const sources = (await store.sources()).filter(({ kind, untilMs }) => kind === 'dnstap' && untilMs > 0);
    return sources.map(({ name, connections, batches, untilMs }) => {
      return { name, connections, batches, secondsSinceReport: Math.round((Date.now() - untilMs) / 1000) };
    });
  } finally {
    await store.close();
  }
}

function createTelemetry({ log }: Configuration, stream: NodeJS.WriteStream): Telemetry {
  const automatic = stream.isTTY ? 'text' : 'json';
  const format = log.format === 'auto' ? automatic : log.format;
  return {
    log: createLogger({ level: log.level, format, stream, now: Date.now }),
    metrics: new Metrics(),
    health: new Health(),
  };
}

function requireEndpoints({ dnstap }: Configuration): void {
  if (dnstap.endpoints.length > 0) return;
  throw new ConfigurationError([
    {
      setting: 'dnstap.endpoints',
      value: 'nothing',
      allowed:
        'at least one --dnstap unix:///path, tcp://host:port or tls://host:port, or for `run` a capture to --read',
      from: 'default',
    },
  ]);
}

interface RunningCollector extends Running {
  readonly connections: () => ReturnType<Collector['connections']>;
}

async function startCollector(
  configuration: Configuration,
  store: HostStore,
  telemetry: Telemetry,
): Promise<RunningCollector> {
  const { dnstap } = configuration;
  const log = telemetry.log.child({ component: 'collector' });
  const source = randomUUID();
  const isShared = !storeUrl(configuration).startsWith(EMBEDDED);
  const peers = new PeerCount({ store, source, isShared, fromMs: Date.now(), log });
  const guard = new FloodGuard(configuration.observation);
  const table = createObservationTable({
    ...observationOptions(configuration, ownSearchList()),
    seed: randomInt(2 ** 31),
    onTextQuestion: (question) => guard.noteQuestion(question),
    origin: 'dnstap',
    now: Date.now,
    peers: () => peers.count,
    onClusterDomains: (domains) => log.info({ domains }, 'cluster domain found'),
  });
  const watch = new SourceWatch({ store, source, name: hostname(), fromMs: Date.now(), log });
  const recorder = new Recorder({ table, store, source, now: Date.now, log, guard, watch, peers });
  const collector = new Collector({
    endpoints: dnstap.endpoints,
    intake: createFrameIntake(table),
    maxConnections: dnstap.maxConnections,
    maxFrameBytes: dnstap.maxFrameBytes,
    socketMode: Number.parseInt(dnstap.socketMode, 8),
    ...(dnstap.allowedAddresses.length > 0 && { allowedAddresses: dnstap.allowedAddresses }),
    ...readTls(dnstap),
    onConnections: (connections, wasCut) => watch.noteConnections(connections, { atMs: Date.now(), wasCut }),
    log,
  });
  await collector.listen();
  recorder.start(configuration.observation.flushMs);
  observeCollector(telemetry.metrics, { table, recorder, collector, guard });
  return {
    connections: () => collector.connections(),
    close: async () => {
      await collector.close();
      await recorder.close(CLOSE_TIMEOUT_MS);
    },
  };
}

function readTls({ tlsCertFile, tlsKeyFile, tlsClientCaFile }: Configuration['dnstap']): {
  readonly tls?: ReceiverTlsOptions;
} {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return {};
  const read = (setting: string, path: string): string => readSettingFile(`dnstap.${setting}`, path);
  return {
    tls: {
      cert: read('tlsCertFile', tlsCertFile),
      key: read('tlsKeyFile', tlsKeyFile),
      ...(tlsClientCaFile !== undefined && { ca: read('tlsClientCaFile', tlsClientCaFile) }),
    },
  };
}

/** What a person has to do next. */
function tellCorefileLines({ dnstap }: Configuration, log: Logger): void {
  for (const endpoint of dnstap.endpoints) {
    const needed = corefileLine({ endpoint });
    if ('line' in needed) log.info({ line: needed.line }, 'CoreDNS needs this line in its server block');
    else log.warn({ endpoint, reason: needed.refused }, 'no line of a Corefile can name this endpoint');
  }
}

interface CollectorParts {
  readonly table: ObservationTable;
  readonly recorder: Recorder;
  readonly collector: Collector;
  readonly guard: FloodGuard;
}

function observeCollector(metrics: Metrics, { table, recorder, collector, guard }: CollectorParts): void {
  const single = (value: number): ReadonlyMap<string, number> => new Map([['', value]]);
  metrics.gauge('intake_connections', 'dnstap connections', () => collector.connections().length);
  metrics.counter('observation_responses_total', 'CLIENT_RESPONSE messages', undefined, () =>
    single(table.statistics().responses),
  );
  metrics.counter(
    'observation_rejected_total',
    'responses that taught nothing',
    'reason',
    () => table.statistics().rejected,
  );
  metrics.counter('observation_resets_total', 'times that the tables were full', undefined, () =>
    single(table.statistics().resets),
  );
  metrics.counter('observation_lost_total', 'observations dropped because the store was away too long', undefined, () =>
    single(table.statistics().lost),
  );
  metrics.counter(
    'intake_over_cap_total',
    'look-ups not recorded: their client had its share of hosts',
    undefined,
    () => single(guard.statistics().over),
  );
  metrics.gauge('intake_tunnels', 'parents whose children count in one row', () => guard.tunnels.length);
  metrics.counter('host_recorded_total', 'observations that the store acknowledged', undefined, () =>
    single(recorder.statistics().observations),
  );
  metrics.counter('host_record_failures_total', 'calls of the store that failed', undefined, () =>
    single(recorder.statistics().failures),
  );
}

/**
 * The part of the settings that decides what is learnt.
 *
 * @param searchList the search domains in this pod's resolv.conf.
 */
export function observationOptions(
  { observation }: Configuration,
  searchList: readonly string[],
): Omit<ObservationTableOptions, 'seed' | 'origin' | 'now'> {
  const clusterNetworks = new BlockList();
  const internal = observation.privateAddresses === 'internal' ? PRIVATE_NETWORKS : [];
  for (const cidr of [...observation.clusterCidrs, ...internal]) {
    const [address = '', bits] = cidr.split('/');
    clusterNetworks.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  const clusterDomain = observation.clusterDomain ?? clusterDomainOf(searchList);
  const nodeDomains = searchList.filter((domain) => clusterDomain === undefined || !isBelow(domain, clusterDomain));
  return {
    clusterDomains: clusterDomain === undefined ? [] : [clusterDomain],
    internalZones: observation.internalZones,
    searchDomains: [...new Set([...observation.searchDomains, ...nodeDomains])],
    clusterNetworks,
    maxPairs: observation.maxPairs,
  };
}

/**
 * The search list of this pod. The kubelet hands the same node domains to all pods of a node, after those of the cluster;
 * beside CoreDNS (`dnsPolicy: Default`) there are no others.
 */
function ownSearchList(): readonly string[] {
  try {
    return parseSearchList(readFileSync('/etc/resolv.conf', 'utf8'));
  } catch {
    return []; // no such file: nothing to learn from it
  }
}

/** Replays the captures in their order; returns the time of the last message. */
async function replayAll(
  configuration: Configuration,
  store: HostStore,
  log: Logger,
  signal: AbortSignal,
): Promise<number | undefined> {
  let last: number | undefined;
  for (const file of configuration.replay.files) {
    const observation = observationOptions(configuration, []); // a capture can be from anywhere
    const { frames, lastMs, truncatedBytes } = await replay({ file, store, observation, log, signal });
    log.info({ file, frames, truncatedBytes }, 'capture replayed');
    if (lastMs > 0) last = Math.max(last ?? 0, lastMs);
  }
  return last;
}

/** Looks after what `install` has changed in the cluster DNS. */
async function startDriftWatch(
  { istio, kubernetes }: Configuration,
  { cluster, mayWrite }: Target,
  { log, metrics }: Telemetry,
): Promise<Running> {
  const [{ DriftWatch }, { DRIFTS }, { recordName }] = await Promise.all([
    import('./install/drift-watch.js'),
    import('./install/drift.js'),
    import('./install/record.js'),
  ]);
  const namespace = kubernetes.namespace ?? cluster?.client.namespace ?? 'default';
  const common = { namespace, record: recordName(istio.owner), mayTell: mayWrite, now: Date.now };
  const watch = cluster && new DriftWatch({ ...cluster, ...common, log: log.child({ component: 'install' }) });
  for (const drift of DRIFTS) {
    const help = `1 while the ${drift} of the cluster DNS is not as it was left`;
    metrics.gauge(`install_drift_${drift}`, help, () => (watch?.drifts.includes(drift) === true ? 1 : 0));
  }
  const help = 'attempts to put the cluster DNS right since it last stayed as it was left';
  metrics.gauge('install_repair_attempts', help, () => watch?.repairAttempts ?? 0);
  const stop = new AbortController();
  const watching = watch?.run(stop.signal);
  return {
    close: async () => {
      stop.abort();
      await watching;
    },
  };
}

async function runReconciler(
  configuration: Configuration,
  options: {
    readonly store: HostStore;
    readonly target: Target;
    readonly telemetry: Telemetry;
    readonly once: boolean;
    readonly signal: AbortSignal;
    /** The clock of a replay. */
    readonly lastMs?: number;
  },
): Promise<void> {
  const { store, target, telemetry, once, signal, lastMs } = options;
  const log = telemetry.log.child({ component: 'reconciler' });
  const { sink, index } = target;
  const settings = reconcileSettings(configuration, { graceMs: target.graceMs, once });
  const input: Omit<ReconcileInput, 'nowMs' | 'signal'> = { store, sink, index, settings };
  telemetry.health.register('pods', () =>
    target.graceMs() === Infinity ? 'the API server does not answer' : undefined,
  );
  await target.ready(signal);
  if (once) {
    await until(target.mayWrite, signal);
    const { result } = await reconcileOnce({ ...input, nowMs: lastMs ?? Date.now(), signal });
    for (const failure of result.failures) log.error({ ...failure }, 'ServiceEntry not written');
    if (result.failures.length > 0) throw new IncompleteError(result.failures.length);
    return;
  }
  const { intervalMs } = configuration.reconcile;
  const { cluster, mayWrite: mayRun } = target;
  const onStatus = cluster && (await createEventRecorder(cluster, { log, signal }));
  const loop = new ReconcileLoop({ input, intervalMs, now: Date.now, log, mayRun, ...(onStatus && { onStatus }) });
  target.onChange(() => loop.wake());
  telemetry.health.register('reconciler', () => loop.fault);
  observeReconciler(telemetry.metrics, loop);
  await loop.run(signal);
}

/** A run that came to its end, but not with every entry written. */
class IncompleteError extends Error {
  override readonly name = 'IncompleteError';
  readonly code = 'RECONCILE_INCOMPLETE';

  constructor(count: number) {
    super(`${count} ServiceEntries could not be written`);
  }
}

/** Tells of each run in Events of the namespaces. That one cannot be recorded is no failure of the run. */
async function createEventRecorder(
  { client, instance }: NonNullable<Target['cluster']>,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<(status: ReconcileStatus, before: ReconcileStatus | undefined) => void> {
  const [{ recordEvent }, { eventsOf }] = await Promise.all([
    import('./kubernetes/record-event.js'),
    import('./reconciler/entry-events.js'),
  ]);
  const record = async (event: EntryEvent): Promise<void> => {
    const regarding = { apiVersion: 'v1', kind: 'Namespace', name: event.namespace };
    const reporting = { reportingController: 'istio-discovery.io/reconciler', reportingInstance: instance };
    await recordEvent({ client, ...event, regarding, ...reporting, nowMs: Date.now(), signal });
  };
  let last: Promise<void> = Promise.resolve();
  return (status, before) => {
    const events = eventsOf(status, before);
    // One after the other, and beside the run: Events are worth less than entries.
    last = last.then(async () => {
      for (const event of events) {
        await record(event).catch((err: unknown) => log.debug({ err }, 'Event not recorded'));
      }
    });
  };
}

function observeReconciler(metrics: Metrics, loop: ReconcileLoop): void {
  metrics.gauge(
    'reconciler_last_run_timestamp_seconds',
    'when a run last came to its end',
    () => (loop.status?.atMs ?? 0) / 1000,
  );
  const single = (value: number): ReadonlyMap<string, number> => new Map([['', value]]);
  metrics.counter('reconciler_runs_total', 'runs that came to their end', undefined, () => single(loop.runs));
  metrics.gauge('reconciler_waiting', 'evidence whose client is not known yet', () => loop.status?.waiting ?? 0);
  metrics.gauge(
    'reconciler_entries',
    'ServiceEntries that are as they should be',
    () => loop.status?.plan.keep.length ?? 0,
  );
  metrics.gauge(
    'reconciler_failures',
    'ServiceEntries that the last run could not write',
    () => loop.status?.result.failures.length ?? 0,
  );
  metrics.gauge('reconciler_refused', 'ServiceEntries that cannot be', () => loop.status?.refused.length ?? 0);
  metrics.gauge(
    'reconciler_skipped',
    'ServiceEntries that are not written by a rule of the plan',
    () => loop.status?.plan.skipped.length ?? 0,
  );
  metrics.gauge(
    'reconciler_would_break',
    'hosts in use that get no ServiceEntry because learning is frozen',
    () => loop.status?.wouldBreak ?? 0,
  );
  metrics.gauge('reconciler_crds_absent', '1 while the custom resource definitions of Istio are not installed', () =>
    loop.faultCode === 'KUBERNETES_ERR_RESOURCE_ABSENT' ? 1 : 0,
  );
}

function beliefSettings(host: Configuration['host']): BeliefSettings {
  return {
    policy: host.policy,
    stabilityMs: host.stabilitySeconds * 1000,
    expiryMs: host.expirySeconds * 1000,
    retireMs: host.retireSeconds * 1000,
    rules: configuredRules({ host }),
    caps: {
      all: host.maxHosts,
      domain: host.maxHostsPerDomain,
      namespace: host.maxHostsPerNamespace,
      workload: host.maxHostsPerWorkload,
    },
    wildcardChildren: host.wildcardChildren,
  };
}

/** The rules of the settings. @throws ConfigurationError */
export function configuredRules({ host }: Pick<Configuration, 'host'>): readonly HostRule[] {
  const parsed = host.rules.map((line) => ({ line, rule: parseRule(line) }));
  const problems = parsed.flatMap(({ line, rule }) =>
    'problem' in rule
      ? [{ setting: 'host.rules', value: JSON.stringify(line), allowed: rule.problem, from: 'settings' }]
      : [],
  );
  if (problems.length > 0) throw new ConfigurationError(problems);
  return parsed.flatMap(({ rule }) => ('problem' in rule ? [] : [rule]));
}

function readPort(text: string): PortSpec {
  const port = parsePort(text);
  const withheld = port && decidePorts([{ ...port, isOrdered: true }], []).withheld[0]?.reason;
  if (port !== undefined && withheld === undefined) return port;
  const allowed = `NUMBER/PROTOCOL, the number from 1 to 65535${withheld === undefined ? '' : `; this one: ${withheld}`}`;
  throw new ConfigurationError([{ setting: 'istio.ports', value: text, allowed, from: 'the settings' }]);
}

/** Hosts of the settings whose entry is not the usual one. @throws ConfigurationError */
function specialHosts({ istio }: Configuration): ReadonlyMap<string, SpecialHost> {
  const lines = [
    ...istio.tcpRanges.map((line) => ({ setting: 'istio.tcpRanges', form: 'ranges', line }) as const),
    ...istio.dnsHosts.map((line) => ({ setting: 'istio.dnsHosts', form: 'dns', line }) as const),
    ...istio.dynamicDnsHosts.map((line) => ({ setting: 'istio.dynamicDnsHosts', form: 'dynamic-dns', line }) as const),
  ];
  const hosts = new Map<string, SpecialHost>();
  const problems = lines.flatMap(({ setting, form, line }) => {
    const problem = (allowed: string): readonly ConfigurationProblem[] => {
      return [{ setting, value: JSON.stringify(line), allowed, from: 'settings' }];
    };
    const special = parseSpecialHost(form, line);
    if ('problem' in special) return problem(special.problem);
    if (hosts.has(special.hostname)) return problem('each host once, in one of these settings');
    if (form === 'dns' && !istio.dnsCapture)
      return problem('nothing without istio.dnsCapture: proxies must capture DNS');
    hosts.set(special.hostname, special);
    return [];
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return hosts;
}

/** The part of the settings that decides what is written. */
export function reconcileSettings(
  configuration: Configuration,
  { graceMs, once = false }: Pick<Target, 'graceMs'> & { readonly once?: boolean },
): ReconcileSettings {
  const { istio, host, observation, reconcile: limits } = configuration;
  const clusterDomain = observation.clusterDomain ?? clusterDomainOf(ownSearchList());
  return {
    owner: istio.owner,
    exportTo: istio.exportTo,
    defaultNamespace: istio.defaultNamespace,
    apiVersion: 'networking.istio.io/v1',
    lifecycle: beliefSettings(host),
    mode: istio.mode,
    centralNamespace: istio.centralNamespace,
    ports: istio.ports.map(readPort),
    specialHosts: specialHosts(configuration),
    policy: {
      owner: istio.owner,
      maxChanges: limits.maxChanges,
      maxDeletions: limits.maxDeletions,
      maxDeletionShare: limits.maxDeletionShare,
      deletionsConfirmed: limits.confirmDeletions,
      deleteAfterMs: limits.deleteAfterSeconds * 1000,
      deleteAfterPlans: once ? 1 : limits.deleteAfterRuns, // runs may be days apart; the time counts all the same
      maxEntries: limits.maxEntries,
      maxEntriesPerNamespace: limits.maxEntriesPerNamespace,
      rootNamespace: istio.rootNamespace,
      defaultExportTo: istio.meshExportTo,
      capturesDns: istio.dnsCapture,
      ...(clusterDomain === undefined ? {} : { clusterDomain }),
    },
    onDeleted: limits.onDeleted,
    get graceMs() {
      return graceMs(); // asked at each run
    },
  };
}

async function startHttp(
  { http }: Configuration,
  { log, metrics, health }: Telemetry,
  connections?: RunningCollector['connections'],
): Promise<Running> {
  if (http.address === '') return { close: async () => undefined };
  const server = new HttpServer({
    address: http.address,
    health,
    metrics,
    log: log.child({ component: 'http' }),
    ...(connections && { connections }),
  });
  await server.listen();
  return server;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** The last opened first: what feeds the store is closed before the store. */
async function closeAll(running: readonly Running[]): Promise<void> {
  for (const one of running.toReversed()) await one.close();
}
