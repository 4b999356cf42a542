import type { Logger } from '../telemetry/logger.js';
import { reconcileOnce, type ReconcileInput, type ReconcileStatus } from './reconcile-once.js';

export interface LoopOptions {
  readonly input: Omit<ReconcileInput, 'nowMs' | 'signal'>;
  readonly intervalMs: number;
  readonly now: () => number;
  readonly log: Logger;
  /** Only while this says so does a run take place: the leader's. */
  readonly mayRun: () => boolean;
}

const MAX_BACKOFF_MS = 60_000;

/** Runs again and again; after a failure ever more rarely, up to once a minute. */
export class ReconcileLoop {
  readonly #options: LoopOptions;
  #status: ReconcileStatus | undefined;
  #fault: string | undefined;
  #failures = 0;
  #wake: (() => void) | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** The last run that came to its end. */
  get status(): ReconcileStatus | undefined {
    return this.#status;
  }

  /** Why the last run failed; undefined when it did not. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Brings the next run forward. What happened does not matter: a run looks at what is. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#options.mayRun()) await this.#runOnce(signal);
      const backoffMs = Math.min(this.#options.intervalMs * 2 ** Math.min(this.#failures, 16), MAX_BACKOFF_MS);
      await this.#pause(Math.max(backoffMs, this.#options.intervalMs), signal);
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const { input, now, log } = this.#options;
    try {
      const status = await reconcileOnce({ ...input, nowMs: now(), signal });
      this.#report(status);
    } catch (err) {
      if (signal.aborted) return;
      this.#failures++;
      const isNews = this.#fault === undefined;
      this.#fault = err instanceof Error ? err.message : String(err);
      if (isNews) log.error({ err }, 'reconciling failed; nothing was planned');
    }
  }

  #report(status: ReconcileStatus): void {
    const { log } = this.#options;
    if (this.#fault !== undefined) log.info({ failures: this.#failures }, 'reconciling works again');
    this.#fault = undefined;
    this.#failures = status.result.failures.length > 0 ? this.#failures + 1 : 0;
    const { created, updated, deleted, failures } = status.result;
    if (created.length + updated.length + deleted.length > 0) {
      log.info({ created: created.length, updated: updated.length, deleted: deleted.length }, 'plan applied');
    }
    const before = new Set(this.#status?.result.failures.map(({ namespace, name }) => `${namespace}/${name}`));
    for (const failure of failures) {
      if (!before.has(`${failure.namespace}/${failure.name}`)) log.warn({ ...failure }, 'ServiceEntry not written');
    }
    this.#status = status;
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
      if (signal.aborted) done();
    });
  }
}
