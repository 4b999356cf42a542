import type { HostCore } from './host-core.js';
import type { Decision, HostFlag, HostFlagName, HostPort, HostState, Transition } from './host-record.js';
import type { HostEvidence } from './redis-evidence.js';
import { STATES } from './redis-story.js';
import { readEvidence } from './evidence-fields.js';
import { DAY_MS, MINUTE_MS } from './time-units.js';

/** The fields of a hash. */
export type OldHash = Readonly<Record<string, string>>;

/** Larger than any minute since 1970, smaller than any time in milliseconds: both have been stored. */
const LARGEST_MINUTE = 1e10;

/**
 * A host as versions 1 and 2 of the layout have it in one hash, with decimal numbers and times in Unix milliseconds:
 * ```
 *   f, l, n   first seen, last seen, lookups          s   state, absent: candidate
 *   t         "<min ttl> <max ttl>"                   x   transitions, one a line, oldest first
 *   a         "<address> <minute last seen> …"        q   number of pending rows
 *   c         "<minute last seen> <cname> …"          p|…, w|…   "<first> <last> <lookups>" (see evidence-fields.ts)
 *   d         "<day since 1970>:<lookups> …", newest first       i   "<state> <reason>" that it began with, if not a look-up
 *   g         "<flag>:<since>:<until or empty> …"     o, k       ports, decisions: one JSON text a line
 *   e         children of a parent that are not stored singly
 * ```
 * Version 1 has no days, flags, ports, decisions and children.
 */
export function readOldCore(hash: OldHash): HostCore | undefined {
  if (hash['f'] === undefined) return undefined;
  const [min = '0', max = '0'] = words(hash['t']);
  const [chainAt = '0', ...chain] = words(hash['c']);
  const [firstState, firstReason = ''] = words(hash['i']);
  return {
    firstSeenMs: Number(hash['f']),
    lastSeenMs: Number(hash['l']),
    lookups: Number(hash['n']),
    addresses: Object.fromEntries(pairs(words(hash['a'])).map(([address, at]) => [address, toMinuteMs(at)])),
    ttlSeconds: { min: Number(min), max: Number(max) },
    cnames: { atMs: toMinuteMs(chainAt), chain },
    days: words(hash['d']).map((word) => {
      const [day, lookups] = word.split(':');
      return { dayMs: Number(day) * DAY_MS, lookups: Number(lookups) };
    }),
    ...(firstState === undefined ? {} : { first: { state: firstState as HostState, reason: firstReason } }),
    transitions: lines(hash['x']).map(readOldTransition),
    flags: words(hash['g']).map(readOldFlag),
    ports: lines(hash['o']).map((line) => JSON.parse(line) as HostPort),
    decisions: lines(hash['k']).map((line) => JSON.parse(line) as Decision),
    children: words(hash['e']),
  };
}

/** What is in its rows. */
export function readOldEvidence(hash: OldHash): Readonly<HostEvidence> {
  const fields = Object.keys(hash).filter((field) => field.includes('|'));
  const { workloads, pending } = readEvidence(
    fields.map((field) => {
      const [firstSeenMs = 0, lastSeenMs = 0, lookups = 0] = words(hash[field]).map(Number);
      return { field, usage: { firstSeenMs, lastSeenMs, lookups } };
    }),
  );
  return { workloads: [...workloads], pending: [...pending] };
}

function toMinuteMs(text: string): number {
  const value = Number(text);
  return value < LARGEST_MINUTE ? value * MINUTE_MS : Math.floor(value / MINUTE_MS) * MINUTE_MS;
}

/** JSON, or `<letter of the state><time to the base of 36> <reason>`, the latter as JSON has it within quotation marks. */
export function readOldTransition(line: string): Transition {
  if (line.startsWith('{')) return JSON.parse(line) as Transition;
  const space = line.indexOf(' ');
  const state = STATES.get(line.slice(0, 1)) ?? 'candidate';
  const text = line.slice(space + 1);
  const reason = text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
  return { state, reason, atMs: Number.parseInt(line.slice(1, space), 36) };
}

/** `<flag>:<since>:<until or empty>` */
export function readOldFlag(word: string): HostFlag {
  const [name, since, until = ''] = word.split(':');
  return {
    name: name as HostFlagName, // as the old program wrote it
    sinceMs: Number(since),
    ...(until === '' ? {} : { untilMs: Number(until) }),
  };
}

const words = (text: string | undefined): string[] => (text ?? '').split(' ').filter((word) => word !== '');
const lines = (text: string | undefined): string[] => (text ?? '').split('\n').filter((line) => line !== '');

function pairs(list: readonly string[]): readonly (readonly [string, string])[] {
  return list.flatMap((word, index) => (index % 2 === 0 ? [[word, list[index + 1] ?? ''] as const] : []));
}
