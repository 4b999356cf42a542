import { type FileHandle, open, rename, unlink } from 'node:fs/promises';

import { DnstapError } from './errors.js';
import { HARD_MAX_FRAME_BYTES } from './frame-splitter.js';
import { dataFrameBytes, FrameStreamWriter, writeDataFrame } from './frame-stream-writer.js';

const BUFFER_BYTES = 64 * 1024;

/** Options of `FrameStreamFileWriter.open`. */
export interface FrameStreamFileWriteOptions {
  /** Write beside the path and rename on `close`, so that nobody sees half a file. Default false. */
  readonly atomic?: boolean;
  /** Default `protobuf:dnstap.Dnstap`. */
  readonly contentType?: string;
}

/** Writes a Frame Streams file: START, data frames, and STOP on `close`. */
export class FrameStreamFileWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #partialPath: string | undefined;
  readonly #writer: FrameStreamWriter;
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;
  #writing: Promise<void> = Promise.resolve();
  #pendingBytes = 0;
  #failure: DnstapError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(file: FileHandle, path: string, partialPath: string | undefined, contentType?: string) {
    this.#file = file;
    this.#path = path;
    this.#partialPath = partialPath;
    this.#writer = new FrameStreamWriter(
      {
        send: (bytes) => this.#append(bytes.length, (target, position) => void bytes.copy(target, position)),
        started: () => {},
        finished: () => {},
        failed: () => {},
      },
      { bidirectional: false, ...(contentType !== undefined && { contentType }) },
    );
    this.#writer.open();
  }

  /**
   * Makes or empties the file.
   *
   * @throws DnstapError `DNSTAP_ERR_FILE`
   */
  static async open(path: string, options: FrameStreamFileWriteOptions = {}): Promise<FrameStreamFileWriter> {
    const partialPath = options.atomic === true ? `${path}.${process.pid}.partial` : undefined;
    try {
      const file = await open(partialPath ?? path, 'w');
      return new FrameStreamFileWriter(file, path, partialPath, options.contentType);
    } catch (cause) {
      throw new DnstapError('DNSTAP_ERR_FILE', `cannot write ${path}`, { cause });
    }
  }

  /** Bytes taken by `write` and not yet in the file; who does not await `write` drops frames above a bound of its own. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Appends one data frame. The bytes may be reused at once. Resolves when there is room for more.
   *
   * @throws DnstapError `DNSTAP_ERR_FILE`, `DNSTAP_ERR_CLOSED`, `DNSTAP_ERR_FRAME_TOO_LARGE` (over 16 MiB, or empty)
   */
  async write(frame: Uint8Array): Promise<void> {
    this.#throwFailure();
    if (this.#closing !== undefined) throw new DnstapError('DNSTAP_ERR_CLOSED', 'the file is closed');
    if (frame.length === 0 || frame.length > HARD_MAX_FRAME_BYTES) {
      const message = `a data frame has 1 to ${HARD_MAX_FRAME_BYTES} bytes, found ${frame.length}`;
      throw new DnstapError('DNSTAP_ERR_FRAME_TOO_LARGE', message);
    }
    this.#append(dataFrameBytes(frame), (target, position) => void writeDataFrame(target, position, frame));
    if (this.#pendingBytes < BUFFER_BYTES) return;
    this.#flush();
    await this.#writing;
    this.#throwFailure();
  }

  /**
   * Writes STOP, makes the file durable, and gives it its name if `atomic`. Safe to call again.
   *
   * @throws DnstapError `DNSTAP_ERR_FILE`; then an atomic file has not appeared
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #append(bytes: number, copy: (target: Buffer, position: number) => void): void {
    if (this.#used + bytes > this.#buffer.length) this.#flush();
    if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(bytes);
    copy(this.#buffer, this.#used);
    this.#used += bytes;
    this.#pendingBytes += bytes;
  }

  /** Hands the filled buffer to the file and takes a fresh one. */
  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#used = 0;
    this.#writing = this.#writing.then(() => this.#writeOut(bytes));
  }

  async #writeOut(bytes: Buffer): Promise<void> {
    try {
      if (this.#failure === undefined) await writeAll(this.#file, bytes);
    } catch (cause) {
      this.#failure = new DnstapError('DNSTAP_ERR_FILE', `cannot write ${this.#path}`, { cause });
    }
    this.#pendingBytes -= bytes.length;
  }

  async #close(): Promise<void> {
    this.#writer.close();
    this.#flush();
    await this.#writing;
    try {
      if (this.#failure === undefined) await this.#file.sync();
      await this.#file.close();
      this.#throwFailure();
      if (this.#partialPath !== undefined) await rename(this.#partialPath, this.#path);
    } catch (cause) {
      if (this.#partialPath !== undefined) await unlink(this.#partialPath).catch(() => {}); // the first error counts
      if (cause instanceof DnstapError) throw cause;
      throw new DnstapError('DNSTAP_ERR_FILE', `cannot finish ${this.#path}`, { cause });
    }
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  let position = 0;
  while (position < bytes.length) {
    position += (await file.write(bytes, position, bytes.length - position)).bytesWritten;
  }
}
