import fc from 'fast-check';
import { parseCorefile, type ServerBlock } from '../../../src/install/corefile/parser.js';
import { runCommand } from '../../support/command.js';
import { partPath } from '../../support/parts.js';
import { startableCorefile, wordSoup } from './corefile-arbitrary.js';
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
    ['words', wordSoup()],
    ['characters', characterSoup()],
  ])('agree on %s in any order, on what can be read and on what cannot', async (_, arbitrary) => {
    const { read, refused } = await expectAgreement(fc.sample(arbitrary, 5000));
    expect(read).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });
});
