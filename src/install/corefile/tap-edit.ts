import { type CoreDnsVersion, isBefore } from './coredns-version.js';
import type { CorefileToken } from './lexer.js';
import { BEGIN_MARKER, END_MARKER, replacedComment } from './markers.js';
import type { ServerBlock } from './parser.js';
import { type CorefileContext, lineOf, type Refused, surveyCorefile } from './survey.js';
import { normaliseEndpoint, type Tap, tapsOf } from './taps.js';
import { applyEdits, lineEnd, lineStart, type TextEdit } from './text-edit.js';

/** The tap that each block is to have. */
export interface Wanted extends Omit<CorefileContext, 'version'> {
  readonly version: CoreDnsVersion | undefined;
  readonly extra?: string;
  /** The directive, a line each. */
  readonly lines: readonly string[];
}

const FIRST_WITH_SEVERAL: CoreDnsVersion = [1, 10, 1];
const DEFAULT_INDENTATION = '    ';
const CR = 0x0d;

/** Whether a tap sends to our endpoint. */
export function isForUs(tap: Tap, { endpoint }: Wanted): boolean {
  return tap.endpoint === normaliseEndpoint(endpoint) && !tap.isListening;
}

/** Adds a tap to each block of a Corefile that has none of ours between markers. */
export function addTaps(bytes: Buffer, wanted: Wanted): { readonly bytes: Buffer } | Refused {
  const survey = surveyCorefile(bytes, wanted);
  if ('refused' in survey) return survey;
  const edits = new Map<number, TextEdit>(); // by offset: a snippet that two blocks import is edited once
  for (const block of survey.external) {
    const edit = editOf(bytes, { block, tokens: survey.corefile.tokens, wanted });
    if (edit !== undefined && 'refused' in edit) return edit;
    if (edit !== undefined) edits.set(edit.start, edit);
  }
  return { bytes: applyEdits(bytes, [...edits.values()]) };
}

interface BlockToEdit {
  readonly block: ServerBlock;
  readonly tokens: readonly CorefileToken[];
  readonly wanted: Wanted;
}

/** The edit that gives a block its tap; undefined if a person gave it one already. */
function editOf(bytes: Buffer, { block, tokens, wanted }: BlockToEdit): TextEdit | Refused | undefined {
  const taps = tapsOf(block, { version: wanted.version, regions: [] });
  const ours = taps.filter((tap) => isForUs(tap, wanted));
  const [existing] = ours;
  if (ours.length > 1) return { refused: 'duplicate-tap', ...lineOf(block) };
  const worksWithOthers = wanted.version !== undefined && !isBefore(wanted.version, FIRST_WITH_SEVERAL);
  if (taps.length > ours.length && !worksWithOthers) return { refused: 'second-tap', ...lineOf(block) };
  if (existing === undefined) {
    const place = placeIn(bytes, block, tokens);
    if (place === undefined) return { refused: 'no-place', ...lineOf(block) };
    return insertion(bytes, place, wanted.lines);
  }
  if (existing.isFull) return undefined;
  // CoreDNS takes the last brace of this tap for that of the server block, which has none.
  const closesBlock =
    block.open !== undefined && block.close === undefined && block.directives.at(-1) === existing.directive;
  if (closesBlock) return { refused: 'no-place', ...lineOf(block) };
  const isInFile = existing.directive.tokens.some(({ file }) => file !== undefined);
  return isInFile ? { refused: 'tap-in-import', ...lineOf(block) } : replacement(bytes, existing, wanted.lines);
}

/** Offset of the line before which a directive of the block can stand without tearing a line. */
function placeIn(bytes: Buffer, block: ServerBlock, tokens: readonly CorefileToken[]): number | undefined {
  const anchor = block.open ?? block.keys.at(-1)?.token;
  // After a key in a snippet a line would be in every block that imports it.
  if (anchor === undefined || (block.open === undefined && block.hasImportedKey === true)) return undefined;
  const following = tokens.find(({ start }) => start >= anchor.end);
  if (following !== undefined && following.line > anchor.lastLine) return lineEnd(bytes, anchor.end);
  // The first directive is on the line of the brace.
  const candidates = [block.close, ...block.directives.slice(1).map(({ name }) => name)];
  const place = candidates.find(
    (token) => token !== undefined && token.file === undefined && startsLine(token, tokens),
  );
  return place && lineStart(bytes, place.start);
}

function startsLine(token: CorefileToken, tokens: readonly CorefileToken[]): boolean {
  const before = tokens.findLast(({ start }) => start < token.start);
  return before === undefined || before.lastLine < token.line;
}

function insertion(bytes: Buffer, offset: number, lines: readonly string[]): TextEdit {
  const [indentation, lineBreak] = [indentationAt(bytes, offset), lineBreakBefore(bytes, offset)];
  const text = [BEGIN_MARKER, ...lines, END_MARKER].map((line) => `${indentation}${line}${lineBreak}`).join('');
  return { start: offset, end: offset, text: Buffer.from(text) };
}

function replacement(bytes: Buffer, { directive }: Tap, lines: readonly string[]): TextEdit {
  const start = directive.name.start;
  const end = directive.tokens.at(-1)?.end ?? directive.name.end;
  const separator = `${lineBreakBefore(bytes, lineEnd(bytes, end))}${indentationAt(bytes, lineStart(bytes, start))}`;
  const text = `${lines.join(separator)} ${replacedComment(bytes.subarray(start, end))}`;
  return { start, end, text: Buffer.from(text) };
}

/** Blanks at the beginning of a line; that of a closing brace or an empty line says nothing. */
function indentationAt(bytes: Buffer, offset: number): string {
  const [, blanks = '', following = ''] =
    /^([ \t]*)([^\r\n]?)/.exec(bytes.toString('latin1', offset, offset + 200)) ?? [];
  return following === '' || following === '}' ? DEFAULT_INDENTATION : blanks;
}

function lineBreakBefore(bytes: Buffer, offset: number): string {
  return bytes[offset - 2] === CR ? '\r\n' : '\n';
}
