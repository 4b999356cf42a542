import {
  acceptsContentType,
  type ControlFrame,
  ControlType,
  decodeControlFrame,
  DNSTAP_CONTENT_TYPE,
  encodeControlFrame,
} from './control-frame.js';
import { FrameStreamsError } from './errors.js';
import { FrameSplitter, HARD_MAX_FRAME_BYTES } from './frame-splitter.js';

const LENGTH_BYTES = 4;

/** What a FrameStreamWriter asks of its owner. */
export interface FrameStreamWriterHandler {
  /** Bytes to write to the peer or file, in order. */
  send(bytes: Buffer): void;
  /** The handshake is complete: frames may be encoded. */
  started(): void;
  /** The receiver has confirmed the end, or has ended by itself: close. */
  finished(): void;
  /** The peer broke the rules: close. */
  failed(error: FrameStreamsError): void;
}

type State = 'idle' | 'ready' | 'data' | 'stopping' | 'ended';

/**
 * The sending side of Frame Streams without any I/O.
 *
 * ```
 * state     open()                              ACCEPT        FINISH        close()            other
 * idle      both ways: READY > ready                                        > ended
 *           one way:   START > data
 * ready                                         START > data  fail          STOP > stopping    fail
 * data                                          ignore        > ended       STOP > stopping    ignore
 * stopping                                      ignore        > ended                          ignore
 * ```
 *
 * One way (files, pipes) `close` ends at once: nobody answers. START always names the content type.
 */
export class FrameStreamWriter {
  readonly #handler: FrameStreamWriterHandler;
  readonly #contentType: string;
  readonly #bidirectional: boolean;
  readonly #splitter: FrameSplitter;
  #state: State = 'idle';

  constructor(
    handler: FrameStreamWriterHandler,
    options: { readonly contentType?: string; readonly bidirectional: boolean },
  ) {
    this.#handler = handler;
    this.#contentType = options.contentType ?? DNSTAP_CONTENT_TYPE;
    this.#bidirectional = options.bidirectional;
    this.#splitter = new FrameSplitter(
      {
        frame: () => {}, // a receiver sends no data: acceptsData stays false
        oversize: () => {},
        control: (buffer, start, end) => this.#control(buffer, start, end),
        violation: (error) => this.#fail(error),
      },
      HARD_MAX_FRAME_BYTES,
    );
  }

  /** True while frames may be encoded. */
  get inData(): boolean {
    return this.#state === 'data';
  }

  /** Sends READY or START. */
  open(): void {
    if (this.#state !== 'idle') return;
    const type = this.#bidirectional ? ControlType.READY : ControlType.START;
    this.#state = this.#bidirectional ? 'ready' : 'data';
    this.#handler.send(encodeControlFrame({ type, contentTypes: [this.#contentType] }));
    if (!this.#bidirectional) this.#handler.started();
  }

  /** Takes what the receiver sends, in any chunks. */
  push(chunk: Buffer): void {
    this.#splitter.push(chunk);
  }

  /** Sends STOP. Both ways, `finished` follows when FINISH comes. */
  close(): void {
    if (this.#state === 'ended' || this.#state === 'stopping') return;
    const opened = this.#state !== 'idle';
    this.#state = 'stopping';
    if (opened) this.#handler.send(encodeControlFrame({ type: ControlType.STOP, contentTypes: [] }));
    if (!opened || !this.#bidirectional) this.#finish();
  }

  #control(buffer: Buffer, start: number, end: number): void {
    let frame: ControlFrame;
    try {
      frame = decodeControlFrame(buffer, start, end);
    } catch (error) {
      if (!(error instanceof FrameStreamsError)) throw error;
      return this.#fail(error);
    }
    if (this.#state === 'ready') return this.#accepted(frame);
    if (frame.type === ControlType.FINISH) this.#finish();
  }

  #accepted(frame: ControlFrame): void {
    if (frame.type !== ControlType.ACCEPT) {
      const message = `control frame of type ${frame.type}, expected ACCEPT`;
      return this.#fail(new FrameStreamsError('DNSTAP_ERR_CONTROL_UNEXPECTED', message));
    }
    if (!acceptsContentType(frame.contentTypes, this.#contentType)) {
      const message = `expected ${this.#contentType}, found ${JSON.stringify(frame.contentTypes)}`;
      return this.#fail(new FrameStreamsError('DNSTAP_ERR_CONTENT_TYPE', message));
    }
    this.#state = 'data';
    this.#handler.send(encodeControlFrame({ type: ControlType.START, contentTypes: [this.#contentType] }));
    this.#handler.started();
  }

  #finish(): void {
    this.#state = 'ended';
    this.#splitter.stop();
    this.#handler.finished();
  }

  #fail(error: FrameStreamsError): void {
    this.#state = 'ended';
    this.#splitter.stop();
    this.#handler.failed(error);
  }
}

/** Bytes that a data frame takes in a stream. */
export function dataFrameBytes(frame: Uint8Array): number {
  return LENGTH_BYTES + frame.length;
}

/**
 * Writes a data frame, length first, into `target` at `position`.
 *
 * @returns the position behind it
 */
export function writeDataFrame(target: Buffer, position: number, frame: Uint8Array): number {
  target.set(frame, target.writeUInt32BE(frame.length, position));
  return position + LENGTH_BYTES + frame.length;
}
