import { once } from 'node:events';
import type { Writable } from 'node:stream';

import { decodeDnstap } from './codec.js';
import type { OutputFormat } from './command-line.js';
import type { Dnstap } from './dnstap-message.js';
import { DnstapDecodeError } from './errors.js';
import { dnstapToJson } from './message-json.js';
import { dnstapToLine, dnstapToYaml } from './message-text.js';

const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;
const FLUSH_AT_CHARACTERS = 64 * 1024;

/**
 * Prints frames. Whoever reads the output slowly does not slow down the socket: beyond 64 MiB that wait, frames are
 * dropped and counted.
 */
export class FramePrinter {
  readonly #output: Writable;
  readonly #format: OutputFormat;
  #text = '';
  #scheduled = false;
  #droppedFrames = 0;

  constructor(output: Writable, format: OutputFormat) {
    this.#output = output;
    this.#format = format;
  }

  /** Frames that were not printed because the output was not read. */
  get droppedFrames(): number {
    return this.#droppedFrames;
  }

  /** @returns false when the frame was dropped */
  print(frame: Buffer): boolean {
    if (this.#format === 'none') return true;
    if (this.#output.writableLength + this.#text.length > MAX_BUFFERED_BYTES) {
      this.#droppedFrames++;
      return false;
    }
    this.#text += formatFrame(frame, this.#format);
    if (this.#text.length >= FLUSH_AT_CHARACTERS) this.#flush();
    else this.#scheduleFlush();
    return true;
  }

  /** Resolves when the output has taken what was printed; at once when it is gone. */
  async drained(): Promise<void> {
    this.#flush();
    if (this.#output.writableNeedDrain && !this.#output.destroyed) {
      await Promise.race([once(this.#output, 'drain'), once(this.#output, 'close')]);
    }
  }

  // A tap may be quiet for minutes: its last line must not wait for company.
  #scheduleFlush(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#text !== '') this.#output.write(this.#text);
    this.#text = '';
  }
}

/** A frame in one of the formats, with its line ends; what cannot be decoded says so in the same format. */
export function formatFrame(frame: Buffer, format: OutputFormat): string {
  let dnstap: Dnstap;
  try {
    dnstap = decodeDnstap(frame);
  } catch (error) {
    if (!(error instanceof DnstapDecodeError)) throw error;
    return formatUndecodable(error, frame, format);
  }
  if (format === 'json') return `${JSON.stringify(dnstapToJson(dnstap))}\n`;
  return format === 'yaml' ? `${dnstapToYaml(dnstap)}---\n` : `${dnstapToLine(dnstap)}\n`;
}

function formatUndecodable(error: DnstapDecodeError, frame: Buffer, format: OutputFormat): string {
  const fields = { error: error.code, frame: frame.toString('hex') };
  if (format === 'json') return `${JSON.stringify(fields)}\n`;
  return format === 'yaml'
    ? `error: ${fields.error}\nframe: "${fields.frame}"\n---\n`
    : `- ${fields.error} ${frame.length}b\n`;
}
