import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { readFrameStreamFile } from 'dnstap-ts';
import type { HostStore } from '../../host/host-store.js';
import {
  createObservationTable,
  type ObservationTable,
  type ObservationTableOptions,
} from '../../observation/observation-table.js';
import type { Logger } from '../../telemetry/logger.js';
import { createFrameIntake } from '../frame-intake.js';
import { Recorder } from '../recorder.js';

export interface ReplayOptions {
  readonly file: string;
  readonly store: HostStore;
  readonly observation: Omit<ObservationTableOptions, 'seed' | 'origin'>;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/** Observations after which batches are made, at the same places whenever the capture is read. */
const CUT_OBSERVATIONS = 5_000;

export interface ReplaySummary {
  readonly frames: number;
  /** Query time of the first and last message (Unix milliseconds); undefined when there was none. */
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
  /** Bytes at the end that belong to no whole frame: the capture was cut. */
  readonly truncatedBytes: number;
}

/**
 * Records what a capture teaches. The source is the capture's content, so replaying it again, also under another name,
 * changes nothing. The clock is the capture's.
 */
export async function replay(options: ReplayOptions): Promise<ReplaySummary> {
  const digest = await digestOf(options.file);
  const table = createObservationTable({
    ...options.observation,
    // The same capture must give the same batches, whatever process reads it.
    seed: digest.readInt32LE(0),
    origin: 'replay',
  });
  const clock = new CaptureClock();
  const recorder = new Recorder({
    table,
    store: options.store,
    source: `replay:${digest.toString('hex')}`,
    now: () => clock.nowMs,
    log: options.log,
  });
  const add: ObservationTable['add'] = (view, atMs) => {
    table.add(view, clock.note(atMs));
    if (table.waiting() >= CUT_OBSERVATIONS) recorder.cut();
  };
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const summary = await readFrameStreamFile(Readable.from(paced(options.file, recorder, signal)), {
    onFrame: createFrameIntake({ ...table, add }, () => clock.nowMs),
    ...signal,
  });
  await recorder.flush({ final: true, ...signal });
  return { frames: summary.frames, ...clock.range(), truncatedBytes: summary.truncatedBytes };
}

/** The file's bytes, no faster than the store takes what they teach. */
async function* paced(
  file: string,
  recorder: Recorder,
  signal: { readonly signal?: AbortSignal },
): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(file)) {
    yield chunk as Buffer; // no encoding was set
    if (recorder.unsent > 0) await recorder.flush({ final: false, ...signal });
  }
}

/** The time of the capture: the latest seen so far. */
class CaptureClock {
  #firstMs: number | undefined;
  #lastMs: number | undefined;

  get nowMs(): number {
    return this.#lastMs ?? 0;
  }

  note(atMs: number): number {
    this.#firstMs = Math.min(this.#firstMs ?? atMs, atMs);
    this.#lastMs = Math.max(this.#lastMs ?? atMs, atMs);
    return atMs;
  }

  range(): { readonly firstMs: number | undefined; readonly lastMs: number | undefined } {
    return { firstMs: this.#firstMs, lastMs: this.#lastMs };
  }
}

async function digestOf(file: string): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer); // no encoding was set
  return hash.digest();
}
