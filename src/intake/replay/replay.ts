import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { DnstapError, readFrameStreamFile } from 'dnstap-ts';
import type { HostStore } from '../../host/host-store.js';
import {
  createObservationTable,
  type ObservationTable,
  type ObservationTableOptions,
  type ObservationTableStatistics,
} from '../../observation/observation-table.js';
import type { Logger } from '../../telemetry/logger.js';
import { createFrameIntake } from '../frame-intake.js';
import { Recorder } from '../recorder.js';

export interface ReplayOptions {
  readonly file: string;
  readonly store: HostStore;
  readonly observation: Omit<ObservationTableOptions, 'seed' | 'origin' | 'now'>;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/** Observations after which batches are made, at the same places whenever the capture is read. */
const CUT_OBSERVATIONS = 5_000;

export interface ReplaySummary {
  readonly frames: number;
  /** Time of the latest response (Unix milliseconds); 0 when there was none. */
  readonly lastMs: number;
  /** Bytes at the end that belong to no whole frame: the capture was cut. */
  readonly truncatedBytes: number;
}

/**
 * Records what a capture teaches. The source is the capture's content, so replaying it again, also under another name,
 * changes nothing. The clock is the capture's.
 */
export async function replay(options: ReplayOptions): Promise<ReplaySummary> {
  const digest = await digestOf(options.file);
  const captureNow = (): number => Math.max(0, table.statistics().lastMs);
  const table: ObservationTable = createObservationTable({
    ...options.observation,
    // The same capture must give the same batches, whatever process reads it.
    seed: digest.readInt32LE(0),
    origin: 'replay',
    now: captureNow,
  });
  const recorder = new Recorder({
    table,
    store: options.store,
    source: `replay:${digest.toString('hex')}`,
    now: captureNow,
    log: options.log,
  });
  const add: ObservationTable['add'] = (response) => {
    table.add(response);
    if (table.waiting() >= CUT_OBSERVATIONS) recorder.cut();
  };
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const { frames, truncatedBytes } = await readFrameStreamFile(Readable.from(paced(options.file, recorder, signal)), {
    onFrame: createFrameIntake({ add, reject: (reason) => table.reject(reason) }),
    ...signal,
  }).catch((err: unknown) => {
    throw err instanceof DnstapError ? new DnstapError(err.code, `${options.file}: ${err.message}`, err) : err;
  });
  await recorder.flush({ final: true, ...signal });
  await reportCapture(options, `replay:${digest.toString('hex')}`, table.statistics());
  return { frames, lastMs: captureNow(), truncatedBytes };
}

/** That somebody watched while the capture was made. */
async function reportCapture(
  { store, file }: ReplayOptions,
  source: string,
  { firstMs, lastMs, lost }: ObservationTableStatistics,
): Promise<void> {
  if (firstMs > lastMs) return; // nothing in it has a time
  const report = { source, name: basename(file), fromMs: firstMs, untilMs: lastMs, connections: 0, lost };
  await store.reportSource({ ...report, kind: 'replay' });
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

async function digestOf(file: string): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer); // no encoding was set
  return hash.digest();
}
