import type { Configuration } from '../config/schema.js';
import type { HostStore } from '../host/host-store.js';
import { requireEndpoints, startCollector, tellCorefileLines, type RunningCollector } from './collector.js';
import { startDriftWatch } from './drift-watch.js';
import { startHttp } from './http.js';
import { runReconciler } from './reconciler.js';
import { replayAll } from './replay.js';
import { aborted, closeAll, type Running } from './running.js';
import { openStore } from './store.js';
import { openTarget } from './target.js';
import { createTelemetry } from './telemetry.js';

export interface RoleOptions {
  /** Work through what there is, then end. */
  readonly once: boolean;
  /** Where the target `stdout` prints. */
  readonly stdout: NodeJS.WritableStream;
  readonly logStream: NodeJS.WriteStream;
  /** Ends the role in good order. */
  readonly signal: AbortSignal;
}

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
    running.push(collector);
    running.push(await startHttp(configuration, telemetry, collector.connections));
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
