import { corefileLine, type CorefileCaution } from './corefile-line.js';
import { type CoreDnsVersion, isBefore, parseCoreDnsVersion } from './coredns-version.js';
import { type CorefileToken, lexCorefile } from './lexer.js';
import { markedRegions } from './markers.js';
import type { ServerBlock } from './parser.js';
import { removalOfMarked, removeTap } from './remove-tap.js';
import { type CorefileContext, type Refused, type Survey, surveyCorefile } from './survey.js';
import { addTaps, isForUs, type Wanted } from './tap-edit.js';
import { type Tap, tapsOf } from './taps.js';
import { applyEdits } from './text-edit.js';

export interface InsertTapOptions extends CorefileContext {
  /** What `extra` adds to each message, such as `{/kubernetes/client-namespace}`; left out before CoreDNS 1.11.1. */
  readonly extra?: string;
}

/**
 * What to know before the text is used, beside what the line itself brings.
 *
 * - `extra-left-out`: this CoreDNS does not know `extra`.
 * - `extra-needs-metadata`: without the `metadata` plugin in the block `extra` is `-`.
 * - `no-reload`: CoreDNS reads the new text only when its pods are restarted.
 * - `import-unknown`: what it imports was not given; a tap in there cannot be seen.
 * - `block-in-import`: a server block for external names is in an imported file, and gets no tap.
 */
export type InsertCaution =
  CorefileCaution | 'block-in-import' | 'extra-left-out' | 'extra-needs-metadata' | 'import-unknown' | 'no-reload';

/** @see insertTap */
export type TapInsertion =
  | {
      readonly bytes: Buffer;
      /** The same as text. */
      readonly text: string;
      readonly changed: boolean;
      /** The keys of each server block that is tapped now, as they are written. */
      readonly tapped: readonly (readonly string[])[];
      readonly cautions: readonly InsertCaution[];
    }
  | Refused;

const FIRST_WITH_EXTRA: CoreDnsVersion = [1, 11, 1];

/**
 * Gives each server block that can answer for external names exactly one full tap with our endpoint, between markers that
 * {@link removeTap} finds again; every other byte stays. Twice is the same as once. A tap of ours with another endpoint or
 * other options is replaced; one that a person wrote with our endpoint stays if it is full, else it is rewritten in a way
 * that can be undone; taps with other endpoints stay.
 */
export function insertTap(corefile: string | Uint8Array, options: InsertTapOptions): TapInsertion {
  const before = Buffer.from(corefile);
  const line = corefileLine(options);
  if ('refused' in line) return line;
  const version = options.version === undefined ? undefined : parseCoreDnsVersion(options.version);
  const wanted: Wanted = { ...options, version, lines: tapLines(line.line, options.extra, version) };
  const survey = surveyCorefile(before, wanted);
  if ('refused' in survey) return survey;
  let bytes: Buffer = before;
  if (!isSettled(before, survey, wanted)) {
    const edited = addTaps(applyEdits(before, removalOfMarked(before)), wanted);
    if ('refused' in edited) return edited;
    if (!isReversible(before, edited.bytes) || !isWhatWasWanted(edited.bytes, wanted)) return { refused: 'self-check' };
    bytes = edited.bytes;
  }
  return {
    bytes,
    text: bytes.toString('utf8'),
    changed: !bytes.equals(before),
    tapped: survey.external.map(({ keys }) => keys.map(({ token }) => token.text)),
    cautions: [...new Set([...line.cautions, ...cautionsOf(survey, wanted)])].sort(),
  };
}

function tapLines(line: string, extra: string | undefined, version: CoreDnsVersion | undefined): readonly string[] {
  if (extra === undefined || version === undefined || isBefore(version, FIRST_WITH_EXTRA)) return [line];
  return [`${line} {`, `   extra "${extra.replaceAll('"', '\\"')}"`, '}'];
}

/** Whether nothing has to be done. */
function isSettled(bytes: Buffer, { corefile, external }: Survey, wanted: Wanted): boolean {
  const context = { version: wanted.version, regions: markedRegions(bytes, corefile.comments) };
  const hasStrayTap = corefile.blocks
    .filter((block) => !external.includes(block))
    .some((block) => tapsOf(block, context).some(({ isMarked }) => isMarked));
  return !hasStrayTap && external.every((block) => hasWantedTap(tapsOf(block, context), wanted));
}

function hasWantedTap(taps: readonly Tap[], wanted: Wanted): boolean {
  const ours = taps.filter((tap) => tap.isMarked || isForUs(tap, wanted));
  const [tap] = ours;
  if (tap === undefined || ours.length > 1 || !isForUs(tap, wanted) || !tap.isFull) return false;
  return !tap.isMarked || wordsOf(tap.directive.tokens) === wordsOf(tokensOf(wanted));
}

function tokensOf({ lines }: Wanted): readonly CorefileToken[] {
  return lexCorefile(Buffer.from(lines.join('\n'))).tokens;
}

function wordsOf(tokens: readonly CorefileToken[]): string {
  return tokens.map(({ text }) => text).join('\n');
}

function isWhatWasWanted(bytes: Buffer, wanted: Wanted): boolean {
  const survey = surveyCorefile(bytes, wanted);
  return !('refused' in survey) && isSettled(bytes, survey, wanted);
}

/** Whether removing gives back the bytes from before, less what was ours already then. */
function isReversible(before: Buffer, after: Buffer): boolean {
  const [original, undone] = [removeTap(before), removeTap(after)];
  return 'bytes' in original && 'bytes' in undone && undone.bytes.equals(original.bytes);
}

function cautionsOf({ corefile, external, imported }: Survey, wanted: Wanted): readonly InsertCaution[] {
  const has = (block: ServerBlock, name: string): boolean => block.directives.some((each) => each.name.text === name);
  const isExtraWritten = wanted.lines.length > 1;
  const cautions: readonly (readonly [boolean, InsertCaution])[] = [
    [wanted.extra !== undefined && !isExtraWritten, 'extra-left-out'],
    [isExtraWritten && !external.every((block) => has(block, 'metadata')), 'extra-needs-metadata'],
    [!corefile.blocks.some((block) => has(block, 'reload')), 'no-reload'],
    [corefile.unknownImports.length > 0, 'import-unknown'],
    [imported.length > 0, 'block-in-import'],
  ];
  return cautions.filter(([applies]) => applies).map(([, caution]) => caution);
}
