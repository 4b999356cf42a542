import { lexCorefile, type CorefileToken } from './lexer.js';
import { markedRegions, type MarkedRegion, replacedDirectives } from './markers.js';
import { type CorefileProblem, parseCorefile } from './parser.js';
import { applyEdits, lineEnd, lineStart, type TextEdit } from './text-edit.js';
import { normaliseEndpoint, tapsOf } from './taps.js';

export interface RemoveTapOptions {
  /**
   * Removes taps with this endpoint even when our markers are gone, as `kubeadm upgrade` leaves them. Only for a caller
   * who knows that it wrote them: without markers nothing tells them from a line that a person wrote.
   */
  readonly unmarkedEndpoint?: string;
}

/** @see removeTap */
export type TapRemoval =
  | {
      readonly bytes: Buffer;
      /** The same as text. */
      readonly text: string;
      /** Whether there was anything to remove. */
      readonly changed: boolean;
    }
  | { readonly refused: 'corefile-unreadable'; readonly problem: CorefileProblem };

/**
 * Removes what {@link insertTap} inserted, and gives back what it replaced; every other byte stays. A Corefile in which it
 * inserted nothing comes back as it is.
 *
 * What is between the markers can be removed from any text. Only `unmarkedEndpoint` needs a Corefile that can be read.
 */
export function removeTap(corefile: string | Uint8Array, { unmarkedEndpoint }: RemoveTapOptions = {}): TapRemoval {
  const before = Buffer.from(corefile);
  const bytes = applyEdits(before, removalOfMarked(before));
  if (unmarkedEndpoint === undefined) return removal(before, bytes);
  const parsed = parseCorefile(bytes);
  if ('problem' in parsed) return { refused: 'corefile-unreadable', problem: parsed.problem };
  const endpoint = normaliseEndpoint(unmarkedEndpoint);
  const taps = parsed.blocks
    .flatMap((block) => tapsOf(block, { version: undefined, regions: [] }))
    .filter((tap) => tap.endpoint === endpoint && !tap.isListening);
  // A snippet that several blocks import holds one directive.
  const starts = new Map(taps.map(({ directive }) => [directive.name.start, directive.tokens]));
  return removal(
    before,
    applyEdits(
      bytes,
      [...starts.values()].map((tokens) => removalOfDirective(bytes, tokens)),
    ),
  );
}

/** The edits that take out everything that carries our markers. */
export function removalOfMarked(bytes: Uint8Array): readonly TextEdit[] {
  const { tokens, comments } = lexCorefile(bytes);
  const restored = replacedDirectives(tokens, comments).map(({ start, end, original }) => ({
    start,
    end,
    text: original,
  }));
  return [...restored, ...markedRegions(bytes, comments).flatMap((region) => removalOfRegion(bytes, region, tokens))];
}

/** Somebody may have written lines of their own between the markers: those stay. */
function removalOfRegion(
  bytes: Uint8Array,
  region: MarkedRegion,
  tokens: readonly CorefileToken[],
): readonly TextEdit[] {
  const { start, tapsStart, tapsEnd, end } = region;
  const directives = directivesBetween(tokens.filter((token) => token.start >= tapsStart && token.start < tapsEnd));
  const ours = directives.filter(([name]) => name?.text === 'dnstap');
  if (ours.length === directives.length) return [deletion(start, end)];
  return [
    deletion(start, tapsStart),
    ...ours.map((directive) => removalOfDirective(bytes, directive)),
    deletion(tapsEnd, end),
  ];
}

function directivesBetween(tokens: readonly CorefileToken[]): readonly (readonly CorefileToken[])[] {
  const directives: CorefileToken[][] = [];
  let [depth, lastLine] = [0, 0];
  for (const token of tokens) {
    if (depth === 0 && token.line > lastLine) directives.push([]);
    directives.at(-1)?.push(token);
    if (token.text === '{') depth += 1;
    if (token.text === '}') depth -= 1;
    lastLine = token.lastLine;
  }
  return directives;
}

/** Whole lines, where nothing else stands on them. */
function removalOfDirective(bytes: Uint8Array, tokens: readonly CorefileToken[]): TextEdit {
  const start = tokens[0]?.start ?? 0;
  const end = tokens.at(-1)?.end ?? start;
  const [from, to] = [lineStart(bytes, start), lineEnd(bytes, end)];
  const rest = Buffer.concat([bytes.subarray(from, start), bytes.subarray(end, to)]);
  return rest.toString('latin1').trim() === '' ? deletion(from, to) : deletion(start, end);
}

function deletion(start: number, end: number): TextEdit {
  return { start, end, text: new Uint8Array() };
}

function removal(before: Buffer, bytes: Buffer): TapRemoval {
  return { bytes, text: bytes.toString('utf8'), changed: !before.equals(bytes) };
}
