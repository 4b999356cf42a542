/** A range of bytes and what comes in its place. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: Uint8Array;
}

const LF = 0x0a;

/** Applies edits that do not overlap. */
export function applyEdits(bytes: Uint8Array, edits: readonly TextEdit[]): Buffer {
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const { start, end, text } of edits.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    pieces.push(bytes.subarray(from, start), text);
    from = end;
  }
  pieces.push(bytes.subarray(from));
  return Buffer.concat(pieces);
}

/** Offset of the first byte of the line that an offset is in. */
export function lineStart(bytes: Uint8Array, offset: number): number {
  return offset === 0 ? 0 : bytes.lastIndexOf(LF, offset - 1) + 1;
}

/** Offset after the line feed of the line that an offset is in, or the end of the text. */
export function lineEnd(bytes: Uint8Array, offset: number): number {
  const found = bytes.indexOf(LF, offset);
  return found < 0 ? bytes.length : found + 1;
}
