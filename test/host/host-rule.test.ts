import fc from 'fast-check';
import { firstRule, formatRule, parseRule, type HostRule } from '../../src/host/host-rule.js';
import { isSharedParent, registrableDomain } from '../../src/host/registrable-domain.js';

function rule(text: string): HostRule {
  const parsed = parseRule(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed;
}

describe('rules', () => {
  it.each([
    ['allow api.example.com', 'api.example.com', true],
    ['allow api.example.com', 'x.api.example.com', false],
    ['ignore *.example.com', 'a.b.example.com', true],
    ['ignore *.example.com', 'example.com', false],
    ['ignore *.example.com', 'badexample.com', false],
    ['allow domain:example.co.uk', 'example.co.uk', true],
    ['allow domain:example.co.uk', 'a.b.example.co.uk', true],
    ['allow domain:example.co.uk', 'other.co.uk', false],
    ['allow domain:b.s3.amazonaws.com', 'b.s3.amazonaws.com', true],
    ['allow domain:b.s3.amazonaws.com', 'c.s3.amazonaws.com', false],
  ])('%s: %s %s', (text, hostname, isMatch) => {
    const { action } = rule(text);
    expect(firstRule([rule(text)], hostname, [action]) !== undefined).toBe(isMatch);
  });

  it.each([
    ['', 'nothing'],
    ['allow', 'no pattern'],
    ['permit api.example.com', 'an unknown action'],
    ['allow *', 'everything'],
    ['allow a*.example.com', 'a partial wildcard'],
    ['allow api.example.com now', 'too much'],
    ['allow domain:api.example.com', 'no registrable domain'],
    ['wildcard example.com', 'no wildcard'],
    ['wildcard *.com', 'a public suffix'],
    ['wildcard *.s3.amazonaws.com', 'a private suffix'],
    ['wildcard *.eu-west-1.amazonaws.com', 'a region of a shared suffix'],
    ['wildcard *.windows.net', 'a parent of suffixes'],
    ['port db.example.com', 'no port'],
    ['port db.example.com 5432/TCP', 'a protocol that would open the port to any address'],
    ['port db.example.com 0/TLS', 'port 0'],
    ['port db.example.com 65536/TLS', 'port 65536'],
    ['namespace api.example.com Shop', 'no namespace'],
  ])('refuses %j: %s', (text) => {
    expect(parseRule(text)).toEqual({ problem: expect.any(String) });
  });

  it('are written as they are read', () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
    const name = fc.tuple(label, label).map(([a, b]) => `${a}.${b}.example.com`);
    const line = fc.oneof(
      fc.tuple(fc.constantFrom('allow', 'ignore'), fc.constantFrom('', '*.'), name).map(([a, s, n]) => `${a} ${s}${n}`),
      name.map((n) => `wildcard *.${n}`),
      fc.tuple(name, fc.integer({ min: 1, max: 65_535 })).map(([n, port]) => `port ${n} ${port}/TLS,80/HTTP`),
      fc.tuple(name, label).map(([n, namespace]) => `namespace *.${n} ${namespace},web`),
      fc.constant('allow domain:example.com'),
    );
    fc.assert(fc.property(line, (text) => expect(formatRule(rule(text))).toBe(text)));
  });
});

describe('shared suffixes', () => {
  it.each([
    'com',
    'co.uk',
    'github.io',
    's3.amazonaws.com',
    'amazonaws.com',
    'eu-west-1.rds.amazonaws.com',
    'cloudfront.net',
    'windows.net',
    'vault.azure.net',
    'snowflakecomputing.com',
  ])('%s is shared', (parent) => expect(isSharedParent(parent)).toBe(true));

  it.each([
    'example.com',
    'api.example.com',
    'example.co.uk',
    'someone.github.io',
    'bucket.s3.amazonaws.com',
    'hash.eu-west-1.cache.amazonaws.com',
  ])('%s is one owner’s', (parent) => expect(isSharedParent(parent)).toBe(false));

  it.each([
    ['sqs.eu-west-1.amazonaws.com', 'eu-west-1.amazonaws.com'],
    ['a.b.rds.amazonaws.com', 'rds.amazonaws.com'],
    ['bucket.s3.amazonaws.com', 'bucket.s3.amazonaws.com'],
    ['amazonaws.com', 'amazonaws.com'],
    ['a.fastly.net', 'a.fastly.net'],
  ])('%s is of %s: what is shared is no domain of anybody', (name, domain) => {
    expect(registrableDomain(name)).toBe(domain);
  });

  it('a registrable domain never leaves the two labels that choose the shard', () => {
    const names = [
      'a.b.example.com',
      'x.co.uk',
      'bucket.s3.eu-west-1.amazonaws.com',
      '*.t.example.com',
      's3.amazonaws.com',
    ];
    for (const name of names) {
      const lastTwo = (text: string): string => text.split('.').slice(-2).join('.');
      expect(lastTwo(registrableDomain(name))).toBe(lastTwo(name));
    }
  });
});
