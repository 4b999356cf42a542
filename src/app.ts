import { randomInt, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { BlockList, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { HttpServer } from './api/http-server.js';
import { ConfigurationError, defaultStateDirectory, isInCluster, processEnvironment } from './config/load.js';
import type { Configuration } from './config/schema.js';
import type { HostStore } from './host/host-store.js';
import { Collector } from './intake/dnstap/collector.js';
import { corefileLine } from './install/corefile/corefile-line.js';
import { createFrameIntake } from './intake/frame-intake.js';
import { Recorder } from './intake/recorder.js';
import { replay } from './intake/replay/replay.js';
import {
  createObservationTable,
  type ObservationTable,
  type ObservationTableOptions,
} from './observation/observation-table.js';
import type { KubernetesClient } from './kubernetes/client.js';
import { DirectorySink } from './reconciler/directory-sink.js';
import { ReconcileLoop } from './reconciler/loop.js';
import { reconcileOnce, type ReconcileInput, type ReconcileSettings } from './reconciler/reconcile-once.js';
import type { ServiceEntrySink } from './reconciler/sink.js';
import { Health } from './telemetry/health.js';
import { createLogger, type Logger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';
import { PodIndex } from './workload/pod-index.js';
import { readObjects } from './workload/read-objects.js';

/** Something that runs until it is closed. */
interface Running {
  close(): Promise<void>;
}

interface Telemetry {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
}

export interface RoleOptions {
  /** Work through what there is, then end. */
  readonly once: boolean;
  readonly logStream: NodeJS.WriteStream;
  /** Ends the role in good order. */
  readonly signal: AbortSignal;
}

/** How long the last observations may take to be recorded at the end. Kubernetes kills after 30 s. */
const CLOSE_TIMEOUT_MS = 10_000;

/** How long the API server may take to tell of a pod that has looked something up already. */
export const ATTRIBUTION_GRACE_MS = 10_000;

/** A share of deletions above which something is more likely wrong with the evidence than with the hosts. */
const MAX_DELETION_SHARE = 0.2;

const DEFAULT_DIRECTORY = 'service-entries';

/** The collector: dnstap in, observations into the store, until the signal aborts. */
export async function collect(configuration: Configuration, { logStream, signal }: RoleOptions): Promise<void> {
  requireEndpoints(configuration);
  const telemetry = createTelemetry(configuration, logStream);
  const running: Running[] = [];
  try {
    const store = await openStore(configuration, telemetry.log);
    running.push(store, await startCollector(configuration, store, telemetry));
    running.push(await startHttp(configuration, telemetry));
    await aborted(signal);
  } finally {
    await closeAll(running);
  }
}

/** The reconciler: hosts out of the store, ServiceEntries into the cluster or a directory. */
export async function reconcile(configuration: Configuration, { once, logStream, signal }: RoleOptions): Promise<void> {
  const telemetry = createTelemetry(configuration, logStream);
  const running: Running[] = [];
  try {
    const store = await openStore(configuration, telemetry.log);
    running.push(store);
    const target = await openTarget(configuration, telemetry, 'reconcile');
    running.push(target);
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
  const { once, logStream, signal } = options;
  if (configuration.replay.files.length === 0) requireEndpoints(configuration);
  const telemetry = createTelemetry(configuration, logStream);
  const running: Running[] = [];
  try {
    const store = await openStore(configuration, telemetry.log);
    running.push(store);
    if (!once) {
      running.push(await startCollector(configuration, store, telemetry));
      tellCorefileLines(configuration, telemetry.log);
    }
    const lastMs = await replayAll(configuration, store, telemetry.log, signal);
    const target = await openTarget(configuration, telemetry, 'run');
    running.push(target);
    if (!once) running.push(await startHttp(configuration, telemetry));
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

/** Opens the store that the settings name; the embedded one in the user's state directory by default. */
export async function openStore(configuration: Configuration, log?: Logger): Promise<HostStore> {
  const url = configuration.store.url?.reveal() ?? `embedded://${defaultStateDirectory(processEnvironment())}`;
  // Loaded on demand: no role needs both, and the collector's memory counts on every DNS pod.
  if (url.startsWith('embedded://')) {
    const { openEmbeddedStore } = await import('./host/embedded-store.js');
    return openEmbeddedStore(url.slice('embedded://'.length));
  }
  const { openRedisStore } = await import('./host/redis-store.js');
  let wasConnected: boolean | undefined;
  const { password, sentinelPassword, ...settings } = configuration.store;
  return openRedisStore({
    ...settings,
    url,
    password: password?.reveal(),
    sentinelPassword: sentinelPassword?.reveal(),
    onConnection: ({ connected, err }) => {
      if (connected === wasConnected) return;
      wasConnected = connected;
      if (connected) log?.info({}, 'Redis connected');
      else log?.warn({ err }, 'Redis is away');
    },
  });
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
      allowed: 'at least one --dnstap unix:///path or tcp://host:port, or for `run` a capture to --read',
      from: 'default',
    },
  ]);
}

async function startCollector(configuration: Configuration, store: HostStore, telemetry: Telemetry): Promise<Running> {
  const { dnstap } = configuration;
  const table = createObservationTable({
    ...observationOptions(configuration, nodeSearchDomains(configuration.observation.clusterDomain)),
    seed: randomInt(2 ** 31),
    origin: 'dnstap',
    now: Date.now,
  });
  const log = telemetry.log.child({ component: 'collector' });
  const recorder = new Recorder({ table, store, source: randomUUID(), now: Date.now, log });
  const collector = new Collector({
    endpoints: dnstap.endpoints,
    intake: createFrameIntake(table),
    maxConnections: dnstap.maxConnections,
    maxFrameBytes: dnstap.maxFrameBytes,
    socketMode: Number.parseInt(dnstap.socketMode, 8),
    log,
  });
  await collector.listen();
  recorder.start(configuration.observation.flushMs);
  observeCollector(telemetry.metrics, table, recorder, collector);
  return {
    close: async () => {
      await collector.close();
      await recorder.close(CLOSE_TIMEOUT_MS);
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

function observeCollector(metrics: Metrics, table: ObservationTable, recorder: Recorder, collector: Collector): void {
  const single = (value: number): ReadonlyMap<string, number> => new Map([['', value]]);
  metrics.gauge('intake_connections', 'dnstap connections', () => collector.connections());
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
  metrics.counter('host_recorded_total', 'observations that the store acknowledged', undefined, () =>
    single(recorder.statistics().observations),
  );
  metrics.counter('host_record_failures_total', 'calls of the store that failed', undefined, () =>
    single(recorder.statistics().failures),
  );
}

/** The part of the settings that decides what is learnt. */
export function observationOptions(
  { observation }: Configuration,
  nodeDomains: readonly string[],
): Omit<ObservationTableOptions, 'seed' | 'origin' | 'now'> {
  const clusterNetworks = new BlockList();
  for (const cidr of observation.clusterCidrs) {
    const [address = '', bits] = cidr.split('/');
    clusterNetworks.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return {
    clusterDomain: observation.clusterDomain,
    internalZones: observation.internalZones,
    searchDomains: [...new Set([...observation.searchDomains, ...nodeDomains])],
    clusterNetworks,
    maxPairs: observation.maxPairs,
  };
}

/**
 * The search domains of this pod's node. Beside CoreDNS (`dnsPolicy: Default`) they are in /etc/resolv.conf, and the
 * kubelet hands the same ones to all pods of the node.
 */
function nodeSearchDomains(clusterDomain: string): readonly string[] {
  try {
    const lines = readFileSync('/etc/resolv.conf', 'utf8').split('\n');
    const domains =
      lines
        .findLast((line) => line.startsWith('search '))
        ?.split(/\s+/)
        .slice(1) ?? [];
    return domains
      .map((domain) => domain.toLowerCase().replace(/\.$/, ''))
      .filter((domain) => domain.includes('.') && !domain.endsWith(clusterDomain));
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

/** Where ServiceEntries go and where pods are known from. */
export interface Target extends Running {
  readonly sink: ServiceEntrySink;
  readonly index: PodIndex;
  /** How long evidence waits for its client to become known: not at all where nothing more will become known. */
  readonly graceMs: () => number;
  /** Whether this process may write now. */
  readonly mayWrite: () => boolean;
  /** Resolves when it is known what there is to be known at the start. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
}

/** The cluster where one is named or this is a pod of one, else a directory. */
async function openTarget(
  configuration: Configuration,
  telemetry: Telemetry,
  role: 'run' | 'reconcile',
): Promise<Target> {
  const {
    output,
    kubernetes,
    replay: { objects },
  } = configuration;
  const isNamed = kubernetes.kubeconfig !== undefined || kubernetes.context !== undefined;
  const isDirectory = output.directory !== undefined || role === 'run';
  const hasCluster = isNamed || isInCluster(processEnvironment()) || !isDirectory;
  if (hasCluster && objects === undefined) return openCluster(configuration, telemetry);
  const index = new PodIndex();
  if (objects !== undefined) for await (const event of readObjects(objects)) index.apply(event);
  return {
    sink: new DirectorySink(output.directory ?? DEFAULT_DIRECTORY),
    index,
    graceMs: () => 0,
    mayWrite: () => true,
    ready: async () => undefined,
    close: async () => undefined,
  };
}

async function openCluster(configuration: Configuration, telemetry: Telemetry): Promise<Target> {
  // Loaded on demand: the Kubernetes client costs 40 MB that the collector must not need.
  const [{ KubernetesClient }, { ClusterSink }, { WorkloadWatch }] = await Promise.all([
    import('./kubernetes/client.js'),
    import('./reconciler/cluster-sink.js'),
    import('./workload/watch-workloads.js'),
  ]);
  const log = telemetry.log.child({ component: 'kubernetes' });
  const { kubernetes, output } = configuration;
  const client = KubernetesClient.load({
    ...(kubernetes.kubeconfig === undefined ? {} : { kubeconfig: kubernetes.kubeconfig }),
    ...(kubernetes.context === undefined ? {} : { context: kubernetes.context }),
  });
  const stop = new AbortController();
  const index = new PodIndex();
  const watch = new WorkloadWatch({
    client,
    index,
    now: Date.now,
    onError: (kind, err, retryInMs) => log.warn({ err, kind, retryInMs }, 'watch interrupted'),
  });
  const election = await startElection(configuration, { client, log, signal: stop.signal });
  const { mayWrite } = election;
  const watching = watch.run(stop.signal);
  return {
    sink: output.directory === undefined ? new ClusterSink({ client, mayWrite }) : new DirectorySink(output.directory),
    index,
    // While the pods are not known, that an address is nobody's says nothing.
    graceMs: () => (watch.isCurrent() ? ATTRIBUTION_GRACE_MS : Infinity),
    mayWrite,
    ready: async (signal) => until(() => watch.isCurrent(), signal),
    close: async () => {
      stop.abort();
      await Promise.all([watching, election.ended]);
      await client.close();
    },
  };
}

/** Takes part in the election where settings ask for it; otherwise this process always leads. */
async function startElection(
  { reconcile: { leaderElection }, kubernetes, istio }: Configuration,
  { client, log, signal }: { readonly client: KubernetesClient; readonly log: Logger; readonly signal: AbortSignal },
): Promise<{ readonly mayWrite: () => boolean; readonly ended: Promise<void> }> {
  if (!leaderElection) return { mayWrite: () => true, ended: Promise.resolve() };
  const { LeaderElector } = await import('./kubernetes/lease.js');
  const elector = new LeaderElector({
    client,
    namespace: kubernetes.namespace ?? client.namespace ?? 'default',
    name: istio.owner,
    identity: `${hostname()}_${randomUUID()}`,
    onChange: (isLeader) => log.info({ isLeader }, 'leadership changed'),
    onError: (err) => log.warn({ err }, 'lease not renewed'),
  });
  return { mayWrite: () => elector.isLeader(), ended: elector.run(signal) };
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
  const settings = reconcileSettings(configuration, target);
  const input: Omit<ReconcileInput, 'nowMs' | 'signal'> = { store, sink, index, settings };
  telemetry.health.register('pods', () =>
    target.graceMs() === Infinity ? 'the API server does not answer' : undefined,
  );
  await target.ready(signal);
  if (once) {
    await until(target.mayWrite, signal);
    const { result } = await reconcileOnce({ ...input, nowMs: lastMs ?? Date.now(), signal });
    for (const failure of result.failures) log.error({ ...failure }, 'ServiceEntry not written');
    return;
  }
  const { intervalMs } = configuration.reconcile;
  const loop = new ReconcileLoop({ input, intervalMs, now: Date.now, log, mayRun: target.mayWrite });
  telemetry.health.register('reconciler', () => loop.fault);
  observeReconciler(telemetry.metrics, loop);
  await loop.run(signal);
}

function observeReconciler(metrics: Metrics, loop: ReconcileLoop): void {
  metrics.gauge(
    'reconciler_last_run_timestamp_seconds',
    'when a run last came to its end',
    () => (loop.status?.atMs ?? 0) / 1000,
  );
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
}

/** The part of the settings that decides what is written. */
export function reconcileSettings(
  { istio, host, reconcile: limits }: Configuration,
  target: Pick<Target, 'graceMs'>,
): ReconcileSettings {
  return {
    owner: istio.owner,
    exportTo: istio.exportTo,
    defaultNamespace: istio.defaultNamespace,
    apiVersion: 'networking.istio.io/v1',
    lifecycle: { policy: host.policy, stabilityMs: host.stabilitySeconds * 1000 },
    policy: {
      owner: istio.owner,
      maxChanges: limits.maxChanges,
      maxDeletions: limits.maxDeletions,
      maxDeletionShare: MAX_DELETION_SHARE,
    },
    get graceMs() {
      return target.graceMs(); // asked at each run
    },
  };
}

async function startHttp({ http }: Configuration, { log, metrics, health }: Telemetry): Promise<Running> {
  if (http.address === '') return { close: async () => undefined };
  const server = new HttpServer({ address: http.address, health, metrics, log: log.child({ component: 'http' }) });
  await server.listen();
  return server;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

const POLL_MS = 50;

/** Waits until `condition` holds or the signal aborts. */
async function until(condition: () => boolean, signal: AbortSignal): Promise<void> {
  while (!condition() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** The last opened first: what feeds the store is closed before the store. */
async function closeAll(running: readonly Running[]): Promise<void> {
  for (const one of running.toReversed()) await one.close();
}
