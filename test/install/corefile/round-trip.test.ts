import fc from 'fast-check';
import { insertTap, type TapInsertion } from '../../../src/install/corefile/insert-tap.js';
import { parseCorefile } from '../../../src/install/corefile/parser.js';
import { removeTap } from '../../../src/install/corefile/remove-tap.js';
import { startableCorefile, wordSoup } from './corefile-arbitrary.js';
import { CORE_FILES } from './corefiles.js';

const OPTIONS = { endpoint: 'unix:///tap.sock', version: '1.14.7' };
const LINE = 'dnstap unix:///tap.sock full';

type Inserted = Exclude<TapInsertion, { readonly refused: string }>;

function isInserted(result: TapInsertion): result is Inserted {
  return !('refused' in result);
}

function remove(bytes: Buffer): Buffer {
  const result = removeTap(bytes);
  if ('refused' in result) throw new Error(result.refused);
  return result.bytes;
}

/** Inserting, twice is once; removing gives back the bytes, twice is once. */
function expectRoundTrip(original: Buffer, inserted: Inserted): void {
  expect(remove(inserted.bytes).toString('latin1')).toBe(original.toString('latin1'));
  expect(insertTap(inserted.bytes, OPTIONS)).toMatchObject({ changed: false, text: inserted.text });
  expect(removeTap(original)).toMatchObject({ changed: false });
  expect('problem' in parseCorefile(inserted.bytes)).toBe(false);
}

describe('inserting and then removing a tap', () => {
  it.each(CORE_FILES.map(({ name, text }) => [name, text]))('gives back %s', (_, text) => {
    const result = insertTap(text, OPTIONS);
    expect(result).toMatchObject({ changed: true });
    if (isInserted(result)) expectRoundTrip(Buffer.from(text), result);
  });

  it('gives back every generated Corefile, with one tap in each of its blocks', () => {
    fc.assert(
      fc.property(startableCorefile({ port: 5300, upstream: '192.0.2.53' }), (text) => {
        const result = insertTap(text, OPTIONS);
        expect(result).toMatchObject({ changed: true });
        if (!isInserted(result)) return;
        expectRoundTrip(Buffer.from(text), result);
        expect(result.text.split(LINE)).toHaveLength(result.tapped.length + 1);
      }),
      { numRuns: 500 },
    );
  });

  it('gives back, or refuses, whatever words come in whatever order', () => {
    let inserted = 0;
    fc.assert(
      fc.property(wordSoup(), (text) => {
        const bare = remove(Buffer.from(text));
        const result = insertTap(bare, OPTIONS);
        if ('refused' in result) {
          expect(result.refused).not.toBe('self-check');
          return;
        }
        inserted += 1;
        expect(remove(result.bytes).equals(remove(bare))).toBe(true);
        expect(insertTap(result.bytes, OPTIONS)).toMatchObject({ changed: false });
      }),
      { numRuns: 3000 },
    );
    expect(inserted).toBeGreaterThan(0); // it must not pass by refusing everything
  });
});
