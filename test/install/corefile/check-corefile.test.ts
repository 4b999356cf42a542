import { checkCorefile, isFault, type CheckOptions } from '../../../src/install/corefile/check-corefile.js';
import { insertTap } from '../../../src/install/corefile/insert-tap.js';

const ENDPOINT = 'unix:///tap.sock';
const OPTIONS: CheckOptions = { endpoint: ENDPOINT, version: '1.14.7' };

/** Codes with their lines, faults first named as such. */
function codes(corefile: string, options: CheckOptions = OPTIONS): readonly string[] {
  const check = checkCorefile(corefile, options);
  if ('refused' in check) return [check.refused];
  return check.findings.map((finding) => `${isFault(finding) ? 'fault' : 'note'} ${finding.code} ${finding.line}`);
}

describe('looking at a Corefile', () => {
  it.each([
    ['a tap in its place', '. {\n dnstap /tap.sock full\n reload\n}', []],
    ['no tap', '. {\n errors\n reload\n}', ['fault tap-absent 1']],
    ['no tap in one of two blocks', 'a {\n log\n}\n. {\n dnstap /tap.sock full\n reload\n}', ['fault tap-absent 1']],
    ['no `full`', '. {\n reload\n dnstap /tap.sock\n}', ['fault tap-not-full 3']],
    ['two of ours', '. {\n reload\n dnstap /tap.sock full\n dnstap unix:///tap.sock full\n}', ['fault tap-twice 4']],
    ['one of somebody else', '. {\n dnstap /a full\n dnstap /tap.sock full\n reload\n}', ['note other-tap 2']],
    [
      'one that listens',
      '. {\n reload\n dnstap listen /tap.sock full\n}',
      ['fault tap-absent 1', 'fault tap-listening 3', 'note other-tap 3'],
    ],
    [
      'one inside another plugin',
      '. {\n reload\n hosts {\n  dnstap /tap.sock full\n }\n}',
      ['fault tap-absent 1', 'fault tap-misplaced 4'],
    ],
    ['no reload', '. {\n dnstap /tap.sock full\n}', ['note no-reload undefined']],
    ['an import', '. {\n dnstap /tap.sock full\n reload\n import x\n}', ['note import-unknown undefined']],
    ['what cannot be read', '. {', ['corefile-unreadable']],
  ])('finds %s', (_, corefile, expected) => {
    expect(codes(corefile)).toEqual(expected);
  });

  it('goes by the version', () => {
    const third = '. {\n reload\n dnstap /tap.sock full 1\n}';
    expect(codes(third, { ...OPTIONS, version: '1.11.3' })).toEqual(['fault tap-not-full 3']);
    expect(codes(third, { ...OPTIONS, version: '1.11.4' })).toEqual([]);
    const two = '. {\n reload\n dnstap /tap.sock full\n dnstap /a full\n}';
    expect(codes(two, { ...OPTIONS, version: '1.10.0' })).toEqual(['fault second-tap 4', 'note other-tap 4']);
  });

  it('needs no endpoint, and then misses no tap', () => {
    const { endpoint: _, ...options } = OPTIONS;
    expect(codes('. {\n reload\n dnstap /a\n}', options)).toEqual(['fault tap-not-full 3']);
    expect(codes('. {\n reload\n}', options)).toEqual([]);
  });

  it('says which file and which key', () => {
    const files = new Map([['x', Buffer.from('corp.example {\n log\n}')]]);
    expect(checkCorefile('. {\n reload\n}\nimport x', { ...OPTIONS, files })).toMatchObject({
      blocks: [{ keys: ['.'], line: 1, taps: [] }],
      findings: [
        { code: 'tap-absent', subject: '.' },
        { code: 'block-in-import', subject: 'corp.example', file: 'x', line: 1 },
      ],
    });
  });

  it('is content with what insertTap made', () => {
    const inserted = insertTap('. {\n reload\n}\na {\n log\n}', { endpoint: ENDPOINT, version: '1.14.7' });
    expect('text' in inserted && codes(inserted.text)).toEqual([]);
  });
});
