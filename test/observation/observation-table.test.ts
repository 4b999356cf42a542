import { BlockList } from 'node:net';
import type { RecordType } from 'dns-packet';
import { createObservationTable, type ObservationTable } from '../../src/observation/observation-table.js';
import { responseView, type ResponseText } from '../support/dns-response.js';

const NOON_MS = Date.UTC(2026, 0, 1, 12);

function newTable({ maxPairs = 1024, peers = 0 } = {}): ObservationTable {
  const clusterNetworks = new BlockList();
  clusterNetworks.addSubnet('10.96.0.0', 12);
  return createObservationTable({
    clusterDomains: ['cluster.local'],
    internalZones: ['corp.internal'],
    searchDomains: [],
    clusterNetworks,
    maxPairs,
    peers: () => peers,
    seed: 1,
    origin: 'dnstap',
    now: () => NOON_MS,
  });
}

/** Adds responses a millisecond apart and drains. */
function observe(table: ObservationTable, responses: readonly ResponseText[], startMs = NOON_MS) {
  responses.forEach((response, index) => table.add(responseView(response, startMs + index)));
  return table.drain({ final: true, nowMs: NOON_MS });
}

const hostsOf = (table: ObservationTable, responses: readonly ResponseText[]): string[] =>
  observe(table, responses).observations.map(({ hostname }) => hostname);

const reasonsOf = (table: ObservationTable, responses: readonly ResponseText[]): Record<string, number> =>
  Object.fromEntries(observe(table, responses).rejections.map(({ reason, responses: n }) => [reason, n]));

const positive = (name: string, more: Partial<ResponseText> = {}): ResponseText => ({
  name,
  answers: [`${name} A 192.0.2.1`],
  ...more,
});

describe('a CNAME that CoreDNS follows itself, and shows as if the client had', () => {
  const chain = (name: string, type: 'A' | 'AAAA'): readonly string[] => [
    `${name} CNAME edge.example.net`,
    `edge.example.net ${type} ${type === 'A' ? '192.0.2.1' : '2001:db8::1'}`,
  ];
  const pair = (name: string, exchange: { readonly port: number; readonly id: number }): readonly ResponseText[] =>
    (['A', 'AAAA'] as const).flatMap((type, index) => {
      const { port, id } = { ...exchange, id: exchange.id + index };
      const own = { name: 'edge.example.net', type, answers: chain(name, type).slice(1), port, id };
      return [own, { name, type, answers: chain(name, type), port, id }];
    });
  const SERVICE = 'payments.shop.svc.cluster.local';
  /** The same behind a Service of type ExternalName. */
  const inCluster = ({ name, answers = [] }: ResponseText): Partial<ResponseText> => ({
    name: name.replace('alias.example.com', SERVICE),
    answers: answers.map((answer) => answer.replace('alias.example.com', SERVICE)),
  });
  const lookupsOf = (responses: readonly ResponseText[]): Record<string, number> =>
    Object.fromEntries(observe(newTable(), responses).observations.map(({ hostname, lookups }) => [hostname, lookups]));

  it('is no look-up of its target', () => {
    expect(lookupsOf(pair('alias.example.com', { port: 40_000, id: 7 }))).toEqual({ 'alias.example.com': 1 });
  });

  it('is none, however many answers came before that were of no alias', () => {
    const table = newTable({ maxPairs: 16_384 });
    const others = Array.from({ length: 5000 }, (_, i) => positive(`n${i}.example.org`, { port: 1024 + i, id: 9 }));
    observe(table, others);
    const { observations } = observe(table, pair('alias.example.com', { port: 40_000, id: 7 }));
    expect(observations.map(({ hostname, lookups }) => [hostname, lookups])).toEqual([['alias.example.com', 1]]);
  });

  it('is none for HTTPS either, where the client is known to use the target', () => {
    const table = newTable();
    const edge = { name: 'edge.example.net', answers: ['edge.example.net A 192.0.2.1'] };
    observe(table, [edge, { name: 'alias.example.com', answers: chain('alias.example.com', 'A') }]);
    const exchange = { type: 'UNKNOWN_65' as RecordType, port: 40_000, id: 7 };
    const own = { name: 'edge.example.net', ...exchange };
    const alias = { name: 'alias.example.com', answers: ['alias.example.com CNAME edge.example.net'], ...exchange };
    const { observations } = observe(table, [own, alias], NOON_MS + 60_000);
    expect(observations.map(({ hostname, lookups }) => [hostname, lookups])).toEqual([['alias.example.com', 1]]);
  });

  it('is none, in whatever order the two families are answered', () => {
    const [ownA, a, ownAaaa, aaaa] = pair('alias.example.com', { port: 40_000, id: 7 }) as [
      ResponseText,
      ResponseText,
      ResponseText,
      ResponseText,
    ];
    for (const order of [
      [ownA, ownAaaa, a, aaaa],
      [ownAaaa, ownA, a, aaaa],
      [ownAaaa, aaaa, ownA, a],
    ]) {
      expect(lookupsOf(order)).toEqual({ 'alias.example.com': 1 });
      const external = order.map((response) => ({ ...response, ...inCluster(response) }));
      expect(lookupsOf(external)).toEqual({ 'edge.example.net': 1 });
    }
  });

  it('never takes back the last answer that the client asked for, though it was the second half of a look-up', () => {
    const [ownA, a, ownAaaa, aaaa] = pair('alias.example.com', { port: 40_000, id: 7 });
    const [first, , second] = pair('alias.example.com', { port: 40_001, id: 19 }); // the client's own, at the same time
    const order = [ownAaaa, first, aaaa, second, ownA, a].flatMap((response) => response ?? []);
    expect(lookupsOf(order)).toEqual({ 'alias.example.com': 1, 'edge.example.net': 1 });
  });

  it('leaves what was drained meanwhile, and takes nothing else for it', () => {
    const [ownA, a] = pair('alias.example.com', { port: 40_000, id: 7 }) as [ResponseText, ResponseText];
    const table = newTable();
    expect(hostsOf(table, [ownA])).toEqual(['edge.example.net']);
    const own = { ...ownA, port: 40_001, id: 9 };
    expect(hostsOf(table, [own, a]).toSorted()).toEqual(['alias.example.com', 'edge.example.net']);
  });

  it('is one look-up, and not two, behind an ExternalName', () => {
    expect(lookupsOf(pair(SERVICE, { port: 40_000, id: 7 }))).toEqual({ 'edge.example.net': 1 });
  });

  it.each([
    ['an alias', 'alias.example.com', 'alias.example.com'],
    ['an ExternalName', SERVICE, 'edge.example.net'],
  ])('is none however often %s was drained, also where its target was known before', (_what, name, host) => {
    const table = newTable();
    const next = (step: number): readonly ResponseText[] => pair(name, { port: 40_000 + step, id: 7 + 2 * step });
    const lookups = (step: number, responses: readonly ResponseText[]): Record<string, number> => {
      const { observations } = observe(table, responses, NOON_MS + step * 10_000);
      return Object.fromEntries(observations.map((observation) => [observation.hostname, observation.lookups]));
    };
    const own = { name: 'edge.example.net', answers: ['edge.example.net A 192.0.2.1'], port: 50_000, id: 9 };
    expect(lookups(0, [own])).toEqual({ 'edge.example.net': 1 });
    expect(lookups(1, [{ ...own, id: 10 }])).toEqual({ 'edge.example.net': 1 });
    lookups(2, next(2)); // that it is an alias is known from here on
    expect(lookups(3, next(3))).toEqual({ [host]: 1 });
    expect(lookups(4, next(4))).toEqual({ [host]: 1 });
  });

  it('takes nothing from what the client asked for itself', () => {
    const own = { name: 'edge.example.net', answers: ['edge.example.net A 192.0.2.1'], port: 40_001, id: 9 };
    expect(lookupsOf([own, ...pair('alias.example.com', { port: 40_000, id: 7 })])).toEqual({
      'alias.example.com': 1,
      'edge.example.net': 1,
    });
  });

  it('does not mistake a client that uses a port and an ID again', () => {
    const again = { ...positive('www.example.com'), port: 40_000, id: 7 };
    expect(lookupsOf([again, { ...positive('api.example.com'), port: 40_000, id: 7 }])).toEqual({
      'api.example.com': 1,
      'www.example.com': 1,
    });
  });

  it.each([
    ['no port', { port: 0, id: 7 }],
    ['the ID 0, as over HTTPS', { port: 40_000, id: 0 }],
  ])('cannot be told with %s', (_what, exchange) => {
    const [own, outer] = pair('alias.example.com', exchange);
    const responses = [own, outer].flatMap((response) => response ?? []);
    expect(Object.keys(lookupsOf(responses)).toSorted()).toEqual(['alias.example.com', 'edge.example.net']);
  });
});

describe('a positive answer', () => {
  it('counts A and AAAA of one look-up once, also when a drain falls between them', () => {
    const table = newTable();
    const aaaa: ResponseText = { name: 'www.example.com', type: 'AAAA', answers: ['www.example.com AAAA 2001:db8::1'] };
    const first = observe(table, [positive('www.example.com'), aaaa]);
    expect(first.observations.map(({ lookups }) => lookups)).toEqual([1]);
    table.add(responseView(positive('www.example.com'), NOON_MS + 100));
    expect(table.drain({ final: false, nowMs: NOON_MS }).observations.map(({ lookups }) => lookups)).toEqual([1]);
    table.add(responseView(aaaa, NOON_MS + 101));
    expect(table.drain({ final: false, nowMs: NOON_MS }).observations).toEqual([]);
  });

  it('counts a truncated answer and the repetition over TCP once, and then the next look-up', () => {
    const cut = positive('www.example.com', { truncated: true });
    const table = newTable();
    const lookups = [[cut, positive('www.example.com')], [cut], [cut]].map((responses) =>
      observe(table, responses).observations.map((observation) => observation.lookups),
    );
    expect(lookups).toEqual([[1], [1], [1]]);
  });

  it('does not take the missing other family for a missing address', () => {
    const responses = [{ name: 'www.example.com', type: 'AAAA' as const }, positive('www.example.com')];
    expect(reasonsOf(newTable(), responses)).toEqual({});
    const table = newTable();
    table.add(responseView({ name: 'www.example.com', type: 'AAAA' }, NOON_MS));
    expect(table.drain({ final: false, nowMs: NOON_MS + 1000 }).rejections).toEqual([]);
    expect(table.drain({ final: false, nowMs: NOON_MS + 6000 }).rejections).toEqual([
      { reason: 'no-address', responses: 1, examples: ['www.example.com'] },
    ]);
  });

  it('never spans two evidence slots', () => {
    const table = newTable();
    for (const atMs of [NOON_MS, NOON_MS + 9_999, NOON_MS + 10_000]) {
      table.add(responseView(positive('www.example.com'), atMs));
    }
    const { observations } = table.drain({ final: true, nowMs: NOON_MS });
    expect(
      observations.map(({ firstObservedAtMs, lastObservedAtMs, lookups }) => [
        firstObservedAtMs - NOON_MS,
        lastObservedAtMs - NOON_MS,
        lookups,
      ]),
    ).toEqual([
      [0, 9_999, 2],
      [10_000, 10_000, 1],
    ]);
  });
});

describe('what teaches nothing', () => {
  it.each([
    ['a label with a zero octet in front of what looks like type and class', '07610000010001620000010001'],
    ['a compression pointer', 'c00c0000010001'],
    ['a label of 64 octets', `40${'61'.repeat(64)}0000010001`],
  ])('octets that are no name: %s', (_, question) => {
    const view = responseView(positive('www.example.com'), NOON_MS);
    const header = (rcode: number): string => `0001818${rcode}0001000000000000`;
    const table = newTable();
    for (const type of ['0001', '0010']) {
      for (const rcode of [0, 3]) {
        const buffer = Buffer.from(header(rcode) + question.replace(/0001(0001)$/, `${type}$1`), 'hex');
        table.add({
          ...view,
          buffer,
          queryAddressStart: 0,
          queryAddressLength: 0,
          responseMessageStart: 0,
          responseMessageLength: buffer.length,
        });
      }
    }
    const { observations, rejections } = table.drain({ final: true, nowMs: NOON_MS });
    expect(observations).toEqual([]);
    expect(rejections).toEqual([{ reason: 'malformed', responses: 4, examples: [] }]);
  });
});

/** A client walks `api.example.com`, and a wildcard answers; the second step is of the last search domain. */
const walk: readonly ResponseText[] = [
  { name: 'api.example.com.shop.svc.cluster.local', rcode: 3 },
  { name: 'api.example.com.cluster.local', rcode: 3 },
  positive('api.example.com.wild.example.org'),
];

describe('an answer that may be of a search domain', () => {
  it('waits for what else its client asked, and is not lost meanwhile', () => {
    const table = newTable();
    table.add(responseView(positive('www.example.com.cdn.example.net'), NOON_MS));
    expect(table.drain({ final: false, nowMs: NOON_MS + 2_000 })).toEqual({
      observations: [],
      ports: [],
      rejections: [],
    });
    expect(table.waiting()).toBe(1);
    const { observations } = table.drain({ final: false, nowMs: NOON_MS + 4_000 });
    expect(observations.map(({ hostname, firstObservedAtMs }) => [hostname, firstObservedAtMs])).toEqual([
      ['www.example.com.cdn.example.net', NOON_MS],
    ]);
    expect([table.waiting(), table.statistics().responses]).toEqual([0, 1]);
  });

  it('keeps its own octets, since the buffer it came in is used again', () => {
    const table = newTable();
    const view = responseView(positive('www.example.com.cdn.example.net', { extra: 'shop web-0' }), NOON_MS);
    table.add(view);
    view.buffer.fill(0);
    const { observations } = table.drain({ final: true, nowMs: NOON_MS });
    expect(observations.map(({ hostname, client, pod }) => [hostname, client, pod?.name])).toEqual([
      ['www.example.com.cdn.example.net', '10.244.0.7', 'web-0'],
    ]);
  });

  it('is judged at once where too many wait', () => {
    const table = newTable();
    const many = Array.from({ length: 5000 }, (_, index) => positive(`h${index}.example.com.cdn.example.net`));
    for (const response of many) table.add(responseView(response, NOON_MS));
    expect(table.waiting()).toBeGreaterThan(4000);
    expect(observe(table, []).observations.length + table.statistics().resets).toBeGreaterThan(0);
    expect(table.waiting()).toBe(0);
  });

  it('is left open for a while after the tables started afresh, when walks are forgotten', () => {
    const full = newTable({ maxPairs: 8 });
    for (let i = 0; i < 20; i++) full.add(responseView(positive(`h${i}.example.net`), NOON_MS));
    expect(full.statistics().resets).toBeGreaterThan(0);
    expect(reasonsOf(full, walk.slice(2))).toEqual({ 'search-undecided': 1 });
    expect(hostsOf(newTable(), walk.slice(2))).toEqual(['api.example.com.wild.example.org']);
  });

  it('is open between several collectors until walks were seen whole for long', () => {
    const walks = (count: number): ResponseText[] =>
      Array.from({ length: count }, (_, i) => [
        { name: `h${i}.example.com.svc.cluster.local`, rcode: 3 },
        { name: `h${i}.example.com.cluster.local`, rcode: 3 },
      ]).flat();
    const undecided = [0, 63, 64].map((count) => {
      const table = newTable({ peers: 1 });
      observe(table, walks(count));
      return reasonsOf(table, [positive('www.example.com.cdn.example.net')])['search-undecided'] ?? 0;
    });
    expect(undecided).toEqual([1, 1, 0]);
  });
});

it('knows a step of a walk, though another client has asked for a name made to have the same hash', () => {
  const table = newTable();
  const step: ResponseText = { name: 'www.example.com.shop.svc.cluster.local', rcode: 3 };
  const other = responseView({ ...step, client: '10.244.0.9' }, NOON_MS);
  const words = other.responseMessageStart + 12;
  // 3 w w w, 7 e x a: what the highest bit of a word changes in the hash, three bits of the next one change back.
  for (const [octet, bits] of [
    [3, 0x80],
    [6, 0x01],
    [7, 0x80],
  ] as const) {
    other.buffer[words + octet] = (other.buffer[words + octet] ?? 0) ^ bits;
  }
  table.add(other);
  expect(hostsOf(table, [step, positive('www.example.com.corp.example.net')])).toEqual([]);
});

it('learns in the end what one client means, though another leaves open as many names as it can', () => {
  const table = newTable({ maxPairs: 65_536, peers: 1 });
  const flood = Array.from({ length: 16_500 }, (_, i) =>
    positive(`n${i}.example.com.corp.example.net`, { client: '10.244.0.9' }),
  );
  observe(table, flood);
  const meant = positive('www.example.com.corp.example.org');
  expect(
    hostsOf(
      table,
      Array.from({ length: 130 }, () => meant),
    ),
  ).toEqual([meant.name]);
});

describe('full tables', () => {
  it('start afresh without losing an observation', () => {
    const table = newTable({ maxPairs: 8 });
    const names = Array.from({ length: 100 }, (_, index) => `h${index}.example.com`);
    names.forEach((name) => table.add(responseView(positive(name), NOON_MS)));
    const { observations } = table.drain({ final: true, nowMs: NOON_MS });
    expect(observations.map(({ hostname }) => hostname).sort()).toEqual(names.toSorted());
    expect(table.statistics().resets).toBeGreaterThan(0);
  });

  it('keep counting one client that comes again and again in new slots', () => {
    const table = newTable({ maxPairs: 8 });
    for (let i = 0; i < 1000; i++) table.add(responseView(positive('www.example.com'), NOON_MS + i * 10_000));
    const { observations } = table.drain({ final: true, nowMs: NOON_MS });
    expect(observations.reduce((sum, { lookups }) => sum + lookups, 0)).toBe(1000);
  });
});
