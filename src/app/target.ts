import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { ConfigurationError, isInCluster, processEnvironment } from '../config/load.js';
import type { Configuration } from '../config/schema.js';
import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesError } from '../kubernetes/kubernetes-error.js';
import type { ClusterState } from '../reconciler/cluster-state.js';
import { DirectorySink } from '../reconciler/directory-sink.js';
import type { ServiceEntrySink } from '../reconciler/sink.js';
import { StdoutSink } from '../reconciler/stdout-sink.js';
import type { Logger } from '../telemetry/logger.js';
import { PodIndex } from '../workload/pod-index.js';
import { readObjects } from '../workload/read-objects.js';

/** Where ServiceEntries go and where pods are known from. */
export interface Target {
  readonly sink: ServiceEntrySink;
  readonly index: PodIndex;
  /** How long evidence waits for its client to become known: not at all where nothing more will become known. */
  readonly graceMs: () => number;
  /** Whether this process may write now. */
  readonly mayWrite: () => boolean;
  /** Resolves when it is known what there is to be known at the start; rejects where only one look is taken. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  /** Calls back when something that a plan depends on is different from before. */
  readonly onChange: (callback: () => void) => void;
  /** The cluster that is written to. */
  readonly cluster?: { readonly client: KubernetesClient; readonly instance: string };
  close(): Promise<void>;
}

export interface TargetOptions {
  readonly role: 'run' | 'reconcile';
  /** One look at everything, instead of following what happens. */
  readonly once: boolean;
  readonly log: Logger;
  /** Where the target `stdout` prints. */
  readonly stdout: NodeJS.WritableStream;
}

/** How long the API server may take to tell of a pod that has looked something up already. */
export const ATTRIBUTION_GRACE_MS = 10_000;

const DEFAULT_DIRECTORY = 'service-entries';
/** What runs once must come to an end. */
const ONCE_TIMEOUT_MS = 60_000;
/** What does not pass while one waits. */
const HOPELESS: ReadonlySet<string> = new Set(['KUBERNETES_ERR_FORBIDDEN', 'KUBERNETES_ERR_UNAUTHORIZED']);

/** The cluster where one is named or this is a pod of one, else a directory. */
export async function openTarget(configuration: Configuration, options: TargetOptions): Promise<Target> {
  const { replay } = configuration;
  checkTarget(configuration, options);
  if (hasCluster(configuration, options) && replay.objects === undefined) return openCluster(configuration, options);
  const index = new PodIndex();
  if (replay.objects !== undefined) for await (const event of readObjects(replay.objects)) index.apply(event);
  return {
    sink: createFileSink(configuration, options),
    index,
    graceMs: () => 0,
    mayWrite: () => true,
    ready: async () => undefined,
    onChange: () => undefined,
    close: async () => undefined,
  };
}

function checkTarget({ output, replay }: Configuration, { once }: TargetOptions): void {
  const problem = (value: string, allowed: string): ConfigurationError =>
    new ConfigurationError([{ setting: 'output.target', value, allowed, from: 'flag --target' }]);
  if (output.target === 'stdout' && !once) throw problem('stdout', 'stdout only with --once');
  if (output.target === 'cluster' && replay.objects !== undefined) {
    throw problem('cluster', 'directory, kustomize or stdout with --objects, which stands for a cluster');
  }
}

function hasCluster({ output, kubernetes }: Configuration, { role }: TargetOptions): boolean {
  if (output.target === 'cluster') return true;
  const isNamed = kubernetes.kubeconfig !== undefined || kubernetes.context !== undefined;
  const isDirectory = output.directory !== undefined || output.target !== 'auto' || role === 'run';
  return isNamed || isInCluster(processEnvironment()) || !isDirectory;
}

/** Whether entries go into the cluster that is read. */
function isClusterSink({ output }: Configuration): boolean {
  return output.target === 'cluster' || (output.target === 'auto' && output.directory === undefined);
}

function createFileSink(
  { output }: Configuration,
  { stdout }: TargetOptions,
  cluster?: ClusterState,
): ServiceEntrySink {
  if (output.target === 'stdout') return new StdoutSink(stdout, cluster);
  const isKustomization = output.target === 'kustomize';
  return new DirectorySink(output.directory ?? DEFAULT_DIRECTORY, { isKustomization });
}

async function openCluster(configuration: Configuration, options: TargetOptions): Promise<Target> {
  // Loaded on demand: the Kubernetes client costs 40 MB that the collector must not need.
  const [{ KubernetesClient }, { ClusterSink }, { WorkloadWatch }] = await Promise.all([
    import('../kubernetes/client.js'),
    import('../reconciler/cluster-sink.js'),
    import('../workload/watch-workloads.js'),
  ]);
  const { once } = options;
  const log = options.log.child({ component: 'kubernetes' });
  const { kubernetes } = configuration;
  const { maxWritesPerSecond } = configuration.reconcile;
  const client = KubernetesClient.load({
    ...(kubernetes.kubeconfig !== undefined && { kubeconfig: kubernetes.kubeconfig }),
    ...(kubernetes.context !== undefined && { context: kubernetes.context }),
  });
  if (kubernetes.namespaces.length > 0) {
    const { namespaces } = kubernetes;
    log.warn({ namespaces }, 'only these namespaces are read: what others export to them is not known');
  }
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // each watch listens; Node takes more than ten for a leak
  const changes = new Changes();
  const instance = `${hostname()}_${randomUUID()}`;
  const election = await startElection(configuration, { client, instance, log, changes, signal: stop.signal });
  let podFault: KubernetesError | undefined;
  const index = new PodIndex();
  const tellFault = faultLog(log);
  const watch = new WorkloadWatch({
    client,
    index,
    ...namespacesOf(configuration),
    now: Date.now,
    onError: (kind, err, retryInMs) => {
      if (kind === 'Pod') podFault = err;
      tellFault(kind, err, retryInMs);
    },
  });
  const { state, watching } = await openState(configuration, { client, once, log, changes, signal: stop.signal });
  const watchingPods = watch.run(stop.signal);
  const sink = isClusterSink(configuration)
    ? new ClusterSink({ client, state, mayWrite: election.mayWrite, maxWritesPerSecond })
    : createFileSink(configuration, options, state);
  return {
    sink,
    index,
    // While the pods are not known, that an address is nobody's says nothing.
    graceMs: () => (watch.isCurrent() ? ATTRIBUTION_GRACE_MS : Infinity),
    mayWrite: election.mayWrite,
    ready: async (signal) => {
      if (!once) return until(() => watch.isCurrent(), signal);
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(ONCE_TIMEOUT_MS)]);
      await until(() => watch.isCurrent() || HOPELESS.has(podFault?.code ?? ''), deadline);
      if (!watch.isCurrent() && !signal.aborted) throw podFault ?? new Error('the pods could not be read in time');
    },
    onChange: (callback) => changes.subscribe(callback),
    ...(isClusterSink(configuration) && { cluster: { client, instance } }),
    close: async () => {
      stop.abort();
      await Promise.all([watching, watchingPods, election.ended]);
      await client.close();
    },
  };
}

/** Logs why a watch was interrupted: once for the same reason in a row, since a right that is missing is missed for ever. */
function faultLog(log: Logger): (resource: string, err: KubernetesError, retryInMs: number) => void {
  const told = new Map<string, string>();
  return (resource, err, retryInMs) => {
    const level = told.get(resource) === err.code ? 'debug' : 'warn';
    told.set(resource, err.code);
    log[level]({ err, resource, retryInMs }, 'watch interrupted');
  };
}

interface ClusterParts {
  readonly client: KubernetesClient;
  readonly log: Logger;
  readonly changes: Changes;
  readonly signal: AbortSignal;
}

async function openState(
  configuration: Configuration,
  { client, once, log, changes, signal }: ClusterParts & { readonly once: boolean },
): Promise<{ readonly state: ClusterState; readonly watching: Promise<void> }> {
  if (once) {
    const { ListedCluster } = await import('../reconciler/cluster-state.js');
    const state = new ListedCluster({ client, ...namespacesOf(configuration) });
    return { state, watching: Promise.resolve() };
  }
  const { WatchedCluster } = await import('../reconciler/watched-cluster.js');
  const state = new WatchedCluster({
    client,
    owner: configuration.istio.owner,
    ...namespacesOf(configuration),
    onChange: () => changes.tell(),
    onError: faultLog(log),
  });
  return { state, watching: state.run(signal) };
}

function namespacesOf({ kubernetes: { namespaces } }: Configuration): { readonly namespaces?: readonly string[] } {
  return namespaces.length === 0 ? {} : { namespaces };
}

/** Takes part in the election where settings ask for it; otherwise this process always leads. */
async function startElection(
  { reconcile: { leaderElection }, kubernetes, istio }: Configuration,
  { client, instance, log, changes, signal }: ClusterParts & { readonly instance: string },
): Promise<{ readonly mayWrite: () => boolean; readonly ended: Promise<void> }> {
  if (!leaderElection) return { mayWrite: () => true, ended: Promise.resolve() };
  const { LeaderElector } = await import('../kubernetes/lease.js');
  const elector = new LeaderElector({
    client,
    namespace: kubernetes.namespace ?? client.namespace ?? 'default',
    name: istio.owner,
    identity: instance,
    onChange: (isLeader) => {
      log.info({ isLeader }, 'leadership changed');
      changes.tell();
    },
    onError: (err) => log.warn({ err }, 'lease not renewed'),
  });
  return { mayWrite: () => elector.isLeader(), ended: elector.run(signal) };
}

/** Tells whoever wants to know that something has changed. */
class Changes {
  readonly #callbacks: (() => void)[] = [];

  subscribe(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  tell(): void {
    for (const callback of this.#callbacks) callback();
  }
}

const POLL_MS = 50;

/** Waits until `condition` holds or the signal aborts. */
export async function until(condition: () => boolean, signal: AbortSignal): Promise<void> {
  while (!condition() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
