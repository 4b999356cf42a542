import { setTimeout as delay } from 'node:timers/promises';
import { HostStoreError } from '../host/host-store-error.js';
import type { HostStore, RecordBatch } from '../host/host-store.js';
import type { Observation } from '../observation/observation.js';
import type { HttpsPort } from '../observation/service-binding.js';
import type { ObservationTable } from '../observation/observation-table.js';
import type { Logger } from '../telemetry/logger.js';
import type { FloodGuard } from './flood-guard.js';
import type { PeerCount } from './peer-count.js';
import type { SourceWatch } from './source-watch.js';

export interface RecorderOptions {
  readonly table: ObservationTable;
  readonly store: HostStore;
  /** One life of one collector, or the content of one capture; see RecordBatch. */
  readonly source: string;
  /** The clock of what is taken in: this machine's, or a capture's. */
  readonly now: () => number;
  readonly log: Logger;
  /** Keeps floods from the store. */
  readonly guard?: FloodGuard;
  /** Is told how far the recording has come. */
  readonly watch?: Pick<SourceWatch, 'report'>;
  /** Looks from time to time who else records. */
  readonly peers?: Pick<PeerCount, 'refresh'>;
}

export interface RecorderStatistics {
  readonly batches: number;
  readonly observations: number;
  /** Calls of the store that failed; each was tried again. */
  readonly failures: number;
  /** Why the last call failed; undefined while all is well. */
  readonly fault: string | undefined;
}

/** Most observations in a batch: a Redis script must not keep the server for long. */
const MAX_BATCH_OBSERVATIONS = 500;
/** Batches that are sent before the first is acknowledged: this process makes one while the store merges another. */
const MAX_UNDER_WAY = 4;
const HEED_MS = 60_000;
const HTTPS_EVIDENCE = { protocol: 'TLS', reason: 'https-record' } as const;
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;

/**
 * Takes Observations out of the table and hands them to the store, a few batches at a time and each until it is acknowledged.
 * While the store is away nothing more is taken out: the table merges what comes in, in bounded memory.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #unsent: RecordBatch[] = [];
  #ports: readonly HttpsPort[] = [];
  #sequence = 0;
  #takenAtMs: number;
  #heededAtMs = -Infinity;
  #wasAway = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #statistics: RecorderStatistics = { batches: 0, observations: 0, failures: 0, fault: undefined };

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#takenAtMs = options.now();
  }

  /** Flushes every `intervalMs` from now on. */
  start(intervalMs: number): void {
    this.#timer ??= setInterval(() => void this.#flushQuietly(), intervalMs);
  }

  /** Batches that wait to be sent or are under way. */
  get unsent(): number {
    return this.#unsent.length;
  }

  statistics(): RecorderStatistics {
    return this.#statistics;
  }

  /**
   * Records what the table holds; tries again until the store takes it.
   *
   * @param options `final`: nothing more will come, so the table holds nothing back.
   * @throws the store's last error when `signal` aborts first.
   */
  async flush(options: { readonly final: boolean; readonly signal?: AbortSignal }): Promise<void> {
    await this.#running?.catch(() => undefined); // its caller has the error
    this.#running = this.#sendAndTell(options);
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /**
   * Makes batches of what the table holds now; they go out with the next flush. For a replay, whose batches must not
   * depend on how fast the store is.
   */
  cut(): void {
    this.#take(false);
  }

  /** Stops the timer and records what is left, for at most `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    try {
      await this.flush({ final: true, signal: AbortSignal.timeout(timeoutMs) });
    } catch (err) {
      const lost = this.#unsent.reduce((sum, { observations }) => sum + observations.length, 0);
      this.#options.log.error(
        { err, observations: lost + this.#options.table.waiting() },
        'observations lost at shutdown',
      );
    }
  }

  async #flushQuietly(): Promise<void> {
    if (this.#running !== undefined) return; // still at it: the table merges meanwhile
    try {
      await this.flush({ final: false });
    } catch (err) {
      this.#options.log.error({ err }, 'flush failed');
    }
  }

  async #sendAndTell(options: { readonly final: boolean; readonly signal?: AbortSignal }): Promise<void> {
    await this.#send(options);
    await this.#sendPorts();
    const { lost } = this.#options.table.statistics();
    const progress = { untilMs: this.#takenAtMs, lost, wasAway: this.#wasAway, isLast: options.final };
    this.#wasAway = false;
    await this.#options.watch?.report(progress);
    await this.#heedPeople();
    await this.#options.peers?.refresh(this.#takenAtMs);
  }

  /** Looks from time to time whether a person has let in what the guard keeps out. */
  async #heedPeople(): Promise<void> {
    const { guard, store, log } = this.#options;
    if (guard === undefined || this.#takenAtMs - this.#heededAtMs < HEED_MS) return;
    this.#heededAtMs = this.#takenAtMs;
    try {
      for (const row of guard.tunnels) {
        const record = await store.get(row);
        if (record !== undefined) guard.heed(record);
      }
    } catch (err) {
      log.warn({ err }, 'decisions on quarantined parents not read; they are read the next time');
    }
  }

  /** After the hosts, which the store has to know. What is lost here is told again with the next look-up. */
  async #sendPorts(): Promise<void> {
    const ports = this.#ports.map(({ hostname, port }) => ({ hostname, number: port, ...HTTPS_EVIDENCE }));
    this.#ports = [];
    if (ports.length === 0) return;
    try {
      await this.#options.store.notePorts(ports);
    } catch (err) {
      this.#options.log.warn({ err }, 'ports of HTTPS records not recorded');
    }
  }

  async #send({ final, signal }: { readonly final: boolean; readonly signal?: AbortSignal }): Promise<void> {
    if (this.#unsent.length === 0) this.#take(final);
    while (this.#unsent.length > 0) {
      const queue = [...this.#unsent];
      const worker = async (): Promise<void> => {
        for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) {
          await this.#sendOne(batch, signal);
          this.#unsent.splice(this.#unsent.indexOf(batch), 1);
        }
      };
      await Promise.all(Array.from({ length: MAX_UNDER_WAY }, worker));
      if (final) this.#take(final); // what came in while the store was away
    }
  }

  #take(final: boolean): void {
    this.#takenAtMs = this.#options.now();
    const drain = this.#options.table.drain({ final, nowMs: this.#takenAtMs });
    const { observations: drained, rejections: rejected } = drain;
    this.#ports = [...this.#ports, ...drain.ports].slice(0, MAX_BATCH_OBSERVATIONS);
    const guarded = this.#options.guard?.admit(drained) ?? { observations: drained, rejections: [] };
    const observations = sortedByHost(guarded.observations);
    const rejections = [...rejected, ...guarded.rejections];
    for (
      let from = 0;
      from < observations.length || (from === 0 && rejections.length > 0);
      from += MAX_BATCH_OBSERVATIONS
    ) {
      this.#unsent.push({
        source: this.#options.source,
        sequence: ++this.#sequence,
        observations: observations.slice(from, from + MAX_BATCH_OBSERVATIONS),
        rejections: from === 0 ? rejections : [],
      });
    }
  }

  async #sendOne(batch: RecordBatch, signal: AbortSignal | undefined): Promise<void> {
    for (let delayMs = MIN_RETRY_MS; ; delayMs = Math.min(delayMs * 2, MAX_RETRY_MS)) {
      try {
        await this.#options.store.record(batch);
        this.#noteSuccess(batch);
        return;
      } catch (err) {
        this.#noteFailure(err);
        if (signal?.aborted === true || (err instanceof HostStoreError && err.code === 'HOST_STORE_CLOSED')) throw err;
      }
      // An abort ends the wait early; the next try then is the last.
      await delay(delayMs * (0.5 + Math.random() / 2), undefined, { ...(signal && { signal }) }).catch(() => undefined);
    }
  }

  #noteSuccess({ observations }: RecordBatch): void {
    const before = this.#statistics;
    if (before.fault !== undefined) this.#options.log.info({ failures: before.failures }, 'store is back');
    this.#statistics = {
      ...before,
      batches: before.batches + 1,
      observations: before.observations + observations.length,
      fault: undefined,
    };
  }

  #noteFailure(err: unknown): void {
    const before = this.#statistics;
    if (before.fault === undefined) this.#options.log.warn({ err }, 'store is away; observations merge in memory');
    this.#wasAway = true;
    const fault = err instanceof Error ? err.message : String(err);
    this.#statistics = { ...before, failures: before.failures + 1, fault };
  }
}

/** Those of one host together, so that a store merges them in one go. */
function sortedByHost(observations: readonly Observation[]): readonly Observation[] {
  const hosts = new Map<string, Observation[]>();
  for (const observation of observations) {
    const known = hosts.get(observation.hostname);
    if (known === undefined) hosts.set(observation.hostname, [observation]);
    else known.push(observation);
  }
  return [...hosts.values()].flat();
}
