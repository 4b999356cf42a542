const NEWLINE = 0x0a;

export interface Line {
  readonly number: number;
  readonly text: string;
}

export interface LineOptions {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Longest line in bytes; asked anew for each line. */
  readonly maxBytesOf: (lineNumber: number) => number;
  /** Makes the error for a line over its limit. */
  readonly tooLong: (lineNumber: number, maxBytes: number) => Error;
}

/** The lines of a stream, without their newline. A line's length is checked before its bytes are kept. */
export async function* readLines({ chunks, maxBytesOf, tooLong }: LineOptions): AsyncGenerator<Line> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let number = 1;

  function keep(part: Uint8Array): void {
    length += part.length;
    const maxBytes = maxBytesOf(number);
    if (length > maxBytes) throw tooLong(number, maxBytes);
    parts.push(part);
  }

  function take(): Line {
    const line = { number, text: Buffer.concat(parts).toString('utf8') };
    parts = [];
    length = 0;
    number++;
    return line;
  }

  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (length > 0) yield take();
}
