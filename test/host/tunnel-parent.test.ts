import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { believe } from '../../src/host/believe.js';
import { carriesData, findTunnelParents } from '../../src/host/tunnel-parent.js';
import { beliefSettings, hostRecord, SEEN_MS } from './records.js';

const SETTINGS = { names: 16, withinMs: 600_000 };
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'; // RFC 4648 section 6

const digest = (index: number): Buffer => createHash('sha256').update(String(index)).digest();
/** As iodine and dnscat2 do it: hexadecimal or base32 labels and a counter below a delegated subdomain. */
const hexadecimal = (index: number, parent: string): string =>
  `${digest(index).toString('hex').slice(0, 56)}.${parent}`;
const base32 = (index: number, parent: string): string =>
  `${[...digest(index)].map((octet) => BASE32[octet & 31]).join('')}.a${index}.${parent}`;

function seen(names: readonly string[], stepMs = 1000) {
  return names.map((hostname, index) => ({ hostname, firstSeenMs: SEEN_MS + index * stepMs }));
}
const many = (make: (index: number) => string, count = 20): readonly string[] =>
  Array.from({ length: count }, (_, index) => make(index));

describe('names that carry data', () => {
  it.each([hexadecimal, base32])('%p', (encode) => {
    const names = many((index) => encode(index, 't.example.com'), 200);
    expect(names.filter((name) => carriesData(name)).length).toBeGreaterThan(195);
  });

  it.each([
    'www.example.com',
    'api-gateway-production-eu-west-1.internal-services.example.com',
    'customer-notification-service.eu-central-1.example.com',
    'login.microsoftonline.com',
    'internal-prod-alb-1234567890.eu-west-1.elb.amazonaws.com',
    'my-bucket-with-a-rather-long-name.s3.eu-west-1.amazonaws.com',
    'd111111abcdef8.cloudfront.net',
    'europe-west1-docker.pkg.dev',
    'raw.githubusercontent.com',
    'prod-registry-k8s-io-eu-west-1.s3.dualstack.eu-west-1.amazonaws.com',
  ])('not %s', (name) => {
    expect(carriesData(name)).toBe(false);
  });
});

describe('tunnels', () => {
  it.each([
    ['below a domain', (index: number) => hexadecimal(index, 'example.com'), 'example.com'],
    ['below a subdomain', (index: number) => base32(index, 't.example.com'), 't.example.com'],
    ['with a counter between', (index: number) => hexadecimal(index, `c${index}.t.example.com`), 't.example.com'],
    ['on a platform that others use', (index: number) => base32(index, 'evil.github.io'), 'evil.github.io'],
  ])('%s', (_, make, parent) => {
    expect(findTunnelParents(seen(many(make)), SETTINGS)).toEqual([parent]);
  });

  it('are many names in a short time', () => {
    const names = many((index) => hexadecimal(index, 't.example.com'));
    expect(findTunnelParents(seen(names.slice(0, 15)), SETTINGS)).toEqual([]);
    expect(findTunnelParents(seen(names, 60_000), SETTINGS)).toEqual([]);
  });

  it('are not the load balancers and databases of a platform', () => {
    const names = [
      ...many((index) => `k8s-default-web-${digest(index).toString('hex').slice(0, 26)}.elb.eu-west-1.amazonaws.com`),
      ...many((index) => `${digest(index).toString('hex').slice(0, 32)}.database.windows.net`),
    ];
    expect(names.every((name) => carriesData(name))).toBe(true);
    expect(findTunnelParents(seen(names), SETTINGS)).toEqual([]);
  });

  it('are not what people name, however many there are', () => {
    const word = fc.constantFrom(
      'api',
      'web',
      'billing',
      'orders',
      'eu',
      'us',
      'west',
      'prod',
      'staging',
      'v2',
      'cache',
    );
    const label = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('-'));
    const name = fc.tuple(label, label).map(([a, b]) => `${a}.${b}.example.com`);
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 20, maxLength: 60 }), (names) => {
        expect(findTunnelParents(seen(names, 1), SETTINGS)).toEqual([]);
      }),
    );
  });
});

describe('what is believed of a tunnel', () => {
  const at = { nowMs: SEEN_MS + 1000, watched: [] };
  const names = many((index) => base32(index, 't.example.com'), 70);

  it('its children become one row, apart from those that have an entry or a person’s decision', () => {
    const decision = { kind: 'approve', by: 'ana', why: '', atMs: SEEN_MS } as const;
    const records = [
      ...names.map((name) => hostRecord(name)),
      hostRecord('api.t.example.com'),
      hostRecord('used.t.example.com', { state: 'applied' }),
      hostRecord('wanted.t.example.com', { decisions: [decision] }),
      hostRecord('t.example.com'),
    ];
    const { quarantines, records: rest, transitions } = believe(records, beliefSettings(), at);
    expect(quarantines).toEqual([
      { hostname: '*.t.example.com', children: [...names, 'api.t.example.com'], atMs: at.nowMs },
    ]);
    expect(rest.map(({ hostname }) => hostname)).toEqual([
      'used.t.example.com',
      'wanted.t.example.com',
      't.example.com',
    ]);
    expect(new Set(transitions.map(({ hostname }) => hostname))).toEqual(
      new Set(['wanted.t.example.com', 't.example.com']),
    );
  });

  it('the row is quarantined once, takes late children in, and a person’s word on it stands', () => {
    const row = hostRecord('*.t.example.com', {
      state: 'quarantined',
      reason: 'tunnel-like',
      flags: [{ name: 'tunnel-like', sinceMs: SEEN_MS }],
    });
    expect(believe([row], beliefSettings(), at).quarantines).toEqual([]);
    expect(believe([row, hostRecord('late.t.example.com')], beliefSettings(), at).quarantines).toEqual([
      { hostname: '*.t.example.com', children: ['late.t.example.com'], atMs: at.nowMs },
    ]);
    const decisions = [{ kind: 'unignore' as const, by: 'ana', why: '', atMs: SEEN_MS }];
    const released = { ...row, state: 'candidate' as const, decisions };
    const records = [released, ...names.map((name) => hostRecord(name))];
    expect(believe(records, beliefSettings(), at).quarantines).toEqual([]);
  });
});
