import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { lint, type LintReport } from '../../../src/istio/lint/lint.js';
import { FINDINGS } from '../../../src/istio/validation/finding.js';

const lintText = (text: string): LintReport => lint([{ name: 'a.yaml', text }]);

/** `line:column code` of each finding. */
const placesOf = ({ findings }: LintReport): string[] =>
  findings.map(({ line, column, code }) => `${line}:${column} ${code}`);

function entry(metadata: string, spec: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {${metadata}}\nspec: {${spec}}\n`;
}

const PORT = 'ports: [{name: a, number: 443, protocol: TLS}]';

describe('lint', () => {
  it('says where a finding stands, in every document', () => {
    const text = `# before
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: a
  namespace: shop
spec:
  hosts:
    - a.example.com
    - A.example.com
  ports:
    - name: a
      number: 15001
      protocol: TLS
---
${entry('name: b, namespace: shop', `hosts: [b.example.com], resolution: MAGIC, ${PORT}`)}`;
    expect(placesOf(lintText(text))).toEqual(['10:7 host-upper-case', '13:7 port-reserved', '19:32 resolution']);
  });

  it('reads JSON', () => {
    const object = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name: 'a' }, spec: {} };
    expect(placesOf(lintText(JSON.stringify(object, undefined, 2)))).toEqual(['7:3 required']);
  });

  it('takes lists apart', () => {
    const item = { metadata: { name: 'a' }, spec: { hosts: ['a_b'] } };
    const whole = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', ...item };
    const list = { apiVersion: 'v1', kind: 'List', items: [whole, { kind: 'Service', apiVersion: 'v1' }, whole] };
    const ofOneKind = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntryList', items: [item] };
    const reports = [list, ofOneKind].map((object) => lintText(JSON.stringify(object)));
    expect(reports.map(({ checked, skipped }) => [checked, skipped.length])).toEqual([
      [2, 1],
      [1, 0],
    ]);
    expect(reports.flatMap(({ findings }) => findings.map(({ code }) => code))).toEqual([
      'host-syntax',
      'host-syntax',
      'host-syntax',
    ]);
  });

  it('says which objects of other kinds it passed over', () => {
    const { checked, skipped } = lintText(
      'apiVersion: v1\nkind: Service\n---\nkind: ServiceEntry\napiVersion: example.com/v1\n---\na: 1\n---\n# nothing\n',
    );
    expect([checked, skipped.map(({ line, type }) => [line, type])]).toEqual([
      0,
      [
        [1, 'v1 Service'],
        [4, 'example.com/v1 ServiceEntry'],
        [7, 'no kind'],
      ],
    ]);
  });

  it.each([
    ['no', 'type'],
    ['on', 'type'],
    ['y', 'type'],
    ['1e3', 'type'],
    ['12', 'type'],
    ['2026-11-23', undefined],
    ['"no"', undefined],
  ])('reads the namespace %s as kubectl does', (namespace, code) => {
    const { findings } = lintText(entry(`name: a, namespace: ${namespace}`, `hosts: [a.example.com], ${PORT}`));
    expect(findings.map((finding) => finding.code)).toEqual(code === undefined ? [] : [code]);
  });

  it('finds a key that is there twice, and goes on with the next document', () => {
    const text = `a: 1\na: 2\n---\n${entry('name: a', 'hosts: [a_b]')}`;
    expect(placesOf(lintText(text))).toEqual(['2:1 syntax', '7:16 host-syntax']);
  });

  it.each([
    ['a text', 'just text'],
    ['a list', '- 1\n- 2\n'],
    ['a flow that does not end', '{a: ['],
    ['aliases that unfold without end', `a: &a [x, x]\nb: &b [${'*a, '.repeat(60)}]\nc: [${'*b, '.repeat(60)}]\n`],
  ])('refuses %s', (_what, text) => {
    expect(lintText(text).findings.map(({ code }) => code)).toEqual(['syntax']);
  });

  it('follows aliases to where they were written', () => {
    const text = `x: &ports [{name: a, number: 0, protocol: TLS}]
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec: {hosts: [a.example.com], ports: *ports}
`;
    expect(placesOf(lintText(text))).toEqual(['1:1 unknown-field', '1:22 port-number']);
  });

  it('sorts by file, then by place', () => {
    const bad = entry('name: a', 'hosts: [a_b]');
    const { findings } = lint([
      { name: 'z.yaml', text: bad },
      { name: 'a.yaml', text: `${bad}---\n${bad}` },
    ]);
    expect(findings.map(({ file, line }) => [file, line])).toEqual([
      ['z.yaml', 4],
      ['a.yaml', 4],
      ['a.yaml', 9],
    ]);
  });
});

describe('lint of several entries', () => {
  const at = (namespace: string, more: string): string => entry(`name: a, namespace: ${namespace}`, more);
  const codes = (...texts: string[]): string[] => lintText(texts.join('---\n')).findings.map(({ code }) => code);
  const other = 'ports: [{name: b, number: 8443, protocol: TLS}]';

  it('warns of a host that entries of one namespace share, unless Istio merges them or their ports are equal', () => {
    const one = at('shop', `hosts: [a.example.com], ${PORT}`);
    expect(codes(one, at('shop', `hosts: [A.example.com.], exportTo: ["."], ${other}`))).toContain('host-twice');
    expect(codes(one, at('shop', `hosts: [a.example.com], resolution: DNS, ${other}`))).toEqual(['host-twice']);
    expect(codes(one, at('shop', `hosts: [a.example.com], ${other}`))).toEqual([]);
    expect(codes(one, at('shop', `hosts: [a.example.com], exportTo: ["."], ${PORT}`))).toEqual([]);
    expect(codes(one, at('web', `hosts: [a.example.com], exportTo: ["."], ${other}`))).toEqual([]);
  });

  it('warns of different protocols for one port that the same clients see', () => {
    const one = at('shop', `hosts: [a.example.com], ${PORT}`);
    const https = 'ports: [{name: a, number: 443, protocol: HTTPS}]';
    const spec = `hosts: [a.example.com], ${https}`;
    expect(codes(one, at('web', spec))).toEqual(['protocol-differs']);
    expect(codes(one, at('web', `${spec}, exportTo: [shop]`))).toEqual(['protocol-differs']);
    expect(codes(one, at('web', `${spec}, exportTo: ["~"]`))).toEqual([]);
    const narrow = at('shop', `hosts: [a.example.com], exportTo: ["."], ${PORT}`);
    expect(codes(narrow, at('web', `${spec}, exportTo: ["."]`))).toEqual([]);
    expect(codes(one, at('web', `hosts: [a.example.com], ports: [{name: a, number: 443, protocol: tls}]`))).toEqual([]);
  });
});

it('the README of istio names every code of lint', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../src/istio/README.md', import.meta.url)), 'utf8');
  const codes = [...Object.keys(FINDINGS), 'syntax', 'host-twice', 'protocol-differs'];
  expect(codes.filter((code) => !text.includes(`\`${code}\``))).toEqual([]);
});
