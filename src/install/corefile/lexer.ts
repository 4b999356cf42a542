/** A word of a Corefile and where it stands. */
export interface CorefileToken {
  /** What CoreDNS reads: without quotes, without a comment glued to it, without carriage returns. */
  readonly text: string;
  /** Line of its first byte, from 1. */
  readonly line: number;
  /** Line of its last byte: a quoted word may go over several. */
  readonly lastLine: number;
  /** Offset in bytes of its first byte, quote included. */
  readonly start: number;
  /** Offset after its last byte; a comment that is glued to the word is part of it. */
  readonly end: number;
  /** The imported file that it comes from; absent for the Corefile itself. */
  readonly file?: string;
}

/** A comment that no word is glued to, from its `#` to the end of the line. */
export interface CorefileComment {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export interface CorefileWords {
  readonly tokens: readonly CorefileToken[];
  readonly comments: readonly CorefileComment[];
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const HASH = 0x23;
const BACKSLASH = 0x5c;
const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

/**
 * Splits a Corefile into its words as CoreDNS does, byte by byte: text that is not UTF-8 is left alone.
 *
 * - A word starts a quotation only with its first character; inside, `\"` is the only escape.
 * - `#` starts a comment even inside a word, and then the comment lasts only to the next blank.
 * - A carriage return vanishes, even inside a word; only a line feed ends a line or a comment.
 *
 * @see coredns/caddy caddyfile/lexer.go
 */
export function lexCorefile(bytes: Uint8Array, file?: string): CorefileWords {
  const lexer = new Lexer(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), file);
  const tokens: CorefileToken[] = [];
  for (let token = lexer.next(); token !== undefined; token = lexer.next()) tokens.push(token);
  return { tokens, comments: lexer.comments };
}

/**
 * Length of the blank at an offset, 0 if there is none. Blanks are those of Go's `unicode.IsSpace`; a regular expression's
 * `\s` has others.
 */
export function blankLength(bytes: Uint8Array, offset: number): number {
  const [first = 0, second = 0, third = 0] = bytes.subarray(offset, offset + 3);
  if (first === SPACE || (first >= 0x09 && first <= 0x0d)) return 1;
  if (first === 0xc2) return second === 0x85 || second === 0xa0 ? 2 : 0; // U+0085, U+00A0
  return isWideBlank(first, second, third) ? 3 : 0;
}

function isWideBlank(first: number, second: number, third: number): boolean {
  if (first === 0xe1) return second === 0x9a && third === 0x80; // U+1680
  if (first === 0xe3) return second === 0x80 && third === 0x80; // U+3000
  if (first !== 0xe2) return false;
  if (second === 0x81) return third === 0x9f; // U+205F
  const isThin = third >= 0x80 && third <= 0x8a; // U+2000 to U+200A
  return second === 0x80 && (isThin || third === 0xa8 || third === 0xa9 || third === 0xaf); // U+2028, U+2029, U+202F
}

class Lexer {
  readonly comments: CorefileComment[] = [];
  readonly #bytes: Buffer;
  readonly #file: string | undefined;
  #offset: number;
  #line = 1;

  constructor(bytes: Buffer, file: string | undefined) {
    this.#bytes = bytes;
    this.#file = file;
    this.#offset = bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
  }

  next(): CorefileToken | undefined {
    this.#skipBlanksAndComments();
    if (this.#offset >= this.#bytes.length) return undefined;
    return this.#bytes[this.#offset] === QUOTE ? this.#quoted() : this.#word();
  }

  #skipBlanksAndComments(): void {
    while (this.#offset < this.#bytes.length) {
      const blank = blankLength(this.#bytes, this.#offset);
      if (blank === 0 && this.#bytes[this.#offset] !== HASH) return;
      if (blank === 0) this.#comment();
      else this.#pass(blank);
    }
  }

  #comment(): void {
    const start = this.#offset;
    const lineEnd = this.#bytes.indexOf(LF, start);
    const end = lineEnd < 0 ? this.#bytes.length : lineEnd;
    this.comments.push({ text: this.#bytes.toString('utf8', start, end), start, end });
    this.#offset = end;
  }

  #word(): CorefileToken {
    const [start, line] = [this.#offset, this.#line];
    const text: number[] = [];
    let isComment = false;
    while (this.#offset < this.#bytes.length) {
      const byte = this.#bytes[this.#offset] ?? 0;
      if (byte !== CR && blankLength(this.#bytes, this.#offset) > 0) break;
      if (byte === HASH) isComment = true;
      if (byte !== CR && !isComment) text.push(byte);
      this.#offset += 1;
    }
    let end = this.#offset;
    while (this.#bytes[end - 1] === CR) end -= 1; // that of the line's end
    return this.#token(text, { start, line, end });
  }

  #quoted(): CorefileToken | undefined {
    const [start, line] = [this.#offset, this.#line];
    const text: number[] = [];
    this.#offset += 1;
    while (this.#offset < this.#bytes.length) {
      const byte = this.#bytes[this.#offset] ?? 0;
      this.#pass(1);
      if (byte === QUOTE) return this.#token(text, { start, line, end: this.#offset });
      if (byte !== BACKSLASH) {
        text.push(byte);
        continue;
      }
      if (this.#offset >= this.#bytes.length) break; // nothing is left to escape, and it is dropped
      const escaped = this.#bytes[this.#offset] ?? 0;
      text.push(...(escaped === QUOTE ? [QUOTE] : [BACKSLASH, escaped]));
      this.#pass(1);
    }
    // An open quotation ends with the file.
    return text.length === 0 ? undefined : this.#token(text, { start, line, end: this.#offset });
  }

  #pass(length: number): void {
    if (this.#bytes[this.#offset] === LF) this.#line += 1;
    this.#offset += length;
  }

  #token(text: readonly number[], at: { start: number; line: number; end: number }): CorefileToken {
    return {
      text: Buffer.from(text).toString('utf8'),
      lastLine: this.#line,
      ...at,
      ...(this.#file !== undefined && { file: this.#file }),
    };
  }
}
