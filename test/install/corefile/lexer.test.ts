import { lexCorefile } from '../../../src/install/corefile/lexer.js';

function words(text: string | Buffer): readonly string[] {
  return lexCorefile(Buffer.from(text)).tokens.map((token) => token.text);
}

describe('the words of a Corefile', () => {
  it.each([
    ['a quotation', 'log . "a b"', ['log', '.', 'a b']],
    ['an escaped quote, the only escape', String.raw`"a\"b" "c\d"`, ['a"b', String.raw`c\d`]],
    ['a quote inside a word', 'a"b c"d', ['a"b', 'c"d']],
    ['a word glued to a quotation', '"a"b', ['a', 'b']],
    ['an empty quotation', 'extra ""', ['extra', '']],
    ['a quotation over lines, with braces in it', '"a {\n} b" c', ['a {\n} b', 'c']],
    ['a quotation that never ends', 'log "a b\n', ['log', 'a b\n']],
    ['a backslash at the end of an open quotation, which is dropped', '"a\\', ['a']],
    ['an empty quotation that never ends', 'log "', ['log']],
    ['a comment', 'errors # { } "\nlog', ['errors', 'log']],
    [
      'a comment glued to a word, to the next blank',
      'forward . 8.8.8.8#google dns',
      ['forward', '.', '8.8.8.8', 'dns'],
    ],
    ['a comment glued to a brace', '.:53 {# the root', ['.:53', '{', 'the', 'root']],
    ['a comment glued to the last brace', '}# end of root', ['}', 'end', 'of', 'root']],
    ['a comment glued to `full`', 'dnstap /p full# our tap', ['dnstap', '/p', 'full', 'our', 'tap']],
    ['a comment behind a quotation', '"a"# b', ['a']],
    ['braces only as whole words', '.:53{ {$VAR} {}', ['.:53{', '{$VAR}', '{}']],
    ['carriage returns, even inside a word', 'er\rrors\r\nlog\r\n', ['errors', 'log']],
    ['a carriage return before a quotation', '\r"a b"', ['a b']],
    ['a byte order mark', '\uFEFF.:53', ['.:53']],
    ['an inner byte order mark as a letter', 'a\uFEFFb', ['a\uFEFFb']],
    ['U+0085, U+00A0, U+2003 and U+3000 as blanks', 'a\u0085b\u00A0c\u2003d\u3000e', ['a', 'b', 'c', 'd', 'e']],
    ['U+1680, U+2028, U+202F and U+205F as blanks', 'a\u1680b\u2028c\u202Fd\u205Fe', ['a', 'b', 'c', 'd', 'e']],
    ['U+200B as a letter', 'a\u200Bb', ['a\u200Bb']],
  ])('has %s', (_, text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  it('has the offsets in bytes and the lines of each', () => {
    const { tokens } = lexCorefile(Buffer.from('\uFEFFé {\r\n  "x\ny"#z\n a#b c\r\n'));
    expect(tokens.map(({ start, end, line, lastLine }) => [start, end, line, lastLine])).toEqual([
      [3, 5, 1, 1],
      [6, 7, 1, 1],
      [11, 16, 2, 3],
      [20, 23, 4, 4],
      [24, 25, 4, 4],
    ]);
  });

  it('has comments apart, without those that are glued to a word', () => {
    const { comments } = lexCorefile(Buffer.from('a#b\n# c\n  # d # e\r\n"# f" "g"# h'));
    expect(comments.map(({ text, start }) => [text, start])).toEqual([
      ['# c', 4],
      ['# d # e\r', 10],
      ['# h', 28],
    ]);
  });

  it('has bytes that are not UTF-8 as parts of words, none as a blank', () => {
    const text = Buffer.from([0x61, 0x85, 0xe2, 0x62, 0x20, 0x63, 0xa0]);
    expect(lexCorefile(text).tokens.map(({ start, end }) => [start, end])).toEqual([
      [0, 4],
      [5, 7],
    ]);
  });
});
