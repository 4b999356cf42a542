import type { Hostname } from '../dns/hostname.js';
import { readEvidence, type EvidenceRow } from './evidence-fields.js';
import { stateOf, toRecord, type HostCore } from './host-core.js';
import { DAY_MS, MINUTE_MS } from './time-units.js';
import type { Decision, HostFlag, HostFlagName, HostPort, HostRecord, HostState, Transition } from './host-record.js';

/** A host's hash as Redis gives it; empty when there is none. Its fields are described in `lua/record.ts`. */
export type HostHash = Readonly<Record<string, string>>;

/** The record that a hash holds; undefined when it holds none. */
export function readHost(hostname: Hostname, hash: HostHash | undefined): HostRecord | undefined {
  const core = hash === undefined ? undefined : readCore(hash);
  return core === undefined || hash === undefined ? undefined : toRecord(hostname, core, readEvidence(toRows(hash)));
}

/** The inverse of `lua/record.ts` and of {@link writeCore}. */
export function readCore(hash: HostHash): HostCore | undefined {
  if (hash['f'] === undefined) return undefined;
  const [min = '0', max = '0'] = words(hash['t']);
  const [chainMinute = '0', ...chain] = words(hash['c']);
  const [firstState, firstReason = ''] = words(hash['i']);
  return {
    firstSeenMs: Number(hash['f']),
    lastSeenMs: Number(hash['l']),
    lookups: Number(hash['n']),
    addresses: Object.fromEntries(
      pairs(words(hash['a'])).map(([address, minute]) => [address, Number(minute) * MINUTE_MS]),
    ),
    ttlSeconds: { min: Number(min), max: Number(max) },
    cnames: { atMs: Number(chainMinute) * MINUTE_MS, chain },
    days: words(hash['d']).map((word) => {
      const [day, lookups] = word.split(':');
      return { dayMs: Number(day) * DAY_MS, lookups: Number(lookups) };
    }),
    ...(firstState === undefined ? {} : { first: { state: firstState as HostState, reason: firstReason } }), // by writeCore
    transitions: linesOf(hash['x']).map(readTransition),
    flags: words(hash['g']).map(readFlag),
    ports: lines<HostPort>(hash['o']),
    decisions: lines<Decision>(hash['k']),
    children: words(hash['e']),
  };
}

/** The fields of a core that no observation changes, and for a new host all of them; empty is absent. */
export function writeCore(core: HostCore, isNew: boolean): HostHash {
  const jsonLines = (items: readonly object[]): string => items.map((item) => JSON.stringify(item)).join('\n');
  const fields = {
    i: core.first === undefined ? '' : `${core.first.state} ${core.first.reason}`,
    s: stateOf(core) === 'candidate' ? '' : stateOf(core),
    x: core.transitions.map(writeTransition).join('\n'),
    g: core.flags.map(({ name, sinceMs, untilMs }) => `${name}:${sinceMs}:${untilMs ?? ''}`).join(' '),
    o: jsonLines(core.ports),
    k: jsonLines(core.decisions),
  };
  if (!isNew) return fields;
  const { firstSeenMs, lastSeenMs, lookups, ttlSeconds, cnames } = core;
  return {
    ...fields,
    f: String(firstSeenMs),
    l: String(lastSeenMs),
    n: String(lookups),
    t: `${ttlSeconds.min} ${ttlSeconds.max}`,
    c: [cnames.atMs / MINUTE_MS, ...cnames.chain].join(' '),
  };
}

function readFlag(word: string): HostFlag {
  const [name, since, until] = word.split(':');
  return {
    name: name as HostFlagName, // by writeCore
    sinceMs: Number(since),
    ...(until === undefined || until === '' ? {} : { untilMs: Number(until) }),
  };
}

function toRows(hash: HostHash): readonly EvidenceRow[] {
  return Object.entries(hash).flatMap(([field, value]) => {
    if (!field.includes('|')) return [];
    const [first, last, lookups] = words(value).map(Number);
    return [{ field, usage: { firstSeenMs: first ?? 0, lastSeenMs: last ?? 0, lookups: lookups ?? 0 } }];
  });
}

const words = (text: string | undefined): string[] => (text ?? '').split(' ').filter((word) => word !== '');

function pairs(list: readonly string[]): readonly (readonly [string, string])[] {
  return list.flatMap((word, index) => (index % 2 === 0 ? [[word, list[index + 1] ?? ''] as const] : []));
}

/** One JSON text a line; written by writeCore only. */
function lines<T>(text: string | undefined): T[] {
  return linesOf(text).map((line) => JSON.parse(line) as T);
}

const linesOf = (text: string | undefined): string[] => (text ?? '').split('\n').filter((line) => line !== '');

const STATE_LETTERS = {
  candidate: 'c',
  quarantined: 'q',
  eligible: 'e',
  ignored: 'i',
  approved: 'a',
  applied: 'w',
  stale: 's',
  retired: 'r',
} as const satisfies Readonly<Record<HostState, string>>;
const STATES = new Map(Object.entries(STATE_LETTERS).map(([state, letter]) => [letter, state as HostState])); // its keys

/**
 * `<letter of the state><Unix milliseconds to the base of 36> <reason>`. The steps of most hosts then are no more than 64
 * octets, and a hash of such values takes a third of the memory (`hash-max-listpack-value` of Redis).
 */
export function writeTransition({ state, reason, atMs }: Transition): string {
  return `${STATE_LETTERS[state]}${atMs.toString(36)} ${reason.replaceAll('\n', ' ')}`;
}

function readTransition(line: string): Transition {
  const space = line.indexOf(' ');
  const state = STATES.get(line[0] as (typeof STATE_LETTERS)[HostState]) ?? 'candidate';
  return { state, reason: line.slice(space + 1), atMs: Number.parseInt(line.slice(1, space), 36) };
}
