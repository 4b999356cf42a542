import type { Configuration } from '../config/schema.js';
import type { HostStore } from '../host/host-store.js';
import type { EntryEvent } from '../reconciler/entry-events.js';
import { ReconcileLoop } from '../reconciler/loop.js';
import { reconcileOnce, type ReconcileInput, type ReconcileStatus } from '../reconciler/reconcile-once.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { reconcileSettings } from './reconcile-settings.js';
import { until, type Target } from './target.js';
import type { Telemetry } from './telemetry.js';

export async function runReconciler(
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
    import('../kubernetes/record-event.js'),
    import('../reconciler/entry-events.js'),
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
  metrics.counter('reconciler_runs_total', 'runs that came to their end', () => loop.runs);
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
