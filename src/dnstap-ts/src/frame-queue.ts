import { DnstapError } from './errors.js';
import type { FrameHandler, ReceiverConnection } from './receiver-connection.js';

const DEFAULT_MAX_FRAMES = 10_000;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const COMPACT_AT = 1024;

/** A frame that waited in a FrameQueue. */
export interface QueuedFrame {
  /** A copy: it may be kept. */
  readonly frame: Buffer;
  readonly connection: ReceiverConnection;
}

/** Options of a FrameQueue. */
export interface FrameQueueOptions {
  /** Default 10,000. */
  readonly maxFrames?: number;
  /** Default 64 MiB. */
  readonly maxBytes?: number;
}

/**
 * The frames of a Receiver as an async iterator, for consumers that wait for something between frames. The socket is not
 * paused meanwhile: when the queue is full the newest frame is dropped and counted, here and at its connection.
 *
 * Give `queue.onFrame` to the receiver, and iterate from one place.
 */
export class FrameQueue implements AsyncIterable<QueuedFrame> {
  readonly #maxFrames: number;
  readonly #maxBytes: number;
  #frames: QueuedFrame[] = [];
  #head = 0;
  #bytes = 0;
  #droppedFrames = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  /** @throws DnstapError `DNSTAP_ERR_OPTION` */
  constructor(options: FrameQueueOptions = {}) {
    this.#maxFrames = options.maxFrames ?? DEFAULT_MAX_FRAMES;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    if (!(this.#maxFrames > 0 && this.#maxBytes > 0)) {
      throw new DnstapError('DNSTAP_ERR_OPTION', 'maxFrames and maxBytes must be positive');
    }
  }

  /** Frames that wait. */
  get length(): number {
    return this.#frames.length - this.#head;
  }

  /** Frames dropped because the queue was full. */
  get droppedFrames(): number {
    return this.#droppedFrames;
  }

  /** The handler for a Receiver. */
  readonly onFrame: FrameHandler = (buffer, start, end, connection) => {
    if (this.#ended || this.length >= this.#maxFrames || this.#bytes + end - start > this.#maxBytes) {
      this.#droppedFrames++;
      connection.countDropped();
      return;
    }
    this.#bytes += end - start;
    this.#frames.push({ frame: Buffer.from(buffer.subarray(start, end)), connection });
    this.#wake?.();
  };

  /** No more frames: the iteration ends when those that wait are taken. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<QueuedFrame, void, void> {
    while (true) {
      const next = this.#take();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => void (this.#wake = resolve));
    }
  }

  #take(): QueuedFrame | undefined {
    const next = this.#frames[this.#head];
    if (next === undefined) return undefined;
    this.#head++;
    this.#bytes -= next.frame.length;
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }
}
