import { MAX_CONTROL_BYTES, MIN_CONTROL_BYTES } from './control-frame.js';
import { FrameStreamsError } from './errors.js';

const HEADER_BYTES = 4;
/** A length above this is no frame but a stream out of step. */
export const HARD_MAX_FRAME_BYTES = 16 * 1024 * 1024;
/** What a fresh connection may keep; grows with the bytes of a frame that really arrive. */
const FIRST_PENDING_BYTES = 4096;
/** A buffer that held a larger frame is given back afterwards. */
const KEEP_PENDING_BYTES = 64 * 1024;
const INCOMPLETE = -1;

/** Where a splitter delivers. Ranges are valid during the call only. */
export interface FrameSink {
  /** A data frame without its length. */
  frame(buffer: Buffer, start: number, end: number): void;
  /** The payload of a control frame. */
  control(buffer: Buffer, start: number, end: number): void;
  /** A data frame over the limit; its bytes are being skipped. */
  oversize(lengthBytes: number): void;
  /** The stream broke the rules; nothing is delivered after it. */
  violation(error: FrameStreamsError): void;
}

/**
 * Cuts a byte stream, in whatever chunks it comes, into Frame Streams frames.
 *
 * ```
 *   chunk n                                    chunk n+1
 *   ...[length|frame][length|frame][length|fr  ame][length|frame]...
 *       \____________ in place ___/ \_ pending: copied, completed, delivered from there
 * ```
 *
 * Frames inside a chunk are delivered where they lie; only one that straddles two chunks is copied. Memory stays below the
 * frame limit, and below twice the bytes that have arrived of the unfinished frame.
 */
export class FrameSplitter {
  /** While false any data frame is a violation, seen at its length. */
  acceptsData = false;
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  #pending: Buffer = Buffer.alloc(0);
  #pendingBytes = 0;
  /** How many bytes, counted from the start of the current frame, must be there to go on. */
  #neededBytes = HEADER_BYTES;
  #skipBytes = 0;
  #stopped = false;

  /** @param maxFrameBytes longer data frames are skipped and reported, up to 16 MiB */
  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes of a frame that is not complete; what is cut off if the stream ends here. */
  get unfinishedBytes(): number {
    return this.#pendingBytes;
  }

  /** Bytes of an oversize frame that are still to be skipped. */
  get unskippedBytes(): number {
    return this.#skipBytes;
  }

  /** Delivers nothing more; may be called from the sink. */
  stop(): void {
    this.#stopped = true;
    this.#pending = Buffer.alloc(0);
    this.#pendingBytes = 0;
    this.#skipBytes = 0;
  }

  /**
   * Takes the bytes of `chunk` from `start` up to `end`. They may be reused after the call.
   *
   * @returns the position after the last byte taken: `end`, or less when the splitter was stopped meanwhile
   */
  push(chunk: Buffer, start = 0, end: number = chunk.length): number {
    let position = start;
    while (position < end && !this.#stopped) {
      if (this.#skipBytes > 0) {
        position = this.#skip(position, end);
      } else if (this.#pendingBytes > 0) {
        position = this.#completePending(chunk, position, end);
      } else {
        const next = this.#takeFrames(chunk, position, end);
        if (next === position) {
          this.#keep(chunk, position, end);
          return end;
        }
        position = next;
      }
    }
    return position;
  }

  /** Delivers whole frames in place; returns where the first unfinished one starts. */
  #takeFrames(chunk: Buffer, start: number, end: number): number {
    let position = start;
    while (!this.#stopped && this.#skipBytes === 0) {
      const next = this.#takeFrame(chunk, position, end);
      if (next === INCOMPLETE) break;
      position = next;
    }
    return position;
  }

  #takeFrame(buffer: Buffer, position: number, end: number): number {
    if (end - position < HEADER_BYTES) return this.#need(HEADER_BYTES);
    const length = readUint32(buffer, position);
    const start = position + HEADER_BYTES;
    if (length === 0) return this.#takeControl(buffer, start, end);
    if (!this.acceptsData || length > this.#maxFrameBytes) return this.#refuseData(length, start);
    if (length > end - start) return this.#need(HEADER_BYTES + length);
    this.#sink.frame(buffer, start, start + length);
    return start + length;
  }

  #takeControl(buffer: Buffer, position: number, end: number): number {
    if (end - position < HEADER_BYTES) return this.#need(2 * HEADER_BYTES);
    const length = readUint32(buffer, position);
    const start = position + HEADER_BYTES;
    if (length < MIN_CONTROL_BYTES || length > MAX_CONTROL_BYTES) {
      return this.#violate('DNSTAP_ERR_CONTROL_LENGTH', `control frame of ${length} bytes, expected 4 to 512`, start);
    }
    if (length > end - start) return this.#need(2 * HEADER_BYTES + length);
    this.#sink.control(buffer, start, start + length);
    return start + length;
  }

  #refuseData(length: number, start: number): number {
    if (!this.acceptsData) {
      return this.#violate('DNSTAP_ERR_DATA_BEFORE_START', `data frame of ${length} bytes before START`, start);
    }
    if (length > HARD_MAX_FRAME_BYTES) {
      return this.#violate(
        'DNSTAP_ERR_DESYNCHRONISED',
        `frame length ${length} exceeds ${HARD_MAX_FRAME_BYTES}`,
        start,
      );
    }
    this.#skipBytes = length;
    this.#sink.oversize(length);
    return start;
  }

  #violate(code: FrameStreamsError['code'], message: string, position: number): number {
    this.stop();
    this.#sink.violation(new FrameStreamsError(code, message));
    return position;
  }

  #need(bytes: number): typeof INCOMPLETE {
    this.#neededBytes = bytes;
    return INCOMPLETE;
  }

  #skip(position: number, end: number): number {
    const taken = Math.min(this.#skipBytes, end - position);
    this.#skipBytes -= taken;
    return position + taken;
  }

  /** Adds to the unfinished frame what it lacks, no more, and delivers it when it is whole. */
  #completePending(chunk: Buffer, start: number, end: number): number {
    const taken = Math.min(this.#neededBytes - this.#pendingBytes, end - start);
    this.#keep(chunk, start, start + taken);
    const bytes = this.#pendingBytes;
    if (bytes < this.#neededBytes) return end;
    if (this.#takeFrame(this.#pending, 0, bytes) !== INCOMPLETE) {
      this.#pendingBytes = 0;
      if (this.#pending.length > KEEP_PENDING_BYTES) this.#pending = Buffer.alloc(0);
    }
    return start + taken;
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    const bytes = this.#pendingBytes + end - start;
    if (bytes > this.#pending.length) this.#grow(bytes);
    chunk.copy(this.#pending, this.#pendingBytes, start, end);
    this.#pendingBytes = bytes;
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_PENDING_BYTES, Math.min(2 * bytes, this.#neededBytes), bytes));
    this.#pending.copy(grown, 0, 0, this.#pendingBytes);
    this.#pending = grown;
  }
}

function readUint32(buffer: Buffer, position: number): number {
  // Callers have made sure of four bytes. Written out because readUInt32BE checks its range once more.
  return (
    ((buffer[position] as number) * 0x1000000 +
      (((buffer[position + 1] as number) << 16) |
        ((buffer[position + 2] as number) << 8) |
        (buffer[position + 3] as number))) >>>
    0
  );
}
