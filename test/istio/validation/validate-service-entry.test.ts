import { FINDINGS, formatPath } from '../../../src/istio/validation/finding.js';
import { validateServiceEntry } from '../../../src/istio/validation/validate-service-entry.js';
import { entryOf, RULE_CASES } from './rules.js';

const codesOf = (value: unknown): string[] => validateServiceEntry(value).map(({ code }) => code);

describe('validateServiceEntry', () => {
  it.each(RULE_CASES.map((rule) => [rule.what, rule] as const))('%s', (_what, rule) => {
    expect([...new Set(codesOf(entryOf(rule)))]).toEqual(rule.codes);
  });

  it('has a case for every finding', () => {
    const found = new Set<string>(RULE_CASES.flatMap(({ codes }) => codes));
    expect(Object.keys(FINDINGS).filter((code) => !found.has(code))).toEqual([]);
  });

  it.each([
    ['nothing', undefined],
    ['a number', 3],
    ['a list', []],
  ])('refuses %s', (_what, value) => {
    expect(codesOf(value)).toEqual(['type']);
  });

  it('says where it is, how bad it is and who says so', () => {
    const [finding] = validateServiceEntry(entryOf({ spec: { ports: [{ name: 'a', number: 0, protocol: 'TLS' }] } }));
    expect(finding).toMatchObject({ code: 'port-number', severity: 'error', source: 'api-server' });
    expect(formatPath(finding?.path ?? [])).toBe('spec.ports[0].number');
  });

  it('goes on after a field of the wrong type', () => {
    const entry = entryOf({ spec: { hosts: [1, 'API.example.com'], ports: 'none', exportTo: ['*', 'web'] } });
    expect(codesOf(entry)).toEqual(['type', 'type', 'host-upper-case', 'export-to']);
  });
});
