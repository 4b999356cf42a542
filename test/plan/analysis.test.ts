import * as fc from 'fast-check';
import {
  readDestinationRule,
  readNamespace,
  readSidecar,
  readVirtualService,
  type MeshObjects,
} from '../../src/istio/mesh-objects.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import type { PlanInput } from '../../src/plan/plan-input.js';
import { analyze } from '../support/istioctl.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { carryOut, foreign, plan, policy, wanted } from './situation.js';

/** What istioctl says of an entry, or of what needs one. */
const CODES: readonly string[] = [
  'IST0101',
  'IST0106',
  'IST0108',
  'IST0133',
  'IST0134',
  'IST0171',
  'IST0174',
  'IST0177',
];

let cluster: KubeApiserver;

beforeAll(async () => {
  cluster = await startKubeApiserver({ crds: 'istio-crds' });
}, 120_000);

afterAll(async () => cluster.stop());

async function codesOf(...objects: readonly object[]): Promise<string[]> {
  const messages = await analyze(objects, cluster);
  return [...new Set(messages.map(({ code }) => code))].filter((code) => CODES.includes(code)).sort();
}

interface World {
  readonly entries: readonly ServiceEntry[];
  /** VirtualServices, DestinationRules, Sidecars and namespaces as YAML would have them. */
  readonly others?: readonly object[];
}

const read = <T>(objects: readonly object[], reader: (value: unknown) => T | undefined): readonly T[] =>
  objects.flatMap((object) => reader(object) ?? []);

function meshOf(others: readonly object[]): MeshObjects {
  const namespaces = read(others, readNamespace);
  return {
    services: [],
    virtualServices: read(others, readVirtualService),
    destinationRules: read(others, readDestinationRule),
    sidecars: read(others, readSidecar),
    ...(namespaces.length > 0 && { namespaces }),
  };
}

/** The entries after a plan was carried out. */
function after({ entries, others = [] }: World, input: Partial<PlanInput>): readonly ServiceEntry[] {
  const given = { ...input, current: entries, mesh: meshOf(others) };
  return carryOut(entries, plan(given));
}

const object = (kind: string, namespace: string, name: string, spec: object): object => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { namespace, name },
  spec,
});
const virtualService = (host: string, namespace = 'shop'): object =>
  object('VirtualService', namespace, `to-${host}`, {
    hosts: ['front.example.net'],
    http: [{ route: [{ destination: { host, port: { number: 443 } } }] }],
  });
const destinationRule = (host: string, namespace = 'shop'): object =>
  object('DestinationRule', namespace, `for-${host.replaceAll('*', 'any')}`, {
    host,
    trafficPolicy: { connectionPool: { tcp: { maxConnections: 10 } } },
  });
const ports = (...words: string[]) =>
  words.map((word) => {
    const [number = '', protocol = ''] = word.split('/');
    return { name: `${protocol.toLowerCase()}-${number}`, number: Number(number), protocol };
  });

const a = wanted('a.example.com');

describe('istioctl analyze', () => {
  it('would say IST0101 of a VirtualService whose destination went, so that stays', async () => {
    const others = [virtualService('a.example.com')];
    expect(await codesOf(...others)).toEqual(['IST0101']);
    const left = after({ entries: [a], others }, { unwanted: ['a.example.com'] });
    expect(await codesOf(...others, ...left)).toEqual([]);
  });

  it('would say IST0101 of a VirtualService that does not see its destination any more, so it goes on to', async () => {
    const others = [virtualService('a.example.com', 'web')];
    const seen = wanted('a.example.com', 'egress', ['shop', 'web']);
    const unseen = wanted('a.example.com', 'egress', ['shop']);
    expect(await codesOf(...others, unseen)).toEqual(['IST0101']);
    const left = after({ entries: [seen], others }, { desired: [unseen] });
    expect(await codesOf(...others, ...left)).toEqual([]);
  });

  it('would say IST0106 of an entry that istiod refuses, so it is not written', async () => {
    const bad = { ...a, spec: { ...a.spec, hosts: ['a_b.example.com'] } };
    expect(await codesOf(bad)).toEqual(['IST0106']);
    expect(after({ entries: [] }, { desired: [bad] })).toEqual([]);
  });

  it('would say IST0133 of an entry that istiod warns of, so it is not written', async () => {
    const bad = { ...a, spec: { ...a.spec, hosts: ['*foo.example.com'] } };
    expect(await codesOf(bad)).toEqual(['IST0133']);
    expect(after({ entries: [] }, { desired: [bad] })).toEqual([]);
  });

  it('would say IST0134 of TCP without addresses, in any case of its letters, so it is not written', async () => {
    for (const word of ['tcp', 'TCP', '']) {
      const bad = { ...a, spec: { ...a.spec, ports: ports(`5432/${word}`).map((port) => ({ ...port, name: 'x' })) } };
      expect(await codesOf(bad)).toContain('IST0134');
      expect(after({ entries: [] }, { desired: [bad] })).toEqual([]);
    }
  });

  it('would say IST0171 of an entry that is bound to no waypoint, so none is written where that would happen', async () => {
    const namespace = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop', labels: { 'istio.io/use-waypoint': 'egress' } },
    };
    const conditions = [{ type: 'istio.io/WaypointBound', status: 'False', reason: 'x', message: 'no waypoint' }];
    expect(await codesOf(namespace, { ...a, status: { conditions } })).toEqual(['IST0171']);
    expect(after({ entries: [], others: [namespace] }, { desired: [a] })).toEqual([]);
  });

  it('would say IST0174 of a DestinationRule whose host went, so that stays', async () => {
    const others = [destinationRule('a.example.com')];
    expect(await codesOf(...others)).toEqual(['IST0174']);
    const left = after({ entries: [a], others }, { unwanted: ['a.example.com'] });
    expect(await codesOf(...others, ...left)).toEqual([]);
  });

  it('would say IST0177 of two words for TLS, so ours is that of the others', async () => {
    const theirs = foreign(['a.example.com'], 'ops', { resolution: 'NONE', ports: ports('443/HTTPS') });
    expect(await codesOf(theirs, a)).toEqual(['IST0177']);
    const hidden = { ...policy, defaultExportTo: ['.'] };
    const left = after({ entries: [theirs] }, { desired: [a], policy: hidden });
    expect(left).toHaveLength(2);
    expect(await codesOf(...left)).toEqual([]);
  });

  it('finds no annotation that could be unknown (IST0108)', () => {
    const { create } = plan({ desired: [a, wanted('*.example.com'), wanted('a.example.com', 'web', ['*'])] });
    expect(create.map(({ entry }) => Object.keys(entry.metadata).sort())).toEqual(
      create.map(() => ['labels', 'name', 'namespace']),
    );
  });
});

/** A small world of its own, in namespaces and below a domain that no other world has. */
const anyWorld = (id: string) => {
  const host = fc.constantFrom('a', 'b', 'x.a').map((name) => `${name}.${id}.example.com`);
  const namespace = fc.constantFrom('shop', 'web', 'ops').map((name) => `${name}-${id}`);
  const exportTo = fc.constantFrom(['.'], ['*'], ['.', `web-${id}`]);
  const ours = fc
    .record({ host: fc.oneof(host, fc.constant(`*.${id}.example.com`)), namespace, exportTo })
    .map((entry) => wanted(entry.host, entry.namespace, entry.exportTo));
  const theirs = fc
    .record({
      host,
      namespace,
      exportTo: fc.constantFrom([], ['.'], ['*'], ['~']),
      ports: fc.constantFrom(ports('443/HTTPS'), ports('443/TLS', '8443/TLS'), ports('80/HTTP', '443/TLS')),
    })
    .map((entry) =>
      foreign([entry.host], entry.namespace, { resolution: 'NONE', exportTo: entry.exportTo, ports: entry.ports }),
    );
  const other = fc.oneof(
    fc.tuple(host, namespace).map(([name, where]) => virtualService(name, where)),
    fc
      .tuple(fc.oneof(host, fc.constant(`*.${id}.example.com`)), namespace)
      .map(([name, where]) => destinationRule(name, where)),
  );
  const distinct = <T extends object>(items: readonly T[]): T[] => [
    ...new Map(items.map((item) => [JSON.stringify((item as { metadata?: unknown }).metadata), item])).values(),
  ];
  return fc.record({
    entries: fc.array(fc.oneof(ours, theirs), { maxLength: 6 }).map(distinct),
    others: fc.array(other, { maxLength: 4 }).map(distinct),
    desired: fc.array(ours, { maxLength: 6 }),
    unwanted: fc.subarray([`a.${id}.example.com`, `b.${id}.example.com`, `*.${id}.example.com`]),
  });
};

it('a plan never makes istioctl say anything more', async () => {
  const worlds = Array.from({ length: 300 }, (_, index) =>
    fc.sample(anyWorld(`w${index}`), { numRuns: 1, seed: index }),
  ).flat();
  const messagesOf = async (entriesOf: (world: (typeof worlds)[number]) => readonly object[]): Promise<Set<string>> => {
    const messages = await analyze(
      worlds.flatMap((world) => [...world.others, ...entriesOf(world)]),
      cluster,
    );
    const told = messages.filter(({ code }) => CODES.includes(code));
    return new Set(told.map(({ code, origin }) => `${code} ${origin}`)); // the message names all who take part
  };
  const before = await messagesOf(({ entries }) => entries);
  const then = await messagesOf((world) => after(world, { desired: world.desired, unwanted: world.unwanted }));
  expect([...then].filter((message) => !before.has(message))).toEqual([]);
  expect(before.size).toBeGreaterThan(50); // there was something to say
});
