import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { Hostname } from '../../src/dns/hostname.js';
import { FloodGuard } from '../../src/intake/flood-guard.js';
import type { Observation } from '../../src/observation/observation.js';
import { NOON_MS } from './table.js';

function observation(hostname: string, fields: Partial<Observation> = {}): Observation {
  return {
    hostname: hostname as Hostname, // valid by hand
    client: '10.244.0.7',
    addresses: ['192.0.2.1'],
    ttlSeconds: { min: 30, max: 60 },
    cnames: [],
    firstObservedAtMs: NOON_MS,
    lastObservedAtMs: NOON_MS + 100,
    lookups: 1,
    origin: 'dnstap',
    ...fields,
  };
}

const namesOf = (observations: readonly Observation[]): readonly string[] =>
  observations.map(({ hostname }) => hostname);
const data = (index: number): string => createHash('sha256').update(String(index)).digest('hex').slice(0, 48);

describe('the share of a client', () => {
  it('is counted in new hosts; what is over is only counted, and what is known goes on', () => {
    const guard = new FloodGuard({ maxHostsPerClient: 2 });
    const names = ['a', 'b', 'c', 'd'].map((label) => `${label}.example.com`);
    const first = guard.admit(names.map((name) => observation(name, { lookups: 3 })));
    expect(namesOf(first.observations)).toEqual(['a.example.com', 'b.example.com']);
    expect(first.rejections).toEqual([
      { reason: 'over-cap', responses: 6, examples: ['c.example.com', 'd.example.com'] },
    ]);
    expect(namesOf(guard.admit(names.map((name) => observation(name))).observations)).toEqual([
      'a.example.com',
      'b.example.com',
    ]);
    expect(guard.statistics().over).toBe(8);
  });

  it('begins anew the next day', () => {
    const guard = new FloodGuard({ maxHostsPerClient: 1 });
    guard.admit([observation('a.example.com')]);
    const tomorrow = { firstObservedAtMs: NOON_MS + 86_400_000, lastObservedAtMs: NOON_MS + 86_400_000 };
    expect(namesOf(guard.admit([observation('b.example.com', tomorrow)]).observations)).toEqual(['b.example.com']);
  });

  it('a flood from one takes nothing from another, nor what another has taught', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), (flood) => {
        const guard = new FloodGuard({ maxHostsPerClient: 10 });
        guard.admit([observation('shared.example.com', { client: '10.244.0.8' })]);
        const flooded = Array.from({ length: flood }, (_, index) => observation(`h${index}.example.net`));
        const others = [observation('web.example.com', { client: '10.244.0.8' }), observation('shared.example.com')];
        const { observations } = guard.admit([...flooded, ...others]);
        expect(observations).toHaveLength(Math.min(flood, 10) + 2);
        expect(namesOf(observations).slice(-2)).toEqual(['web.example.com', 'shared.example.com']);
      }),
    );
  });
});

describe('a tunnel', () => {
  const guard = (): FloodGuard =>
    new FloodGuard({ maxHostsPerClient: 10_000, tunnels: { names: 20, withinMs: 600_000 } });
  const flood = (from: number, to: number, fields: Partial<Observation> = {}): readonly Observation[] =>
    Array.from({ length: to - from }, (_, index) => observation(`${data(from + index)}.t.example.com`, fields));

  it('becomes one row a client and slot, with all its look-ups', () => {
    const one = guard();
    expect(one.admit(flood(0, 20)).observations).toHaveLength(20);
    expect(one.tunnels).toEqual(['*.t.example.com']);
    const { observations, rejections } = one.admit([
      ...flood(20, 500),
      ...flood(500, 600, { client: '10.244.0.8', addresses: ['192.0.2.2'] }),
      observation('api.example.com'),
      observation('t.example.com'),
      observation(`${data(3)}.t.example.com`),
    ]);
    expect(rejections).toEqual([]);
    expect(observations.map(({ hostname, client, lookups }) => [hostname, client, lookups])).toEqual([
      ['api.example.com', '10.244.0.7', 1],
      ['t.example.com', '10.244.0.7', 1],
      [`${data(3)}.t.example.com`, '10.244.0.7', 1],
      ['*.t.example.com', '10.244.0.7', 480],
      ['*.t.example.com', '10.244.0.8', 100],
    ]);
  });

  it('loses no look-up, whatever comes between', () => {
    const label = fc.oneof(fc.constantFrom('api', 'www', 'cdn'), fc.integer({ min: 0, max: 400 }).map(data));
    const parent = fc.constantFrom('t.example.com', 'example.net', 'a.example.org');
    const names = fc.array(
      fc.tuple(label, parent).map(([a, b]) => `${a}.${b}`),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 50 }), (all, size) => {
        const one = guard();
        let lookups = 0;
        for (let from = 0; from < all.length; from += size) {
          const { observations } = one.admit(all.slice(from, from + size).map((name) => observation(name)));
          for (const admitted of observations) lookups += admitted.lookups;
        }
        expect(lookups).toBe(all.length);
      }),
    );
  });

  it('is one of questions for text as well, which teach no host', () => {
    const one = guard();
    const question = (index: number) => ({
      hostname: flood(index, index + 1)[0]?.hostname as Hostname,
      client: '10.244.0.7',
    });
    for (let i = 0; i < 19; i++)
      for (const again of [0, 1]) one.noteQuestion({ ...question(i), atMs: NOON_MS + again });
    expect(one.tunnels).toEqual([]);
    for (let i = 19; i < 40; i++) one.noteQuestion({ ...question(i), atMs: NOON_MS + i });
    const { observations } = one.admit([observation('api.example.com')]);
    expect(observations.map(({ hostname, lookups }) => [hostname, lookups])).toEqual([
      ['api.example.com', 1],
      ['*.t.example.com', 20],
    ]);
    expect(one.admit([]).observations).toEqual([]);
  });

  it('is let in again by a person, for good', () => {
    const one = guard();
    one.admit(flood(0, 20));
    const decision = { kind: 'unignore', by: 'ana', why: '', atMs: NOON_MS } as const;
    const row = '*.t.example.com' as Hostname; // valid by hand
    one.heed({ hostname: row, decisions: [{ ...decision, kind: 'note' }] });
    expect(one.tunnels).toEqual([row]);
    one.heed({ hostname: row, decisions: [decision] });
    expect(namesOf(one.admit(flood(20, 60)).observations)).not.toContain(row);
    expect(one.tunnels).toEqual([]);
  });
});
