import fc from 'fast-check';
import { diffLines, unifiedDiff } from '../../src/cli/line-diff.js';

const text = (...lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

describe('unifiedDiff', () => {
  it('shows what differs with three lines around it, and from which line on', () => {
    const from = text('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l');
    const to = text('a', 'new', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'l');
    expect(unifiedDiff('letters', from, to)).toBe(
      text(
        '--- letters',
        '+++ letters',
        '@@ -1,4 +1,5 @@',
        ' a',
        '+new',
        ' b',
        ' c',
        ' d',
        '@@ -8,5 +9,4 @@',
        ' h',
        ' i',
        ' j',
        '-k',
        ' l',
      ),
    );
  });

  it('is empty for equal texts', () => {
    expect(unifiedDiff('same', text('a', 'b'), text('a', 'b'))).toBe('');
    expect(unifiedDiff('nothing', '', '')).toBe('');
  });
});

describe('diffLines', () => {
  it('holds both texts, whatever they are', () => {
    const lines = fc.array(fc.constantFrom('a', 'b', 'c', ''));
    fc.assert(
      fc.property(lines, lines, (from, to) => {
        const diff = diffLines(from, to);
        const without = (sign: string): readonly string[] =>
          diff.filter((line) => !line.startsWith(sign)).map((line) => line.slice(1));
        expect(without('+')).toEqual(from);
        expect(without('-')).toEqual(to);
      }),
    );
  });

  it('changes no more than it must', () => {
    expect(diffLines(['a', 'x', 'b', 'c'], ['a', 'b', 'y', 'c'])).toEqual([' a', '-x', ' b', '+y', ' c']);
  });
});
