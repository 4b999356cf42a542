import { insertTap, type InsertTapOptions, type TapInsertion } from '../../../src/install/corefile/insert-tap.js';
import { removeTap } from '../../../src/install/corefile/remove-tap.js';

const ENDPOINT = 'unix:///run/istio-discovery/dnstap.sock';
const LINE = `dnstap ${ENDPOINT} full`;
const OPTIONS: InsertTapOptions = { endpoint: ENDPOINT, version: '1.14.7' };

type Inserted = Extract<TapInsertion, { readonly text: string }>;

function insert(corefile: string | Buffer, options: Partial<InsertTapOptions> = {}): Inserted {
  const result = insertTap(corefile, { ...OPTIONS, ...options });
  if ('refused' in result) throw new Error(JSON.stringify(result));
  return result;
}

function remove(corefile: string | Buffer, unmarkedEndpoint?: string): string {
  const result = removeTap(corefile, unmarkedEndpoint === undefined ? {} : { unmarkedEndpoint });
  if ('refused' in result) throw new Error(JSON.stringify(result));
  return result.text;
}

/** `|` stands for the place of the tap. */
function expectPlace(marked: string, indentation: string): void {
  const original = marked.replace('|', '');
  const { text, changed } = insert(original);
  const lineBreak = original.includes('\r\n') ? '\r\n' : '\n';
  const lines = ['# BEGIN istio-discovery', LINE, '# END istio-discovery'];
  expect(text).toBe(marked.replace('|', lines.map((line) => `${indentation}${line}${lineBreak}`).join('')));
  expect(changed).toBe(true);
  expect(remove(text)).toBe(original);
  expect(insert(text)).toMatchObject({ text, changed: false });
}

describe('inserting a tap', () => {
  it.each([
    ['a plain block', '.:53 {\n| errors\n}\n', ' '],
    ['a comment behind the brace', '.:53 { # { root\n| errors\n}\n', ' '],
    ['a comment above the first directive', '.:53 {\n|   # first\n  errors\n}\n', '   '],
    ['the brace on the next line', '.:53\n{\n|\terrors\n}\n', '\t'],
    ['the first directive on the line of the brace', '.:53 { errors\n log\n|}\n', '    '],
    ['a nested block on the line of the brace', '. { hosts {\n  192.0.2.1 a\n }\n log\n|}\n', '    '],
    ['words of a comment glued to the brace', '.:53 {# erratic whoami\n|}\n', '    '],
    ['the last brace missing', '. { errors\n| log\n hosts {\n }\n', ' '],
    ['no braces', '.:53 # root\n|errors\n', ''],
    ['no braces and a comma', 'a:53,\n.:53\n|errors\n', ''],
    ['CRLF', '.:53 {\r\n| errors\r\n}\r\n', ' '],
    ['no line break at the end', '.:53 {\n| errors\n}', ' '],
    ['a byte order mark', '\uFEFF.:53 {\n| errors\n}\n', ' '],
    ['one brace too many at the end', '. {\n| log\n}\n}\n', ' '],
    ['quoted braces', '. "{"\n| errors\n"}"\n', ' '],
    ['a quoted key over two lines', '"." {\n| errors\n log . "{\n}"\n}\n', ' '],
    ['a brace inside a quotation on the next line', '. {\n| log . "\n}"\n}\n', ' '],
    ['only an import', '. {\n|  import conf/*.override\n}\n', '  '],
    ['a known root behind an unknown variable', '{$ZONE}:53 {\n| errors\n}\n', ' '],
  ])('puts it into a file with %s', (_, marked, indentation) => {
    expectPlace(marked, indentation);
  });

  it('puts one into each block that serves external names, and into no other', () => {
    const corefile = `(shared) {
  errors
}
cluster.local:53 10.0.0.0/8 in-addr.arpa:53 hostname.bind {
  import shared
}
dns://corp.example:5353 cluster.local {
  import shared
}
tls://. {
  import shared
  kubernetes k8s.example {
  }
}
k8s.example {
  import shared
}
mesh.example:53 {
  kubernetes
}
2001:db8::/32 {
  import shared
}
empty.example {
}
`;
    const { text, tapped } = insert(corefile);
    expect(tapped).toEqual([['dns://corp.example:5353', 'cluster.local'], ['tls://.']]);
    expect(text.split(LINE)).toHaveLength(3);
    expect(remove(text)).toBe(corefile);
  });

  it('leaves bytes that are not UTF-8 as they are', () => {
    const corefile = Buffer.concat([Buffer.from('. {\n # '), Buffer.from([0xff, 0x85]), Buffer.from('\n errors\n}\n')]);
    const inserted = insert(corefile);
    const removed = removeTap(inserted.bytes);
    expect(removed).toMatchObject({ bytes: corefile, changed: true });
  });

  it('keeps a full tap that a person wrote, however its path is written', () => {
    const corefile = '. {\n dnstap /run/istio-discovery/dnstap.sock full {\n  identity a\n }\n errors\n}\n';
    expect(insert(corefile)).toMatchObject({ text: corefile, changed: false });
    expect(remove(corefile)).toBe(corefile);
  });

  it.each([
    ['without `full`', '. {\n dnstap /run/istio-discovery/dnstap.sock # ours\n errors\n}\n', '1.14.7'],
    ['with a block', '. {\n dnstap /run/istio-discovery/dnstap.sock {\n  identity "a b"\n }\n}\n', '1.14.7'],
    ['on the line of the brace', '. { dnstap /run/istio-discovery/dnstap.sock\n errors\n}\n', '1.14.7'],
    ['switched off by a third word', `. {\n ${LINE} 1\n errors\n}\n`, '1.11.3'],
    ['switched off by a glued comment', `. {\n ${LINE}# our tap\n errors\n}\n`, '1.11.3'],
    ['in a snippet', '(s) {\n dnstap /run/istio-discovery/dnstap.sock\n}\n. {\n import s\n}\n', '1.14.7'],
  ])('makes a tap that a person wrote full: %s; and gives it back', (_, corefile, version) => {
    const { text, changed } = insert(corefile, { version });
    expect(changed).toBe(true);
    expect(text).toContain(LINE);
    expect(insert(text, { version })).toMatchObject({ text, changed: false });
    expect(remove(text)).toBe(corefile);
  });

  it('adds a tap beside that of somebody else where several work, and refuses where they do not', () => {
    const corefile = '. {\n dnstap tcp://192.0.2.9:6000 full\n errors\n}\n';
    expect(remove(insert(corefile, { version: '1.10.1' }).text)).toBe(corefile);
    expect(insertTap(corefile, { ...OPTIONS, version: '1.10.0' })).toMatchObject({ refused: 'second-tap', line: 1 });
    expect(insertTap(corefile, { endpoint: ENDPOINT })).toMatchObject({ refused: 'second-tap' });
  });

  it('finds the tap of somebody else in a snippet and in an imported file', () => {
    const old = { ...OPTIONS, version: '1.9.4' };
    const snippet = '(s) {\n dnstap /other full\n}\n. {\n import s\n}\n';
    expect(insertTap(snippet, old)).toMatchObject({ refused: 'second-tap', line: 4 });
    const files = new Map([['custom/x.override', Buffer.from('dnstap /other')]]);
    const importing = '. {\n errors\n import custom/*.override\n}\n';
    expect(insertTap(importing, { ...old, files })).toMatchObject({ refused: 'second-tap' });
    expect(insertTap(importing, old)).toMatchObject({
      changed: true,
      cautions: expect.arrayContaining(['import-unknown']),
    });
  });

  it('is content with our tap in an imported file, and refuses to change one there', () => {
    const importing = '. {\n errors\n import custom/*.override\n}\n';
    const ours = new Map([['custom/x.override', Buffer.from(LINE)]]);
    expect(insert(importing, { files: ours })).toMatchObject({ changed: false, text: importing });
    const notFull = new Map([['custom/x.override', Buffer.from(`dnstap ${ENDPOINT}`)]]);
    expect(insertTap(importing, { ...OPTIONS, files: notFull })).toMatchObject({ refused: 'tap-in-import' });
  });

  it('replaces its own tap when the endpoint or the options change', () => {
    const corefile = '. {\n metadata\n reload\n}\n';
    const first = insert(corefile).text;
    const moved = insert(first, { endpoint: 'tcp://192.0.2.7:6000' });
    expect(moved.text).toBe(insert(corefile, { endpoint: 'tcp://192.0.2.7:6000' }).text);
    const extra = '{/kubernetes/client-namespace} "{type}"';
    const withExtra = insert(first, { extra });
    expect(withExtra.text).toBe(insert(corefile, { extra }).text);
    expect(withExtra.text).toContain(`${LINE} {\n    extra "{/kubernetes/client-namespace} \\"{type}\\""\n }\n`);
    expect(withExtra.cautions).toEqual([]);
    expect(remove(withExtra.text)).toBe(corefile);
  });

  it('writes only options that the version knows, and says what is missing', () => {
    const extra = '{/kubernetes/client-namespace}';
    const old = insert('. {\n errors\n}\n', { version: '1.11.0', extra });
    expect(old.text).not.toContain('extra');
    expect(old.cautions).toEqual(['extra-left-out', 'listen-first', 'no-reload']);
    expect(insert('. {\n reload\n}\n', { extra }).cautions).toEqual(['extra-needs-metadata']);
    const files = new Map([['x', Buffer.from('corp.example {\n log\n}')]]);
    expect(insert('. {\n reload\n}\nimport x\n', { files }).cautions).toEqual(['block-in-import']);
  });

  it.each([
    ['an empty file', '', 'no-external-block'],
    ['a file of comments', '# .:53 {\n', 'no-external-block'],
    ['a file of snippets', '(s) {\n errors\n}\n', 'no-external-block'],
    ['a file whose only key is empty', '"" {\n errors\n}\n', 'no-external-block'],
    ['a file with zones of the cluster only', 'cluster.local in-addr.arpa {\n errors\n}\n', 'no-external-block'],
    ['a root without plugins', '. { }\n', 'no-external-block'],
    ['two taps with our endpoint', `. {\n ${LINE}\n ${LINE}\n}\n`, 'duplicate-tap'],
    ['a brace glued to the key', '.:53{\n errors\n}\n', 'key-unreadable'],
    ['a key without a zone', ':53 {\n errors\n}\n', 'key-unreadable'],
    ['a key with a scheme only', 'dns://:53 {\n errors\n}\n', 'key-unreadable'],
    ['a network without an address', '::/0 {\n errors\n}\n', 'key-unreadable'],
    ['two zones without a blank between', 'a:53,.:53 {\n errors\n}\n', 'key-unreadable'],
    ['one brace too many, and another block', '. {\n log\n}\n} a {\n log\n}\n', 'key-unreadable'],
    ['a brace too few', '. {\n errors\n', 'corefile-unreadable'],
    ['a snippet that imports itself', '(s) {\n import s\n}\n. {\n import s\n}\n', 'corefile-unreadable'],
    ['directives only on the line of the brace, and no last brace', '. { hosts {\n }\n', 'no-place'],
    [
      'keys in a snippet that another block imports',
      '(out) {\n . 1.1.1.1\n}\n. {\n import out\n}\n import out\n log\n}\n',
      'no-place',
    ],
  ])('refuses %s', (_, corefile, refused) => {
    expect(insertTap(corefile, OPTIONS)).toMatchObject({ refused });
  });

  it('refuses what no CoreDNS can be given', () => {
    expect(insertTap('. {\n errors\n}', { endpoint: 'tcp://x:1' })).toEqual({ refused: 'endpoint-not-an-address' });
    expect(insertTap('. {\n errors\n}', { ...OPTIONS, version: '1.8.0' })).toEqual({ refused: 'version-too-old' });
    expect(insertTap('. {\n errors\n}', { ...OPTIONS, extra: 'a\\' })).toEqual({ refused: 'self-check' });
  });
});

describe('removing a tap', () => {
  const corefile = '. {\n errors\n}\n';
  const tapped = insert(corefile).text;

  it('twice is once', () => {
    expect(removeTap(corefile)).toMatchObject({ changed: false, text: corefile });
    expect(remove(remove(tapped))).toBe(corefile);
  });

  it('leaves what a person wrote between the markers', () => {
    expect(remove(tapped.replace(LINE, `log\n ${LINE}`))).toBe('. {\n log\n errors\n}\n');
  });

  it('leaves a marker without its other half, and one that is no comment', () => {
    const half = tapped.replace(' # END istio-discovery\n', '');
    expect(remove(half)).toBe(half);
    const quoted = '. {\n log . "\n# BEGIN istio-discovery\n dnstap\n# END istio-discovery\n"\n}\n';
    expect(remove(quoted)).toBe(quoted);
    expect(remove(insert(quoted).text)).toBe(quoted);
  });

  it('works on a Corefile that somebody has broken since', () => {
    expect(remove(tapped.replace(/}\n$/, ''))).toBe('. {\n errors\n');
  });

  it('takes out a tap that has lost its markers only when told the endpoint', () => {
    const bare = tapped.replaceAll(/ #.*\n/g, '');
    expect(remove(bare)).toBe(bare);
    expect(remove(bare, '/other')).toBe(bare);
    expect(remove(bare, '/run/istio-discovery/dnstap.sock')).toBe(corefile);
  });

  it.each([
    ['with a block', `. {\n ${LINE} {\n  extra a\n }\n errors\n}\n`, corefile],
    ['with a comment behind it', `. {\n ${LINE} # ours\n errors\n}\n`, '. {\n  # ours\n errors\n}\n'],
    ['on the line of the brace', `. { ${LINE}\n errors\n}\n`, '. { \n errors\n}\n'],
    [
      'in a snippet of two blocks',
      `(s) {\n ${LINE}\n}\na b {\n import s\n}\nc {\n import s\n}\n`,
      '(s) {\n}\na b {\n import s\n}\nc {\n import s\n}\n',
    ],
  ])('takes out an unmarked tap %s', (_, text, expected) => {
    expect(remove(text, ENDPOINT)).toBe(expected);
  });
});
