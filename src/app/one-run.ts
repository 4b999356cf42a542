import type { Configuration } from '../config/schema.js';
import {
  previewReconcile,
  reconcileOnce,
  type ReconcileInput,
  type ReconcilePreview,
  type ReconcileStatus,
} from '../reconciler/reconcile-once.js';
import { reconcileSettings } from './reconcile-settings.js';
import { closeAll, type Running } from './running.js';
import { openSharedStore } from './store.js';
import { openTarget, until, type Target } from './target.js';
import { createTelemetry } from './telemetry.js';

export interface OnceOptions {
  /** Where the target `stdout` prints. */
  readonly stdout: NodeJS.WritableStream;
  readonly logStream: NodeJS.WriteStream;
  readonly signal: AbortSignal;
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
