import { clusterDomainsOf } from '../../../src/install/corefile/served-zones.js';
import { parseCorefile, type Corefile, type ParseCorefileOptions } from '../../../src/install/corefile/parser.js';

function parse(text: string, options?: ParseCorefileOptions): Corefile {
  const parsed = parseCorefile(Buffer.from(text), options);
  if ('problem' in parsed) throw new Error(JSON.stringify(parsed.problem));
  return parsed;
}

/** `KEYS: directive, directive` of each block. */
function shape(text: string, options?: ParseCorefileOptions): readonly string[] {
  return parse(text, options).blocks.map(({ keys, directives }) => {
    const names = directives.map(({ tokens }) => tokens.map((token) => token.text).join(' '));
    return `${keys.map((key) => key.text).join(' ')}: ${names.join(', ')}`;
  });
}

describe('the server blocks of a Corefile', () => {
  it.each([
    ['a plain block', '.:53 {\n errors\n log\n}', ['.:53: errors, log']],
    ['the brace on the next line', '.:53\n{\n errors\n}', ['.:53: errors']],
    ['the first directive on the line of the brace', '.:53 { errors\n}', ['.:53: errors']],
    ['no braces at all', '.:53\nerrors\nlog', ['.:53: errors, log']],
    ['no braces, closed by a lone one, and another block', '.:53\nerrors\n}\na {\nlog\n}', ['.:53: errors', 'a: log']],
    ['keys with commas over lines', 'a:53,\nb:53 c {\n log\n}', ['a:53 b:53 c: log']],
    ['a comma without a blank as part of a key', 'a:53,.:53 {\n log\n}', ['a:53,.:53: log']],
    ['a brace glued to a key as part of it', '.:53{\n errors\n}', ['.:53{: errors']],
    ['nested blocks', '. {\n kubernetes c {\n  x {\n  y\n  }\n }\n log\n}', ['.: kubernetes c { x { y } }, log']],
    ['a nested block on the next line', '. {\n hosts\n {\n }\n log\n}', ['.: hosts { }, log']],
    ['a quoted brace as a brace', '. "{"\n errors\n"}"', ['.: errors']],
    ['a quoted directive', '. {\n "errors"\n}', ['.: errors']],
    ['the last brace taken from the last directive', '. {\n log\n hosts {\n }\n', ['.: log, hosts { }']],
    ['one brace too many at the end as a key', '. {\n log\n}\n}.', ['.: log', '}.: ']],
    ['the next key on the line of the last brace', '. {\n log\n} a {\n log\n}', ['.: log', 'a: log']],
    ['`{}` as a key', '.:53 {}\nlog', ['.:53 {}: log']],
    ['a snippet', '(s) {\n errors\n log\n}\n. {\n import s\n}', ['.: errors, log']],
    ['a snippet on one line', '(s) { errors }\n. {\n import s\n}', ['.: errors']],
    [
      'a snippet inside a plugin',
      '(s) {\n fallthrough\n}\n. {\n hosts {\n  import s\n }\n}',
      ['.: hosts { fallthrough }'],
    ],
    ['words of a glued comment as directives', '. {# the root\n}', ['.: the root']],
    ['words of a glued comment as keys', '. {\n log\n}# end of root.', ['.: log', 'end of root.: ']],
    ['an empty file', '', []],
    ['comments only', '# nothing\n', []],
    ['snippets only', '(s) {\n log\n}', []],
    ['an empty quotation for a key', '"" {\n log\n}', []],
  ])('can have %s', (_, text, expected) => {
    expect(shape(text)).toEqual(expected);
  });

  it.each([
    ['a directive and the brace on one line', '. { errors }', 'brace'],
    ['a brace behind a directive', '. {\n errors }\n', 'brace'],
    ['a brace without a directive', '. {\n {\n }\n}', 'brace'],
    ['an open block', '. {\n errors\n', 'end-of-file'],
    ['an open nested block', '. {\n hosts {\n', 'end-of-file'],
    ['a comma before the brace', 'a, {\n errors\n}', 'comma'],
    ['a comma at the end', 'a,', 'end-of-file'],
    ['an import of nothing', '. {\n import\n}', 'import'],
    ['an import of two', '. {\n import a b\n}', 'import'],
    ['a snippet without braces', '(s)\nlog', 'brace'],
    ['an open snippet', '(s) {\n log\n', 'end-of-file'],
    ['a snippet twice', '(s) {\n log\n}\n(s) {\n log\n}', 'snippet-twice'],
    ['a snippet that imports itself', '(s) {\n import s\n}\n. {\n import s\n}', 'import-loop'],
    [
      'a snippet that imports itself, also if nothing else does',
      '(s) {\n log\n import s\n}\n. {\n log\n}',
      'import-loop',
    ],
    ['snippets that import each other', '(a) {\n import b\n}\n(b) {\n import a\n}\n. {\n import a\n}', 'import-loop'],
  ])('cannot have %s', (_, text, fault) => {
    expect(parseCorefile(Buffer.from(text))).toMatchObject({ problem: { fault } });
  });

  it('say on which line they cannot be read', () => {
    expect(parseCorefile(Buffer.from('. {\n log\n errors }\n'))).toMatchObject({ problem: { line: 3 } });
  });

  it('take in the files that they import, in the order of their names', () => {
    const files = new Map([
      ['/etc/coredns/custom/b.override', Buffer.from('log')],
      ['/etc/coredns/custom/a.override', Buffer.from('rewrite name a b')],
      ['/etc/coredns/custom/x.server', Buffer.from('corp {\n forward . 192.0.2.1\n}')],
      ['/etc/coredns/custom/deeper/c.override', Buffer.from('whoami')],
    ]);
    const text = '. {\n import /etc/coredns/custom/*.override\n}\nimport /etc/coredns/custom/*.server\n';
    expect(shape(text, { files })).toEqual(['.: rewrite name a b, log', 'corp: forward . 192.0.2.1']);
    expect(parse(text, { files }).unknownImports).toEqual([]);
  });

  it('say which imports are not known, and go on without them', () => {
    const text = '. {\n errors\n import custom/*.override\n log\n}\nimport custom/*.server\n';
    expect(shape(text)).toEqual(['.: errors, log']);
    expect(parse(text).unknownImports).toEqual(['custom/*.override', 'custom/*.server']);
    expect(parse(text).blocks[0]?.unknownImports).toEqual(['custom/*.override']);
  });

  it('have environment variables put in where they are known', () => {
    const text = '{$ZONE}:{%PORT%} {\n log\n}';
    expect(shape(text, { environment: new Map([['ZONE', '.']]) })).toEqual(['.:{%PORT%}: log']);
    expect(shape(text)).toEqual(['{$ZONE}:{%PORT%}: log']);
  });
});

describe('the domains of the cluster', () => {
  it.each([
    [
      'those on the line of the plugin',
      '. {\n kubernetes K8s.example.net. b.internal in-addr.arpa {\n pods verified\n }\n}',
    ],
    ['those of its block', 'k8s.example.net:53 b.internal ip6.arpa {\n kubernetes\n}'],
    [
      'those of several plugins',
      'k8s.example.net {\n kubernetes\n}\n. {\n kubernetes b.internal\n kubernetes k8s.example.net\n}',
    ],
    [
      'none that is not known',
      '. {\n kubernetes k8s.example.net {$DOMAIN} b.internal 10.0.0.0/8\n}\n. {\n kubernetes\n}',
    ],
  ])('are %s', (_, text) => {
    expect(clusterDomainsOf(parse(text).blocks)).toEqual(['k8s.example.net', 'b.internal']);
  });
});
