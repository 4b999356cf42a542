import { pause } from '../kubernetes/backoff.js';
import { PlanMemory } from '../plan/plan-memory.js';
import type { Logger } from '../telemetry/logger.js';
import { reconcileOnce, type ReconcileInput, type ReconcileStatus } from './reconcile-once.js';
import { errorCodeOf, type SinkFailure } from './sink.js';

export interface LoopOptions {
  readonly input: Omit<ReconcileInput, 'nowMs' | 'signal'>;
  /** Time between two runs if nothing wakes the loop. */
  readonly intervalMs: number;
  readonly now: () => number;
  readonly log: Logger;
  /** Only while this says so does a run take place: the leader's. */
  readonly mayRun: () => boolean;
  /** Told of each run that came to its end, with the one before. */
  readonly onStatus?: (status: ReconcileStatus, before: ReconcileStatus | undefined) => void;
}

const MAX_BACKOFF_MS = 60_000;
/** Also when something changes all the time, so that changes that belong together are met by one run. */
const SHORTEST_PAUSE_MS = 100;
/** The loop takes about a quarter of a processor at most, however many hosts there are. */
const PAUSES_PER_RUN = 3;
const LONGEST_REST_MS = 5000;

/**
 * Runs again and again: by a timer, and soon after something woke it. After a failed run ever more rarely, up to once a
 * minute. An entry that could not be written is no failed run: the sink decides when it is tried again.
 */
export class ReconcileLoop {
  readonly #options: LoopOptions;
  readonly #memory = new PlanMemory();
  #status: ReconcileStatus | undefined;
  #fault: string | undefined;
  #faultCode: string | undefined;
  #failures = 0;
  #runs = 0;
  #isWoken = false;
  #wake: (() => void) | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** The last run that came to its end. */
  get status(): ReconcileStatus | undefined {
    return this.#status;
  }

  /** Runs that came to their end. */
  get runs(): number {
    return this.#runs;
  }

  /** Why the last run failed; undefined when it did not. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** The stable code of {@link fault}. */
  get faultCode(): string | undefined {
    return this.#fault === undefined ? undefined : (this.#faultCode ?? 'UNKNOWN');
  }

  /** Brings the next run forward. What happened does not matter: a run looks at what is. */
  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const before = process.cpuUsage();
      this.#isWoken = false;
      if (this.#options.mayRun()) await this.#runOnce(signal);
      const restMs = restAfter(process.cpuUsage(before));
      await pause(restMs, signal);
      const { intervalMs } = this.#options;
      const backoffMs = Math.min(intervalMs * 2 ** Math.min(this.#failures, 16), MAX_BACKOFF_MS);
      await this.#pause(Math.max(backoffMs, intervalMs) - restMs, signal);
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const { input, now, log } = this.#options;
    try {
      const status = await reconcileOnce({ ...input, memory: this.#memory, nowMs: now(), signal });
      this.#report(status);
    } catch (err) {
      if (signal.aborted) return;
      this.#failures++;
      const isNews = this.#fault === undefined;
      this.#fault = err instanceof Error ? err.message : String(err);
      this.#faultCode = errorCodeOf(err);
      if (isNews) log.error({ err }, 'reconciling failed; nothing was planned');
    }
  }

  #report(status: ReconcileStatus): void {
    const { log } = this.#options;
    if (this.#fault !== undefined) log.info({ failures: this.#failures }, 'reconciling works again');
    this.#fault = undefined;
    this.#failures = 0;
    if (status.lost.length > 0) log.warn(countReasons(status), 'ServiceEntries are gone, and are written again');
    const { created, updated, deleted, failures } = status.result;
    if (created.length + updated.length + deleted.length > 0) {
      log.info({ created: created.length, updated: updated.length, deleted: deleted.length }, 'plan applied');
    }
    const before = new Set(this.#status?.result.failures.map(keyOf));
    for (const failure of failures) {
      if (!before.has(keyOf(failure))) log.warn({ ...failure }, 'ServiceEntry not written');
    }
    this.#runs += 1;
    this.#options.onStatus?.(status, this.#status);
    this.#status = status;
  }

  /** Waits until the time is up or something wakes the loop. */
  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    if (this.#isWoken || delayMs <= 0) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await pause(delayMs, AbortSignal.any([signal, woken.signal]));
    this.#wake = undefined;
  }
}

/** By what the run took of the processor: most of a run that writes is waiting. */
function restAfter({ user, system }: NodeJS.CpuUsage): number {
  const cpuMs = (user + system) / 1000;
  return Math.min(LONGEST_REST_MS, Math.max(SHORTEST_PAUSE_MS, PAUSES_PER_RUN * cpuMs));
}

/** How many are lost for each reason. */
function countReasons({ lost }: ReconcileStatus): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { reason } of lost) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

function keyOf({ namespace, name, code }: SinkFailure): string {
  return `${namespace}/${name} ${code}`;
}
