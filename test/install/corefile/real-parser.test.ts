import fc from 'fast-check';
import { insertTap, type TapInsertion } from '../../../src/install/corefile/insert-tap.js';
import { parseCorefile, type ServerBlock } from '../../../src/install/corefile/parser.js';
import type { Refused } from '../../../src/install/corefile/survey.js';
import { runCommand } from '../../support/command.js';
import { partPath } from '../../support/parts.js';
import { editedCorefile, startableCorefile, wordSoup } from './corefile-arbitrary.js';
import { CORE_FILES } from './corefiles.js';

/** A block as both parsers can show it: a plugin gets its words in one list, however many directives they come from. */
interface ShownBlock {
  readonly keys: readonly string[];
  readonly directives: Readonly<Record<string, readonly { readonly text: string; readonly line: number }[]>>;
}

interface ParserResult {
  readonly error?: string;
  readonly blocks: readonly ShownBlock[] | null;
}

/** What CoreDNS's own parser makes of each text. */
async function parseWithCaddy(texts: readonly string[]): Promise<readonly ParserResult[]> {
  const input = JSON.stringify(texts.map((text) => Buffer.from(text).toString('base64')));
  const { stdout } = await runCommand(await partPath('parse-corefile'), [], { input });
  return JSON.parse(stdout) as readonly ParserResult[]; // what test/parts/caddyfile/main.go prints
}

function show({ keys, directives }: ServerBlock): ShownBlock {
  const byName: Record<string, { text: string; line: number }[]> = {};
  for (const { name, tokens } of directives) {
    (byName[name.text] ??= []).push(...tokens.map(({ text, line }) => ({ text, line })));
  }
  return { keys: keys.map(({ text }) => text), directives: byName };
}

/** `undefined` where the parsers cannot be compared: one has the files that are imported, the other has not. */
function parseWithOurs(text: string): { readonly blocks: readonly ShownBlock[] | 'error' } | undefined {
  const parsed = parseCorefile(Buffer.from(text));
  if ('problem' in parsed) return { blocks: 'error' };
  return parsed.unknownImports.length > 0 ? undefined : { blocks: parsed.blocks.map(show) };
}

async function expectAgreement(texts: readonly string[]): Promise<{ readonly read: number; readonly refused: number }> {
  const theirs = await parseWithCaddy(texts);
  let [read, refused] = [0, 0];
  for (const [index, text] of texts.entries()) {
    const ours = parseWithOurs(text);
    const their = theirs[index];
    if (ours === undefined || their === undefined) continue;
    const expected = { text, blocks: their.error === undefined ? (their.blocks ?? []) : 'error' };
    expect({ text, blocks: ours.blocks }).toEqual(expected);
    if (their.error === undefined) read += 1;
    else refused += 1;
  }
  return { read, refused };
}

/** The characters that mean something, and one that does not. */
function characterSoup(): fc.Arbitrary<string> {
  const characters = ['{', '}', '"', '\\', '#', ' ', '\n', '\n', '\r', '\t', '\u00A0', ',', 'a', 'é', '\uFEFF', '(s)'];
  return fc.array(fc.constantFrom(...characters), { maxLength: 24 }).map((pieces) => pieces.join(''));
}

describe('our parser and that of CoreDNS', () => {
  it('agree on every shape of a Corefile', async () => {
    const texts = CORE_FILES.map(({ text }) => text);
    expect((await expectAgreement(texts)).refused).toBe(0);
    const generated = fc.sample(startableCorefile({ port: 53, upstream: '192.0.2.53' }), 500);
    expect(await expectAgreement(generated)).toEqual({ read: 500, refused: 0 });
  });

  it.each([
    ['words in any order', wordSoup()],
    ['characters in any order', characterSoup()],
    ['edited Corefiles', editedCorefile(CORE_FILES.map(({ text }) => text))],
  ])('agree on %s, on what can be read and on what cannot', async (_, arbitrary) => {
    const { read, refused } = await expectAgreement(fc.sample(arbitrary, 5000));
    expect(read).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });
});

interface CountedBlock {
  readonly taps: number;
  readonly keys: readonly string[];
  /** The words of other taps. */
  readonly others: string;
  readonly plugins: readonly unknown[];
}

describe('a tap, to the parser of CoreDNS,', () => {
  const ENDPOINT = 'unix:///tap.sock';
  const OPTIONS = { endpoint: ENDPOINT, version: '1.14.7' };

  /** The blocks without our tap in those that are tapped, each with how many of it there are. */
  function withoutTap(blocks: readonly ShownBlock[], tapped: ReadonlySet<string>): readonly CountedBlock[] {
    return blocks.map(({ keys, directives: { dnstap = [], ...rest } }) => {
      const [words, line] = [dnstap.map(({ text }) => text).join(' '), `dnstap ${ENDPOINT} full`];
      const isTapped = tapped.has(keys.join());
      const others = isTapped ? words.replace(line, '').trim() : words;
      const plugins = Object.entries(rest).map(([name, tokens]) => [name, tokens.map(({ text }) => text)]);
      return { taps: words.split(line).length - 1, keys, others, plugins };
    });
  }

  /** Where it had no tap, and all that CoreDNS reads is in the text itself. */
  function isComparable(text: string, result: TapInsertion): result is Exclude<TapInsertion, Refused> {
    if ('refused' in result || !result.changed) return false;
    return !/dnstap|istio-discovery/.test(text) && !result.cautions.includes('import-unknown');
  }

  it('is one line more in each tapped block, and nothing else', async () => {
    const runs = 2000;
    const texts = fc.sample(editedCorefile(CORE_FILES.map(({ text }) => text)), runs);
    const before = await parseWithCaddy(texts);
    const results = texts.map((text) => insertTap(text, OPTIONS));
    const after = await parseWithCaddy(results.map((result) => ('text' in result ? result.text : '')));
    let inserted = 0;
    for (const [index, text] of texts.entries()) {
      const [result, from, to] = [results[index], before[index], after[index]];
      expect({ text, result }).not.toMatchObject({ result: { refused: 'self-check' } });
      if (result === undefined || from?.error !== undefined || !isComparable(text, result)) continue;
      inserted += 1;
      expect({ text, error: to?.error }).toEqual({ text, error: undefined });
      const tapped = new Set(result.tapped.map((keys) => keys.map((key) => key.replace(/,$/, '')).join()));
      const has = withoutTap(to?.blocks ?? [], tapped);
      // In a block without plugins a tap would make a failure of what CoreDNS refuses.
      const expected = withoutTap(from?.blocks ?? [], new Set()).map((block) => {
        return { ...block, taps: tapped.has(block.keys.join()) && block.plugins.length > 0 ? 1 : 0 };
      });
      expect({ text, has }).toEqual({ text, has: expected });
    }
    expect(inserted).toBeGreaterThan(runs / 10);
  });
});
