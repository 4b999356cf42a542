import {
  acceptsContentType,
  type ControlFrame,
  ControlType,
  decodeControlFrame,
  DNSTAP_CONTENT_TYPE,
  encodeControlFrame,
} from './control-frame.js';
import { DnstapError, FrameStreamsError } from './errors.js';
import { type FrameSink, FrameSplitter, HARD_MAX_FRAME_BYTES } from './frame-splitter.js';

/** Longer data frames are skipped and counted unless an option says otherwise: 256 KiB, as `fstrm_capture`. */
export const DEFAULT_MAX_FRAME_BYTES = 256 * 1024;

/**
 * The limit that an option sets, or the default.
 *
 * @throws DnstapError `DNSTAP_ERR_OPTION` unless it is from 1 byte to 16 MiB
 */
export function frameLimit(maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES): number {
  if (Number.isSafeInteger(maxFrameBytes) && maxFrameBytes > 0 && maxFrameBytes <= HARD_MAX_FRAME_BYTES) {
    return maxFrameBytes;
  }
  const expected = `a number of bytes from 1 to ${HARD_MAX_FRAME_BYTES}`;
  throw new DnstapError('DNSTAP_ERR_OPTION', `maxFrameBytes must be ${expected}, found ${maxFrameBytes}`);
}

/** `unidirectional` for files and pipes; `either` for sockets, where the first frame of the peer decides. */
export type ReaderMode = 'either' | 'unidirectional';

/** What a FrameStreamReader asks of its owner. Ranges are valid during the call only. */
export interface FrameStreamReaderHandler {
  /** A data frame without its length. */
  frame(buffer: Buffer, start: number, end: number): void;
  /** Bytes to write to the peer; never called in unidirectional streams. */
  send(bytes: Buffer): void;
  /** START has come: frames follow. */
  started(bidirectional: boolean): void;
  /** STOP has come; what had to be sent is sent: flush and close. */
  stopped(): void;
  /** A data frame over the limit, which is skipped. */
  oversize(lengthBytes: number): void;
  /** The peer broke the rules: close. Nothing is delivered after it. */
  failed(error: FrameStreamsError): void;
}

type State = 'opening' | 'accepted' | 'data' | 'ended';

/**
 * The receiving side of Frame Streams without any I/O: bytes in by `push`, frames and answers out by the handler.
 *
 * ```
 * state     READY              START               STOP                  data     other control
 * opening   ACCEPT > accepted  > data (one way)    fail                  fail     fail
 * accepted  fail               > data (both ways)  FINISH > ended        fail     fail
 * data      ignore             ignore              (FINISH) > ended      deliver  ignore
 * ended     bytes are not looked at
 * ```
 *
 * STOP without START comes from senders that give up waiting. In `data`, `fstrm/control.h` wants unknown types ignored;
 * `farsightsec/golang-framestream` ignores known ones too, and so does this. FINISH is sent only where READY was seen.
 */
export class FrameStreamReader {
  readonly #handler: FrameStreamReaderHandler;
  readonly #contentType: string;
  readonly #mode: ReaderMode;
  readonly #splitter: FrameSplitter;
  #state: State = 'opening';
  #bidirectional = false;

  /** @throws DnstapError `DNSTAP_ERR_OPTION` */
  constructor(
    handler: FrameStreamReaderHandler,
    options: { readonly contentType?: string; readonly maxFrameBytes?: number; readonly mode?: ReaderMode } = {},
  ) {
    this.#handler = handler;
    this.#contentType = options.contentType ?? DNSTAP_CONTENT_TYPE;
    this.#mode = options.mode ?? 'either';
    this.#splitter = new FrameSplitter(this.#sink(), frameLimit(options.maxFrameBytes));
  }

  /** True from START to STOP. */
  get inData(): boolean {
    return this.#state === 'data';
  }

  /** True after STOP, a failure or `stop()`. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Bytes of a frame that has begun and is not complete. */
  get unfinishedBytes(): number {
    return this.#splitter.unfinishedBytes;
  }

  /** Bytes of an oversize frame that have not come yet. */
  get unskippedBytes(): number {
    return this.#splitter.unskippedBytes;
  }

  /** Takes bytes in any chunks; they may be reused after the call. @returns the position after the last one taken */
  push(chunk: Buffer, start?: number, end?: number): number {
    return this.#splitter.push(chunk, start, end);
  }

  /** Delivers nothing more; may be called from the handler. */
  stop(): void {
    this.#state = 'ended';
    this.#splitter.stop();
  }

  #sink(): FrameSink {
    const handler = this.#handler;
    return {
      frame: (buffer, start, end) => handler.frame(buffer, start, end),
      control: (buffer, start, end) => this.#control(buffer, start, end),
      oversize: (lengthBytes) => handler.oversize(lengthBytes),
      violation: (error) => this.#fail(this.#firstFrameError(error)),
    };
  }

  /** What is wrong with a first frame is always the same: this is not Frame Streams. */
  #firstFrameError(error: FrameStreamsError): FrameStreamsError {
    if (this.#state !== 'opening') return error;
    return new FrameStreamsError(
      'DNSTAP_ERR_NOT_FRAME_STREAMS',
      `expected a READY or START frame, found a ${error.message}`,
    );
  }

  #control(buffer: Buffer, start: number, end: number): void {
    let frame: ControlFrame;
    try {
      frame = decodeControlFrame(buffer, start, end);
    } catch (error) {
      if (!(error instanceof FrameStreamsError)) throw error;
      return this.#fail(this.#firstFrameError(error));
    }
    if (this.#state === 'opening') return this.#open(frame);
    if (frame.type === ControlType.STOP) return this.#end();
    if (this.#state === 'data') return; // see the table
    if (frame.type === ControlType.START) return this.#start(frame);
    this.#failWith('DNSTAP_ERR_CONTROL_UNEXPECTED', `control frame of type ${frame.type}, expected START`);
  }

  #open(frame: ControlFrame): void {
    if (frame.type === ControlType.READY && this.#mode === 'either') return this.#accept(frame);
    if (frame.type === ControlType.START) return this.#start(frame);
    this.#failWith('DNSTAP_ERR_NOT_FRAME_STREAMS', `first control frame is of type ${frame.type}`);
  }

  // ACCEPT always names our content type: golang-framestream answers an empty ACCEPT with a START without one.
  #accept(ready: ControlFrame): void {
    if (!acceptsContentType(ready.contentTypes, this.#contentType)) return this.#refuse(ready);
    this.#bidirectional = true;
    this.#state = 'accepted';
    this.#handler.send(encodeControlFrame({ type: ControlType.ACCEPT, contentTypes: [this.#contentType] }));
  }

  #start(start: ControlFrame): void {
    const names = start.contentTypes;
    if (names.length > 1 || !acceptsContentType(names, this.#contentType)) return this.#refuse(start);
    this.#state = 'data';
    this.#splitter.acceptsData = true;
    this.#handler.started(this.#bidirectional);
  }

  #end(): void {
    this.stop();
    if (this.#bidirectional) {
      this.#handler.send(encodeControlFrame({ type: ControlType.FINISH, contentTypes: [] }));
    }
    this.#handler.stopped();
  }

  #refuse(frame: ControlFrame): void {
    const found = JSON.stringify(frame.contentTypes);
    this.#failWith('DNSTAP_ERR_CONTENT_TYPE', `expected ${this.#contentType}, found ${found}`);
  }

  #failWith(code: FrameStreamsError['code'], message: string): void {
    this.#fail(new FrameStreamsError(code, message));
  }

  #fail(error: FrameStreamsError): void {
    this.stop();
    this.#handler.failed(error);
  }
}
