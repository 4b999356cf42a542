import { blankLength, type CorefileComment, type CorefileToken } from './lexer.js';
import { lineEnd, lineStart } from './text-edit.js';

/** The comment lines around what we insert; the same for ever, because they are how it is found again. */
export const BEGIN_MARKER = '# BEGIN istio-discovery';
export const END_MARKER = '# END istio-discovery';

/** Opens the comment behind a directive that was rewritten; the directive as it was follows, encoded as in a URI. */
const REPLACED_MARKER = '# istio-discovery replaced: ';

/** Lines between two markers. Offsets in bytes. */
export interface MarkedRegion {
  /** First byte of the line of the first marker. */
  readonly start: number;
  readonly tapsStart: number;
  /** First byte of the line of the last marker. */
  readonly tapsEnd: number;
  /** After the line feed of the last marker's line. */
  readonly end: number;
}

/** A directive that was rewritten, and what it was. Offsets in bytes. */
export interface ReplacedDirective {
  readonly start: number;
  /** After the last byte of our comment; another comment may follow. */
  readonly end: number;
  readonly original: Uint8Array;
}

/** The regions between our markers. A marker counts only on a line of its own, and only with its other half. */
export function markedRegions(bytes: Uint8Array, comments: readonly CorefileComment[]): readonly MarkedRegion[] {
  const regions: MarkedRegion[] = [];
  let begin: CorefileComment | undefined;
  for (const comment of comments.filter(({ start }) => isAloneOnLine(bytes, start))) {
    const text = comment.text.trimEnd();
    if (text === BEGIN_MARKER) begin = comment;
    if (text !== END_MARKER || begin === undefined) continue;
    regions.push({
      start: lineStart(bytes, begin.start),
      tapsStart: lineEnd(bytes, begin.start),
      tapsEnd: lineStart(bytes, comment.start),
      end: lineEnd(bytes, comment.start),
    });
    begin = undefined;
  }
  return regions;
}

/** The comment to write behind a directive that takes the place of another one. */
export function replacedComment(original: Uint8Array): string {
  return `${REPLACED_MARKER}${encodeURIComponent(Buffer.from(original).toString('latin1'))}`;
}

/** The directives that were rewritten: a `dnstap` with our comment behind it on its line. */
export function replacedDirectives(
  tokens: readonly CorefileToken[],
  comments: readonly CorefileComment[],
): readonly ReplacedDirective[] {
  return comments.flatMap((comment) => {
    if (!comment.text.startsWith(REPLACED_MARKER)) return [];
    const start = tokens.findLast(({ text, start }) => text === 'dnstap' && start < comment.start)?.start;
    const encoded = /^[^\s]*/.exec(comment.text.slice(REPLACED_MARKER.length))?.[0] ?? '';
    const original = decode(encoded);
    if (start === undefined || original === undefined) return [];
    return [{ start, end: comment.start + REPLACED_MARKER.length + encoded.length, original }];
  });
}

function decode(encoded: string): Uint8Array | undefined {
  try {
    return Buffer.from(decodeURIComponent(encoded), 'latin1');
  } catch {
    return undefined; // somebody has edited our comment
  }
}

function isAloneOnLine(bytes: Uint8Array, offset: number): boolean {
  let at = lineStart(bytes, offset);
  while (at < offset) {
    const blank = blankLength(bytes, at);
    if (blank === 0) return false;
    at += blank;
  }
  return true;
}
