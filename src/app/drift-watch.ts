import type { Configuration } from '../config/schema.js';
import type { Running } from './running.js';
import type { Target } from './target.js';
import type { Telemetry } from './telemetry.js';

/** Looks after what `install` has changed in the cluster DNS. */
export async function startDriftWatch(
  { istio, kubernetes }: Configuration,
  { cluster, mayWrite }: Target,
  { log, metrics }: Telemetry,
): Promise<Running> {
  const [{ DriftWatch }, { DRIFTS }, { recordName }] = await Promise.all([
    import('../install/drift-watch.js'),
    import('../install/drift.js'),
    import('../install/record.js'),
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
