import { BlockList } from 'node:net';
import { createObservationTable, type ObservationTable } from '../../src/observation/observation-table.js';
import { responseView, type ResponseText } from '../support/dns-response.js';

const NOON_MS = Date.UTC(2026, 0, 1, 12);

function newTable(settings: { maxPairs?: number; searchDomains?: readonly string[] } = {}): ObservationTable {
  const clusterNetworks = new BlockList();
  clusterNetworks.addSubnet('10.96.0.0', 12);
  return createObservationTable({
    clusterDomain: 'cluster.local',
    internalZones: ['corp.internal'],
    searchDomains: settings.searchDomains ?? [],
    clusterNetworks,
    maxPairs: settings.maxPairs ?? 1024,
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
  it('is an observation of the name asked, folded, with its addresses, TTLs and CNAMEs', () => {
    const { observations, rejections } = observe(newTable(), [
      {
        name: 'WWW.Example.com',
        answers: [
          'www.example.com CNAME Edge.example.NET 300',
          'edge.example.net A 192.0.2.2 20',
          'edge.example.net A 192.0.2.1 30',
        ],
      },
    ]);
    expect(rejections).toEqual([]);
    expect(observations).toEqual([
      {
        hostname: 'www.example.com',
        client: '10.244.0.7',
        addresses: ['192.0.2.1', '192.0.2.2'],
        ttlSeconds: { min: 20, max: 30 },
        cnames: ['edge.example.net'],
        firstObservedAtMs: NOON_MS,
        lastObservedAtMs: NOON_MS,
        lookups: 1,
        origin: 'dnstap',
      },
    ]);
  });

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

  it('tells clients apart, IPv4 in 4 and in 16 octets being the same', () => {
    const table = newTable();
    const short = responseView(positive('www.example.com'), NOON_MS);
    const long = { ...short, buffer: Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), short.buffer]) };
    table.add(short);
    table.add({
      ...long,
      queryAddressLength: 16,
      responseMessageStart: 16,
      extraStart: 16 + short.responseMessageLength,
    });
    table.add(responseView(positive('www.example.com', { client: '10.244.0.8' }), NOON_MS + 2));
    const { observations } = table.drain({ final: true, nowMs: NOON_MS });
    expect(observations.map(({ client, lookups }) => [client, lookups])).toEqual([
      ['10.244.0.7', 2],
      ['10.244.0.8', 1],
    ]);
  });

  it('takes the namespace and pod from extra, and not what is no such pair', () => {
    const pods = ['shop web-0', '- -', 'rtt=20\n', 'a b c', ''].map((extra) => {
      const { observations } = observe(newTable(), [positive('www.example.com', { extra })]);
      return observations[0]?.pod;
    });
    expect(pods).toEqual([{ namespace: 'shop', name: 'web-0' }, undefined, undefined, undefined, undefined]);
  });

  it('is one of the plain name under autopath, and of the target of an ExternalName Service', () => {
    const autopath: ResponseText = {
      name: 'api.example.com.shop.svc.cluster.local',
      answers: ['api.example.com.shop.svc.cluster.local CNAME api.example.com', 'api.example.com A 192.0.2.1'],
    };
    const externalName: ResponseText = {
      name: 'db.shop.svc.cluster.local',
      answers: ['db.shop.svc.cluster.local CNAME db.example.net', 'db.example.net A 192.0.2.9'],
    };
    expect(hostsOf(newTable(), [autopath, externalName])).toEqual(['api.example.com', 'db.example.net']);
  });
});

describe('what teaches nothing', () => {
  it.each<[string, ResponseText, string]>([
    ['NXDOMAIN', { name: 'nope.example.com', rcode: 3 }, 'nxdomain'],
    ['SERVFAIL', { name: 'www.example.com', rcode: 2 }, 'server-failure'],
    ['REFUSED', { name: 'www.example.com', rcode: 5 }, 'refused'],
    ['NOTIMP', { name: 'www.example.com', rcode: 4 }, 'other-rcode'],
    ['NODATA', { name: 'www.example.com' }, 'no-address'],
    [
      'a chain that ends nowhere',
      { name: 'a.example.com', answers: ['a.example.com CNAME b.example.com'] },
      'no-address',
    ],
    [
      'a chain that loops',
      {
        name: 'a.example.com',
        answers: [
          'a.example.com CNAME b.example.com',
          'b.example.com CNAME a.example.com',
          'c.example.com A 192.0.2.1',
        ],
      },
      'no-address',
    ],
    ['an address of another name', { name: 'a.example.com', answers: ['b.example.com A 192.0.2.1'] }, 'no-address'],
    ['a cut answer without an address', { name: 'www.example.com', truncated: true }, 'truncated'],
    ['a Service', positive('web.shop.svc.cluster.local'), 'internal'],
    ['a step of a search walk', { name: 'api.example.com.shop.svc.cluster.local', rcode: 3 }, 'search-expansion'],
    ['a Service that does not exist', { name: 'redis.shop.svc.cluster.local', rcode: 3 }, 'internal'],
    ['a configured zone', positive('db.corp.internal'), 'internal'],
    ['localhost', positive('app.localhost'), 'internal'],
    ['a reverse name', { name: '1.2.0.192.in-addr.arpa', type: 'PTR' }, 'record-type'],
    ['an SRV owner', { name: '_ldap._tcp.example.com', type: 'SRV' }, 'record-type'],
    ['an underscore', positive('my_bucket.example.com'), 'underscore'],
    ['a single label', positive('redis'), 'single-label'],
    ['a name like an address', positive('10.244.1.9'), 'invalid-name'],
    [
      'an address of the cluster',
      { name: 'a.example.com', answers: ['a.example.com A 10.96.0.10'] },
      'internal-address',
    ],
    [
      'the metadata server',
      { name: 'metadata.example.com', answers: ['metadata.example.com A 169.254.169.254'] },
      'internal-address',
    ],
    ['a sinkhole', { name: 'ads.example.com', answers: ['ads.example.com A 0.0.0.0'] }, 'internal-address'],
  ])('%s', (_, response, reason) => {
    const { observations, rejections } = observe(newTable(), [response]);
    expect(observations).toEqual([]);
    expect(rejections).toEqual([{ reason, responses: 1, examples: [response.name.toLowerCase()] }]);
  });

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

  it('no message, too short a message, a query, two questions', () => {
    const table = newTable();
    const view = responseView(positive('www.example.com'));
    const query = Buffer.from(view.buffer);
    query[4 + 2] = 0; // QR
    const twoQuestions = Buffer.from(view.buffer);
    twoQuestions[4 + 5] = 2; // QDCOUNT
    table.add({ ...view, responseMessageLength: 0 });
    table.add({ ...view, responseMessageLength: 5 });
    table.add({ ...view, responseMessageLength: 20 });
    table.add({ ...view, buffer: query });
    table.add({ ...view, buffer: twoQuestions });
    const { observations, rejections } = table.drain({ final: true, nowMs: NOON_MS });
    expect(observations).toEqual([]);
    expect(rejections.map(({ reason, responses }) => [reason, responses])).toEqual([
      ['malformed', 2],
      ['not-an-answer', 2],
      ['not-full', 1],
    ]);
  });
});

describe('a search domain that answers everything', () => {
  const walk = (client: string): ResponseText[] => [
    { name: 'api.example.com.shop.svc.cluster.local', rcode: 3, client },
    { name: 'api.example.com.svc.cluster.local', rcode: 3, client },
    { name: 'api.example.com.cluster.local', rcode: 3, client },
    positive('api.example.com.wild.example.org', { client }),
  ];

  it('is recognised by the walk of the client', () => {
    expect(reasonsOf(newTable(), walk('10.244.0.7'))).toEqual({ 'search-expansion': 4 });
  });

  it('is not recognised by the walk of another client, who could discredit names so', () => {
    const foreign = walk('10.244.0.8').slice(0, 3);
    const own = positive('api.example.com.wild.example.org');
    expect(hostsOf(newTable(), [...foreign, own])).toEqual(['api.example.com.wild.example.org']);
  });

  it('is recognised without a walk when the domain is configured', () => {
    const table = newTable({ searchDomains: ['wild.example.org'] });
    expect(reasonsOf(table, [positive('api.example.com.wild.example.org')])).toEqual({ 'search-expansion': 1 });
  });

  it('leaves names alone that belong there', () => {
    const table = newTable({ searchDomains: ['wild.example.org'] });
    expect(hostsOf(table, [positive('db.staging.wild.example.org'), positive('www.wild.example.org')])).toEqual([
      'db.staging.wild.example.org',
      'www.wild.example.org',
    ]);
  });
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
