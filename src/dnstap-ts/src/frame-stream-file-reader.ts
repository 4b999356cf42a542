import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';

import { DnstapError, type FrameStreamsError, nodeErrorCode } from './errors.js';
import { FrameStreamReader } from './frame-stream-reader.js';

/** Options of `readFrameStreamFile`. */
export interface FrameStreamFileReadOptions {
  /** Called for each data frame, synchronously. The bytes are valid during the call only. */
  readonly onFrame: (buffer: Buffer, start: number, end: number) => void;
  /** Awaited between chunks, for handlers that must not be outrun. */
  readonly afterChunk?: () => Promise<void>;
  /** Default `protobuf:dnstap.Dnstap`. */
  readonly contentType?: string;
  /** Longer frames are skipped and counted. Default 256 KiB. */
  readonly maxFrameBytes?: number;
  /** Ends the reading; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a file held. */
export interface FrameStreamFileResult {
  /** Data frames delivered. */
  readonly frames: number;
  /** Bytes of the stream, after decompression. */
  readonly bytes: number;
  /** Data frames skipped because of their length. */
  readonly oversizeFrames: number;
  /** Whether the stream ended with STOP. */
  readonly complete: boolean;
  /** Bytes at the end that belong to a frame which is not whole; they are lost. */
  readonly truncatedBytes: number;
  /** Bytes behind STOP; they were not looked at. */
  readonly trailingBytes: number;
}

const GZIP_MAGIC = 0x1f8b; // RFC 1952 section 2.3.1

/**
 * Reads a Frame Streams file (or pipe), plain or gzip: told apart by the first two bytes. A file that is cut off is no
 * error: all its whole frames are delivered, and the result says that it is not `complete` and how much was lost.
 *
 * @param source path of a file, or a stream of Buffers
 * @throws FrameStreamsError when the bytes are not a Frame Streams file of this content type; frames before the fault
 * have been delivered
 * @throws DnstapError `DNSTAP_ERR_FILE` when reading or decompressing fails, `DNSTAP_ERR_OPTION`
 */
export async function readFrameStreamFile(
  source: string | Readable,
  options: FrameStreamFileReadOptions,
): Promise<FrameStreamFileResult> {
  options.signal?.throwIfAborted();
  const file = new FileReading(options);
  const input = typeof source === 'string' ? createReadStream(source) : source;
  const abort = () => void input.destroy(new Error('aborted'));
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    await file.read(input);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
    input.destroy();
  }
  return file.result();
}

class FileReading {
  readonly #reader: FrameStreamReader;
  readonly #signal: AbortSignal | undefined;
  readonly #afterChunk: (() => Promise<void>) | undefined;
  #failure: FrameStreamsError | undefined;
  #frames = 0;
  #bytes = 0;
  #oversizeFrames = 0;
  #trailingBytes = 0;
  #stopped = false;

  constructor(options: FrameStreamFileReadOptions) {
    const { onFrame, signal, contentType, maxFrameBytes } = options;
    this.#signal = signal;
    this.#afterChunk = options.afterChunk;
    this.#reader = new FrameStreamReader(
      {
        frame: (buffer, start, end) => {
          this.#frames++;
          onFrame(buffer, start, end);
        },
        send: () => {},
        started: () => {},
        stopped: () => void (this.#stopped = true),
        oversize: () => void this.#oversizeFrames++,
        failed: (error) => void (this.#failure = error),
      },
      {
        mode: 'unidirectional',
        ...(contentType !== undefined && { contentType }),
        ...(maxFrameBytes !== undefined && { maxFrameBytes }),
      },
    );
  }

  async read(input: Readable): Promise<void> {
    const chunks = fileErrors(input);
    const first = await firstBytes(chunks);
    if (first.length >= 2 && first.readUInt16BE(0) === GZIP_MAGIC) return this.#readGzip(first, chunks);
    await this.#push(first);
    for await (const chunk of chunks) await this.#push(chunk);
  }

  async #readGzip(first: Buffer, chunks: AsyncIterable<Buffer>): Promise<void> {
    const gunzip = createGunzip();
    const feeding = feed(gunzip, first, chunks);
    feeding.catch((error: Error) => gunzip.destroy(error));
    for await (const chunk of unpacked(gunzip)) await this.#push(chunk);
  }

  async #push(chunk: Buffer): Promise<void> {
    this.#signal?.throwIfAborted();
    this.#bytes += chunk.length;
    this.#trailingBytes += chunk.length - this.#reader.push(chunk);
    if (this.#failure !== undefined) throw this.#failure;
    await this.#afterChunk?.();
  }

  result(): FrameStreamFileResult {
    return {
      frames: this.#frames,
      bytes: this.#bytes,
      oversizeFrames: this.#oversizeFrames,
      complete: this.#stopped,
      truncatedBytes: this.#reader.unfinishedBytes,
      trailingBytes: this.#trailingBytes,
    };
  }
}

/** At least two bytes, unless the input has fewer. */
async function firstBytes(chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  let bytes: Buffer = Buffer.alloc(0);
  while (bytes.length < 2) {
    const next = await chunks.next();
    if (next.done === true) break;
    bytes = Buffer.concat([bytes, next.value]);
  }
  return bytes;
}

async function* fileErrors(input: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of input) yield chunk as Buffer; // documented: a stream of Buffers
  } catch (error) {
    throw asFileError(error);
  }
}

/** What comes out of gunzip; input that is cut off ends it without an error. */
async function* unpacked(gunzip: Gunzip): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of gunzip) yield chunk as Buffer; // zlib streams give Buffers
  } catch (error) {
    if (nodeErrorCode(error) !== 'Z_BUF_ERROR') throw asFileError(error);
  }
}

async function feed(gunzip: Gunzip, first: Buffer, chunks: AsyncIterable<Buffer>): Promise<void> {
  gunzip.write(first);
  for await (const chunk of chunks) {
    if (gunzip.destroyed) return;
    if (!gunzip.write(chunk)) await drained(gunzip);
  }
  gunzip.end();
}

function drained(gunzip: Gunzip): Promise<void> {
  return new Promise((resolve) => {
    gunzip.once('drain', resolve);
    gunzip.once('close', resolve);
  });
}

function asFileError(cause: unknown): unknown {
  return cause instanceof DnstapError ? cause : new DnstapError('DNSTAP_ERR_FILE', 'reading failed', { cause });
}
