import { EventEmitter } from 'node:events';

import { channels } from './diagnostics.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from './endpoint.js';
import { DnstapError } from './errors.js';
import { FrameBatchQueue } from './frame-batch-queue.js';
import { HARD_MAX_FRAME_BYTES } from './frame-splitter.js';
import { SenderConnection } from './sender-connection.js';
import type { SenderTlsOptions } from './tls-options.js';

const DEFAULT_MAX_QUEUE_BYTES = 16 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_RECONNECT_MIN_MS = 100;
const DEFAULT_RECONNECT_MAX_MS = 10_000;

/** Options of a Sender. */
export interface SenderOptions {
  /** `unix:///path`, `/path`, `tcp://host:port` or `tls://host:port`. */
  readonly endpoint: string;
  /** Default `protobuf:dnstap.Dnstap`. */
  readonly contentType?: string;
  /** False for receivers that answer nothing. Default true. */
  readonly bidirectional?: boolean;
  /** Encoded frames that may wait, in bytes; further ones are dropped. Default 16 MiB. */
  readonly maxQueueBytes?: number;
  /** For a connection with its handshake, and for FINISH after STOP. Default 5 s. */
  readonly timeoutMs?: number;
  /** Pause before the first reconnection; doubles with each failure, and is spread between half and all of it. */
  readonly reconnectMinMs?: number;
  /** Longest pause. Default 10 s. */
  readonly reconnectMaxMs?: number;
  readonly tls?: SenderTlsOptions;
}

/** Counters of a Sender; they only grow, except for what waits. */
export interface SenderStatistics {
  readonly connected: boolean;
  readonly connections: number;
  readonly queuedFrames: number;
  /** Frames handed to the system. */
  readonly sentFrames: number;
  /** Frames of streams that the receiver has confirmed with FINISH. */
  readonly confirmedFrames: number;
  /** Frames refused by `send` because the queue was full. */
  readonly droppedFrames: number;
  /** Frames of streams that broke: the receiver may or may not have them. */
  readonly unconfirmedFrames: number;
}

/** Events of a Sender and what they carry. */
export interface SenderEvents {
  connect: [];
  disconnect: [error: DnstapError | undefined];
}

/**
 * Sends frames to a dnstap receiver and reconnects by itself. `send` never waits: frames go into a bounded queue.
 *
 * Frames written to a connection that then breaks are lost; the protocol knows no acknowledgement but FINISH.
 */
export class Sender extends EventEmitter<SenderEvents> {
  readonly #options: SenderOptions;
  readonly #endpoint: Endpoint;
  readonly #queue: FrameBatchQueue;
  #connection: SenderConnection | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;
  #pumpScheduled = false;
  #failures = 0;
  #waiters: ((confirmed: boolean) => void)[] = [];
  #started = false;
  /** Takes no more frames. */
  #closed = false;
  /** Does not reconnect any more. */
  #ended = false;
  #closing: Promise<boolean> | undefined;
  #dropping = false;
  #inFlight = { bytes: 0, frames: 0 };
  #streamFrames = 0;
  #connections = 0;
  #sentFrames = 0;
  #confirmedFrames = 0;
  #droppedFrames = 0;
  #unconfirmedFrames = 0;

  /** @throws DnstapError `DNSTAP_ERR_ENDPOINT`, `DNSTAP_ERR_OPTION` */
  constructor(options: SenderOptions) {
    super();
    this.#options = options;
    this.#endpoint = parseEndpoint(options.endpoint);
    if (this.#endpoint.kind !== 'tls' && options.tls !== undefined) {
      throw new DnstapError('DNSTAP_ERR_OPTION', 'the option tls needs a tls:// endpoint');
    }
    this.#queue = new FrameBatchQueue(options.maxQueueBytes ?? DEFAULT_MAX_QUEUE_BYTES);
  }

  /** Connects; once. `send` does it too. */
  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#connect();
  }

  /**
   * Queues one frame. The bytes may be reused at once.
   *
   * @returns false when the queue is full and the frame was dropped
   * @throws DnstapError `DNSTAP_ERR_CLOSED`, `DNSTAP_ERR_FRAME_TOO_LARGE` (over 16 MiB, or empty)
   */
  send(frame: Uint8Array): boolean {
    if (this.#closed) throw new DnstapError('DNSTAP_ERR_CLOSED', 'the sender is closed');
    if (frame.length === 0 || frame.length > HARD_MAX_FRAME_BYTES) {
      const message = `a data frame has 1 to ${HARD_MAX_FRAME_BYTES} bytes, found ${frame.length}`;
      throw new DnstapError('DNSTAP_ERR_FRAME_TOO_LARGE', message);
    }
    this.start();
    if (!this.#queue.append(frame, this.#inFlight.bytes)) return this.#drop();
    this.#dropping = false;
    this.#schedulePump();
    return true;
  }

  /**
   * Sends what is queued, ends the stream with STOP and waits for FINISH: then the receiver has read it all. The next
   * frame opens a new stream.
   *
   * @returns false when the connection broke before FINISH, or when `signal` ended the waiting
   */
  flush(options: { readonly signal?: AbortSignal } = {}): Promise<boolean> {
    const { signal } = options;
    if (signal?.aborted === true || this.#closed) return Promise.resolve(false);
    if (!this.#started) return Promise.resolve(true);
    return new Promise((resolve) => {
      const abort = () => resolve(false);
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.push((confirmed) => {
        signal?.removeEventListener('abort', abort);
        resolve(confirmed);
      });
      this.#schedulePump();
    });
  }

  /**
   * Like `flush`, and ends the sender. When there is no connection, or none that gets through within the timeout, what is
   * queued is given up. Safe to call again.
   *
   * @returns false when frames may be lost
   */
  close(options: { readonly signal?: AbortSignal } = {}): Promise<boolean> {
    this.#closing ??= this.#close(options.signal);
    return this.#closing;
  }

  statistics(): SenderStatistics {
    return {
      connected: this.#connection?.started === true,
      connections: this.#connections,
      queuedFrames: this.#queue.frames,
      sentFrames: this.#sentFrames,
      confirmedFrames: this.#confirmedFrames,
      droppedFrames: this.#droppedFrames,
      unconfirmedFrames: this.#unconfirmedFrames,
    };
  }

  async #close(stop: AbortSignal | undefined): Promise<boolean> {
    const timeout = AbortSignal.timeout(this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const flushed = this.flush({ signal: stop === undefined ? timeout : AbortSignal.any([stop, timeout]) });
    this.#closed = true;
    const confirmed = await flushed;
    this.#ended = true;
    clearTimeout(this.#reconnectTimer);
    this.#connection?.destroy(new DnstapError('DNSTAP_ERR_CLOSED', 'the sender is closed'));
    return confirmed;
  }

  #drop(): false {
    this.#droppedFrames++;
    if (!this.#dropping) {
      channels.senderDropped.publish({ endpoint: formatEndpoint(this.#endpoint), frames: this.#droppedFrames });
    }
    this.#dropping = true;
    return false;
  }

  #connect(): void {
    this.#reconnectTimer = undefined;
    this.#connection = new SenderConnection({
      endpoint: this.#endpoint,
      contentType: this.#options.contentType,
      bidirectional: this.#options.bidirectional ?? true,
      tls: this.#options.tls,
      timeoutMs: this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      onStarted: () => this.#streamStarted(),
      onClosed: (confirmed, error) => this.#streamClosed(confirmed, error),
    });
  }

  #streamStarted(): void {
    this.#failures = 0;
    this.#connections++;
    this.#streamFrames = 0;
    channels.senderConnected.publish({ endpoint: formatEndpoint(this.#endpoint) });
    this.emit('connect');
    this.#schedulePump();
  }

  // Frames of one turn of the event loop travel together.
  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    setImmediate(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  /** Writes the next batch if none is under way; when all are written and somebody waits for it, ends the stream. */
  #pump(): void {
    const connection = this.#connection;
    if (connection?.started !== true || this.#inFlight.frames > 0) return;
    const batch = this.#queue.take();
    if (batch === undefined) {
      if (this.#waiters.length > 0) connection.stop();
      return;
    }
    this.#inFlight = { bytes: batch.bytes.length, frames: batch.frames };
    this.#streamFrames += batch.frames;
    connection.write(batch, () => {
      this.#sentFrames += batch.frames;
      this.#inFlight = { bytes: 0, frames: 0 };
      this.#pump();
    });
  }

  #streamClosed(confirmed: boolean, error: DnstapError | undefined): void {
    this.#connection = undefined;
    this.#inFlight = { bytes: 0, frames: 0 };
    if (confirmed) this.#confirmedFrames += this.#streamFrames;
    else this.#unconfirmedFrames += this.#streamFrames;
    const lost = !confirmed && this.#streamFrames > 0;
    this.#streamFrames = 0;
    channels.senderDisconnected.publish({ endpoint: formatEndpoint(this.#endpoint), error });
    this.emit('disconnect', error);
    // Nothing of a flush was lost when the connection broke before its first frame: then it goes on with the next one.
    if (confirmed || lost) this.#answerWaiters(confirmed && this.#queue.frames === 0);
    if (this.#ended || (this.#closed && this.#waiters.length === 0)) return;
    this.#reconnectTimer = setTimeout(() => this.#connect(), confirmed ? 0 : this.#reconnectDelayMs());
  }

  #answerWaiters(confirmed: boolean): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const answer of waiters) answer(confirmed);
  }

  #reconnectDelayMs(): number {
    const minMs = this.#options.reconnectMinMs ?? DEFAULT_RECONNECT_MIN_MS;
    const maxMs = this.#options.reconnectMaxMs ?? DEFAULT_RECONNECT_MAX_MS;
    const fullMs = Math.min(maxMs, minMs * 2 ** Math.min(this.#failures++, 30));
    return fullMs * (0.5 + Math.random() / 2); // many senders must not come back at the same moment
  }
}
