import type { Socket } from 'node:net';

import { CodeCounter, type ConnectionStatistics } from './connection-statistics.js';
import { DnstapError, type DnstapErrorCode } from './errors.js';
import { FrameStreamReader, type FrameStreamReaderHandler } from './frame-stream-reader.js';

/** Called for every data frame; the bytes are valid during the call only. */
export interface FrameHandler {
  (buffer: Buffer, start: number, end: number, connection: ReceiverConnection): void;
}

/** What the receiver hands to each of its connections. */
export interface ConnectionContext {
  readonly id: number;
  readonly peer: string;
  readonly contentType: string | undefined;
  readonly maxFrameBytes: number;
  /** Ends the accepted socket as long as `attach` has not been called. */
  readonly refuse: () => void;
  readonly handshakeTimeoutMs: number;
  readonly onFrame: FrameHandler;
  readonly onHandshake: (connection: ReceiverConnection) => void;
  readonly onClose: (connection: ReceiverConnection) => void;
}

const MAX_DECODE_ERROR_CODES = 64;
const OTHER_CODES = 'other';

/** One peer of a Receiver. */
export class ReceiverConnection {
  readonly id: number;
  /** See `ConnectionStatistics.peer`. */
  readonly peer: string;
  readonly #context: ConnectionContext;
  readonly #reader: FrameStreamReader;
  readonly #decodeErrors = new CodeCounter();
  readonly #decodeErrorCodes = new Set<string>();
  readonly #sinceMs = Date.now();
  #socket: Socket | undefined;
  /** Runs during the handshake, and from STOP until FINISH is flushed. */
  #timer: NodeJS.Timeout | undefined;
  #lastFrameAtMs: number | undefined;
  #started = false;
  #bidirectional = false;
  #closed = false;
  #stopped = false;
  #error: DnstapError | undefined;
  #frames = 0;
  #bytes = 0;
  #oversizeFrames = 0;
  #droppedFrames = 0;

  /** Connections are made by the Receiver. */
  constructor(context: ConnectionContext) {
    this.id = context.id;
    this.peer = context.peer;
    this.#context = context;
    const { contentType, maxFrameBytes } = context;
    this.#reader = new FrameStreamReader(this.#handler(), {
      maxFrameBytes,
      ...(contentType !== undefined && { contentType }),
    });
    this.#timer = setTimeout(() => this.#expire(), context.handshakeTimeoutMs);
  }

  /** Why the connection ended; undefined while it is open and after an orderly end. */
  get error(): DnstapError | undefined {
    return this.#error;
  }

  /** Whether the peer opened with READY. Known once the handshake is complete. */
  get bidirectional(): boolean {
    return this.#bidirectional;
  }

  /** Whether the peer said with STOP that no more would come. */
  get stopped(): boolean {
    return this.#stopped;
  }

  get closed(): boolean {
    return this.#closed;
  }

  statistics(): ConnectionStatistics {
    return {
      id: this.id,
      peer: this.peer,
      sinceMs: this.#sinceMs,
      lastFrameAtMs: this.#lastFrameAtMs,
      started: this.#started,
      frames: this.#frames,
      bytes: this.#bytes,
      oversizeFrames: this.#oversizeFrames,
      droppedFrames: this.#droppedFrames,
      decodeErrors: this.#decodeErrors.toRecord(),
    };
  }

  /** For the consumer: a frame of this connection could not be decoded. At most 64 codes are told apart. */
  countDecodeError(code: DnstapErrorCode | (string & {})): void {
    if (this.#decodeErrorCodes.size < MAX_DECODE_ERROR_CODES) this.#decodeErrorCodes.add(code);
    this.#decodeErrors.add(this.#decodeErrorCodes.has(code) ? code : OTHER_CODES);
  }

  /** For the consumer: frames of this connection were dropped because it could not keep up. */
  countDropped(frames = 1): void {
    this.#droppedFrames += frames;
  }

  /** Ends the connection at once. */
  destroy(error?: DnstapError): void {
    if (this.#closed) return;
    this.#error ??= error;
    this.#reader.stop();
    if (this.#socket !== undefined) return void this.#socket.destroy();
    this.#context.refuse();
    this.#close();
  }

  /** For the receiver: the socket is there (behind TLS: only after its handshake). */
  attach(socket: Socket): void {
    this.#socket = socket;
    if (this.#closed) return void socket.destroy();
    socket.on('error', (cause) => this.#socketFailed(cause));
    socket.on('close', () => this.#close());
    socket.on('end', () => this.#peerEnded());
  }

  /** For the receiver: bytes have come. Never throws. */
  receive(buffer: Buffer, start: number, end: number): void {
    const frames = this.#frames;
    this.#bytes += end - start;
    try {
      this.#reader.push(buffer, start, end);
    } catch (cause) {
      // The exception is the consumer's. Left alone it would surface in the event loop and end the process.
      this.destroy(new DnstapError('DNSTAP_ERR_HANDLER', 'the frame handler threw', { cause }));
    }
    if (this.#frames !== frames) this.#lastFrameAtMs = Date.now();
  }

  #handler(): FrameStreamReaderHandler {
    const { onFrame } = this.#context;
    return {
      frame: (buffer, start, end) => {
        this.#frames++;
        onFrame(buffer, start, end, this);
      },
      send: (bytes) => void this.#socket?.write(bytes),
      started: (bidirectional) => this.#handshakeDone(bidirectional),
      stopped: () => {
        this.#stopped = true;
        this.#finish();
      },
      oversize: () => void this.#oversizeFrames++,
      failed: (error) => this.destroy(error),
    };
  }

  #handshakeDone(bidirectional: boolean): void {
    clearTimeout(this.#timer);
    this.#started = true;
    this.#bidirectional = bidirectional;
    this.#context.onHandshake(this);
  }

  // The peer's own end is not waited for: CoreDNS closes its side only when the process exits.
  #finish(): void {
    const socket = this.#socket;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.destroy(), this.#context.handshakeTimeoutMs);
    socket?.end(() => socket.destroy());
  }

  #peerEnded(): void {
    if (this.#reader.ended) return; // FINISH is still on its way
    if (this.#reader.unfinishedBytes + this.#reader.unskippedBytes > 0) {
      this.#error ??= new DnstapError('DNSTAP_ERR_TRUNCATED', 'the peer closed the connection within a frame');
    }
    this.#socket?.destroy();
  }

  // A sender may be gone before our FINISH: that is an orderly end, so only errors before STOP count.
  #socketFailed(cause: Error): void {
    if (this.#reader.ended) return;
    this.#error ??= new DnstapError('DNSTAP_ERR_CONNECTION', 'the connection failed', { cause });
  }

  #expire(): void {
    const { handshakeTimeoutMs } = this.#context;
    this.destroy(new DnstapError('DNSTAP_ERR_HANDSHAKE_TIMEOUT', `no START within ${handshakeTimeoutMs} ms`));
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#reader.stop();
    this.#context.onClose(this);
  }
}
