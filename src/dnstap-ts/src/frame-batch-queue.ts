import { dataFrameBytes, writeDataFrame } from './frame-stream-writer.js';

const BATCH_BYTES = 64 * 1024;

/** Whole data frames, ready to be written. */
export interface FrameBatch {
  readonly bytes: Buffer;
  readonly frames: number;
}

/**
 * Frames waiting to be sent, already encoded and packed so that one write carries many.
 *
 * ```
 * full batches (64 KiB)   open batch
 * [######][######]        [###...]  <- append
 *    ^ take
 * ```
 */
export class FrameBatchQueue {
  readonly #maxBytes: number;
  #full: FrameBatch[] = [];
  #open: Buffer | undefined;
  #openBytes = 0;
  #openFrames = 0;
  #bytes = 0;
  #frames = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get frames(): number {
    return this.#frames;
  }

  /** @param heldBytes bytes that count towards the bound though they have left the queue; @returns false when full */
  append(frame: Uint8Array, heldBytes: number): boolean {
    const bytes = dataFrameBytes(frame);
    if (this.#bytes + heldBytes + bytes > this.#maxBytes) return false;
    if (this.#open === undefined || this.#openBytes + bytes > this.#open.length) this.#openBatch(bytes);
    // #openBatch has just made one
    this.#openBytes = writeDataFrame(this.#open as Buffer, this.#openBytes, frame);
    this.#openFrames++;
    this.#bytes += bytes;
    this.#frames++;
    return true;
  }

  /** The oldest batch, full or not. */
  take(): FrameBatch | undefined {
    if (this.#full.length === 0) this.#closeBatch();
    const batch = this.#full.shift();
    if (batch === undefined) return undefined;
    this.#bytes -= batch.bytes.length;
    this.#frames -= batch.frames;
    return batch;
  }

  #openBatch(bytes: number): void {
    this.#closeBatch();
    this.#open = Buffer.allocUnsafeSlow(Math.max(BATCH_BYTES, bytes));
  }

  #closeBatch(): void {
    if (this.#open === undefined || this.#openFrames === 0) return;
    this.#full.push({ bytes: this.#open.subarray(0, this.#openBytes), frames: this.#openFrames });
    this.#open = undefined;
    this.#openBytes = 0;
    this.#openFrames = 0;
  }
}
