import fc from 'fast-check';

/** A generated Corefile that a CoreDNS starts with. */
export function startableCorefile({ port, upstream }: { port: number; upstream: string }): fc.Arbitrary<string> {
  return fc
    .record({
      lead: fc.constantFrom('', '', '\uFEFF', '# a Corefile\n\n', '  # { } "\n'),
      snippet: fc.uniqueArray(directive(), { selector: firstWord, minLength: 1, maxLength: 2 }),
      stubs: fc.subarray(['lab.example', 'corp.example', 'Mixed.Example.', 'xn--bcher-kva.example'], { maxLength: 3 }),
      layouts: fc.array(layout(), { minLength: 5, maxLength: 5 }),
      bodies: fc.array(fc.uniqueArray(directive(), { selector: firstWord, maxLength: 4 }), {
        minLength: 5,
        maxLength: 5,
      }),
      importsSnippet: fc.boolean(),
      lineBreak: fc.constantFrom('\n', '\n', '\r\n'),
      endsOpen: fc.boolean(),
    })
    .map(({ lead, snippet, stubs, layouts, bodies, importsSnippet, lineBreak, endsOpen }) => {
      const zones = ['.', ...stubs];
      const blocks = zones.map((zone, index) => {
        const body = bodies[index] ?? [];
        const known = new Set(snippet.map(firstWord));
        const own = importsSnippet ? body.filter((each) => !known.has(firstWord(each))) : body;
        const lines = [...own, ...(importsSnippet ? ['import shared'] : []), `forward . ${upstream}`];
        return (layouts[index] ?? plain)(`${zone}:${port}`, lines);
      });
      const shared = importsSnippet ? `(shared) {\n${snippet.join('\n')}\n}\n` : '';
      const text = `${lead}${shared}${blocks.join('\n')}${endsOpen ? '' : '\n'}`;
      return text.replaceAll('\n', lineBreak);
    });
}

const CHARACTERS = ['{', '}', ' {', '\n}', '"', '\\"', '#', ' # ', '\n', '\r\n', '\t', '\u00A0', ',', '\uFEFF'];
const DIRECTIVES = [
  'import s\n',
  '\nimport *.override\n',
  'dnstap /tap.sock\n',
  'dnstap unix:///tap.sock full\n',
  'hosts {\n',
];
const KEYS = ['(s) {\n', '\n. {\n', 'tls://.:853 {\n', 'corp.example:53 '];
const PIECES = [...CHARACTERS, ...DIRECTIVES, ...KEYS, '# BEGIN istio-discovery\n', '# END istio-discovery\n'];

/** What becomes of a Corefile when people edit it in a hurry: some of it deleted, doubled, moved, or something put in. */
export function editedCorefile(texts: readonly string[]): fc.Arbitrary<string> {
  const edit = fc.record({
    kind: fc.constantFrom('delete', 'double', 'insert', 'insert', 'move'),
    at: fc.nat(2000),
    to: fc.nat(2000),
    length: fc.integer({ min: 1, max: 40 }),
    piece: fc.constantFrom(...PIECES),
  });
  return fc.tuple(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 4 })).map(([original, edits]) =>
    edits.reduce((text, { kind, at, to, length, piece }) => {
      const start = at % (text.length + 1);
      const [before, range, after] = [
        text.slice(0, start),
        text.slice(start, start + length),
        text.slice(start + length),
      ];
      if (kind === 'delete') return before + after;
      if (kind === 'double') return before + range + range + after;
      if (kind === 'insert') return before + piece + range + after;
      const rest = before + after;
      const target = to % (rest.length + 1);
      return rest.slice(0, target) + range + rest.slice(target);
    }, original),
  );
}

/** Words and blanks in any order: mostly no Corefile at all. */
export function wordSoup(): fc.Arbitrary<string> {
  const words = [
    '.:53',
    '.',
    'a.example',
    '{',
    '}',
    '{}',
    '"',
    '\\"',
    '"{"',
    '"}"',
    '#',
    '# x',
    '{#',
    '}# y',
    ',',
    'a,',
  ];
  const directives = ['errors', 'log', 'import', 'import s', '(s)', 'hosts {', 'dnstap', 'dnstap /tap.sock', 'full'];
  const marks = ['# BEGIN istio-discovery', '# END istio-discovery', 'dnstap unix:///tap.sock full'];
  const blanks = ['\n', '\n', '\n  ', ' ', '\t', '\r\n', '\r', '\u00A0', '\u2003', ''];
  return fc
    .array(fc.tuple(fc.constantFrom(...words, ...directives, ...marks), fc.constantFrom(...blanks)), { maxLength: 30 })
    .map((pieces) => pieces.flat().join(''));
}

function firstWord(directive: string): string {
  return directive.replaceAll('"', '').split(/[\s#]/)[0] ?? '';
}

/** One directive with its block, by lines without indentation; each loads a plugin that leaves external names alone. */
function directive(): fc.Arbitrary<string> {
  return fc.constantFrom(
    'errors',
    '"errors"',
    'errors # { not a block',
    'log',
    'log . "{remote} {name} } {" {\nclass all\n}',
    'cache 30',
    'cache 30 {#\ndenial 10 5\n}',
    'loadbalance',
    'reload',
    'hosts {\n192.0.2.1 one.invalid "two.invalid"\nfallthrough\n}',
    'template ANY ANY brace.invalid {\nanswer "{{ .Name }} 60 IN TXT \\"a\nb }\\""\nfallthrough\n}',
    'rewrite name exact old.invalid new.invalid',
    'metadata',
    'bufsize 1232',
    'dnstap /nowhere/other.sock full',
    'dnstap tcp://127.0.0.1:1 {\nidentity "a { b"\n}',
    'chaos x# y z',
  );
}

type Layout = (key: string, lines: readonly string[]) => string;

const plain: Layout = (key, lines) => `${key} {\n${indent(lines, '    ')}\n}`;

function layout(): fc.Arbitrary<Layout> {
  return fc.constantFrom<Layout>(
    plain,
    (key, lines) => `${key}\n{\n${indent(lines, '\t')}\n}`,
    (key, lines) => `${key} { # root {\n\n${indent(lines, '  ')}\n\n# end }\n}`,
    (key, [first = '', ...rest]) => `${key} { ${first}\n${indent(rest, ' ')}\n}`,
    (key, lines) => `"${key}" "{"\n# first\n${indent(lines, '')}\n  }`,
    (key, lines) => `second-${key.toLowerCase()},\n${key} {\n${indent(lines, '\u00A0\u00A0')}\n}`,
  );
}

function indent(lines: readonly string[], indentation: string): string {
  return lines.map((line) => `${indentation}${line}`).join('\n');
}
