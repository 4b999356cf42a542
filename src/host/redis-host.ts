import type { Hostname } from '../dns/hostname.js';
import { MAX_ADDRESSES } from '../observation/observation.js';
import { sortEvidence, stateOf, toRecord, type HostCore } from './host-core.js';
import {
  MAX_DAYS,
  type Decision,
  type HostFlag,
  type HostFlagName,
  type HostPort,
  type HostRecord,
  type HostState,
  type HostSummary,
  type Transition,
} from './host-record.js';
import { FIRST_REASON } from './lifecycle.js';
import { PIECE_OCTETS, pieceFields, PIECES } from './lua/text.js';
import type { ObservationGroup } from './observation-group.js';
import { isRow, readRow, readUsage, writeUsage, type HostEvidence } from './redis-evidence.js';
import { DAY_MS, MINUTE_MS } from './time-units.js';

/**
 * A host's hash in Redis, together with the hash of its pending evidence. Texts are ASCII, and those of more than 63 octets
 * go into further fields: `h`, `h1`, `h2`, …; the eighth takes what is left. Numbers are to the base of 36, times Unix
 * milliseconds, lists are words separated by a blank; what is empty is absent.
 * ```
 *   h  what observations say, four lines:                 i  "<state> <reason>" that it began with, if not a look-up
 *        <first> <span> <lookups> <min ttl> <max ttl>     s  letter of the state, absent: candidate
 *        <minute> <address> … <minute> <address> …        x  transitions, one a line, oldest first
 *        <minute> <cname> …                               g  "<flag>:<since>:<until or empty> …", decimal
 *        <day> <lookups> <lookups> <gap>.<lookups> …      o, k  ports, decisions: one JSON text a line
 *   q  number of pending rows, decimal                    e  children of a parent that are not stored singly
 *   …|… "<first> <span> <lookups>" of a workload, or in the hash of what is pending of a client and slot
 * ```
 * Of addresses the latest minute comes first, and of days the newest; a day is the one before that of the word before,
 * unless a gap says how many days lie between.
 */
export type HostHash = Readonly<Record<string, string>>;

/** What separates fields and values in the replies of `lua/read.ts`. */
export const SEPARATOR = '\0';

/** A reply of `lua/read.ts`. */
export function parseHash(text: string): HostHash {
  const hash: Record<string, string> = {};
  if (text === '') return hash;
  const words = text.split(SEPARATOR);
  for (let index = 1; index < words.length; index += 2) hash[words[index - 1] ?? ''] = words[index] ?? '';
  return hash;
}

/** What a reply of `lua/read.ts` says that a list shows; undefined when there is no such host. */
export function readSummary(hostname: Hostname, text: string): HostSummary | undefined {
  if (text === '') return undefined;
  const items = text.split(SEPARATOR);
  const evidence: HostEvidence = { workloads: [], pending: [] };
  const steps: string[] = [];
  const flags: string[] = [];
  const pieces: string[] = [];
  let first = '';
  for (let index = 1; index < items.length; index += 2) {
    const [field = '', value = ''] = [items[index - 1], items[index]];
    if (isRow(field)) readRow(field, value, evidence);
    else if (field === 'i') first = value;
    else if (field.startsWith('h')) pieces[pieceOf(field)] = value;
    else if (field.startsWith('x')) steps[pieceOf(field)] = value;
    else if (field.startsWith('g')) flags[pieceOf(field)] = value;
  }
  if (pieces.length === 0) return undefined;
  const { firstSeenMs, lastSeenMs, lookups } = readUsage(pieces[0] ?? '');
  const { state, reason } = lastStep(steps.join(''), first);
  const { workloads, pending } = sortEvidence(evidence);
  const addresses = addressesOf(pieces.join(''));
  return {
    hostname,
    state,
    reason,
    firstSeenMs,
    lastSeenMs,
    lookups,
    addresses,
    flags: words(flags.join('')).map(readFlag),
    workloads,
    pending,
  };
}

const pieceOf = (field: string): number => (field.length === 1 ? 0 : Number(field.slice(1)));

/** The addresses in the second of the four lines. */
function addressesOf(observed: string): readonly string[] {
  const from = observed.indexOf('\n') + 1;
  return observed.slice(from, observed.indexOf('\n', from)).split(' ').filter(isAddress).sort();
}

const isAddress = (word: string): boolean => word.includes('.') || word.includes(':');

function lastStep(steps: string, first: string): Pick<Transition, 'state' | 'reason'> {
  if (steps !== '') return readTransition(steps.slice(steps.lastIndexOf('\n') + 1));
  const [state = 'candidate', reason = FIRST_REASON] = words(first);
  return { state: state as HostState, reason }; // by writeCore
}

/** The record that a hash holds; undefined when it holds none. */
export function readHost(hostname: Hostname, hash: HostHash): HostRecord | undefined {
  const core = readCore(hash);
  if (core === undefined) return undefined;
  const evidence: HostEvidence = { workloads: [], pending: [] };
  for (const field in hash) if (isRow(field)) readRow(field, hash[field] ?? '', evidence);
  return toRecord(hostname, core, evidence);
}

/** The inverse of {@link observedText} and {@link writeCore}. */
export function readCore(hash: HostHash): HostCore | undefined {
  const observed = readText(hash, 'h');
  if (observed === '') return undefined;
  const [usage = '', addresses = '', chain = '', days = ''] = observed.split('\n');
  const [, , , min = '0', max = '0'] = usage.split(' ');
  const [chainMinute = '0', ...names] = chain.split(' ');
  const [firstState, firstReason = ''] = words(hash['i']);
  const { firstSeenMs, lastSeenMs, lookups } = readUsage(usage);
  return {
    firstSeenMs,
    lastSeenMs,
    lookups,
    addresses: readAddresses(addresses),
    ttlSeconds: { min: number(min), max: number(max) },
    cnames: { atMs: number(chainMinute) * MINUTE_MS, chain: names },
    days: readDays(days),
    ...(firstState === undefined ? {} : { first: { state: firstState as HostState, reason: firstReason } }), // by writeCore
    transitions: linesOf(readText(hash, 'x')).map(readTransition),
    flags: words(readText(hash, 'g')).map(readFlag),
    ports: jsonLines<HostPort>(readText(hash, 'o')),
    decisions: jsonLines<Decision>(readText(hash, 'k')),
    children: words(readText(hash, 'e')),
  };
}

/** The fields of a core that no observation changes, and for a new host all of them; what is empty is absent. */
export function writeCore(core: HostCore, isNew: boolean): HostHash {
  const state = stateOf(core);
  return {
    i: core.first === undefined ? '' : `${core.first.state} ${core.first.reason}`,
    s: state === 'candidate' ? '' : STATE_LETTERS[state],
    ...splitText('x', core.transitions.map(writeTransition).join('\n')),
    ...splitText('g', core.flags.map(({ name, sinceMs, untilMs }) => `${name}:${sinceMs}:${untilMs ?? ''}`).join(' ')),
    ...splitText('o', core.ports.map(asciiJson).join('\n')),
    ...splitText('k', core.decisions.map(asciiJson).join('\n')),
    ...(isNew ? { ...splitText('h', coreText(core)), ...splitText('e', core.children.join(' ')) } : {}),
  };
}

/** A text in its fields; those that it does not need are empty. */
function splitText(field: string, text: string): HostHash {
  const pieces = pieceFields(field).map((name, index) => {
    const end = index === PIECES - 1 ? undefined : (index + 1) * PIECE_OCTETS;
    return [name, text.slice(index * PIECE_OCTETS, end)] as const;
  });
  return Object.fromEntries(pieces);
}

function readText(hash: HostHash, field: string): string {
  let text = hash[field] ?? '';
  if (text.length < PIECE_OCTETS) return text;
  for (let index = 1; index < PIECES; index++) {
    const piece = hash[`${field}${index}`];
    if (piece === undefined) break;
    text += piece;
  }
  return text;
}

/** The four lines that say what a batch has of a host, for `lua/record.ts`. */
export function observedLines(group: ObservationGroup): readonly [string, string, string, string] {
  const { firstMs, lastMs, lookups, minTtl, maxTtl, chainMinute, chain } = group;
  return [
    `${writeUsage({ firstSeenMs: firstMs, lastSeenMs: lastMs, lookups })} ${base36(minTtl)} ${base36(maxTtl)}`,
    writeAddresses([...group.addresses]),
    chain === '' ? base36(chainMinute) : `${base36(chainMinute)} ${chain}`,
    writeDays([...group.days]),
  ];
}

function coreText({ addresses, ttlSeconds, cnames, days, ...usage }: HostCore): string {
  return [
    `${writeUsage(usage)} ${base36(ttlSeconds.min)} ${base36(ttlSeconds.max)}`,
    writeAddresses(Object.entries(addresses).map(([address, atMs]) => [address, atMs / MINUTE_MS])),
    [base36(cnames.atMs / MINUTE_MS), ...cnames.chain].join(' '),
    writeDays(days.map(({ dayMs, lookups }) => [dayMs / DAY_MS, lookups])),
  ].join('\n');
}

type MinuteOf = readonly [address: string, minute: number];

function writeAddresses(minutes: MinuteOf[]): string {
  if (minutes.length > 1) minutes.sort(([a, aMinute], [b, bMinute]) => bMinute - aMinute || (a < b ? -1 : 1));
  let text = '';
  let latest: number | undefined;
  for (const [address, minute] of minutes.slice(0, MAX_ADDRESSES)) {
    if (minute !== latest) text += `${text === '' ? '' : ' '}${base36(minute)}`;
    latest = minute;
    text += ` ${address}`;
  }
  return text;
}

function readAddresses(text: string): HostCore['addresses'] {
  const addresses: Record<string, number> = {};
  let atMs = 0;
  for (const word of text === '' ? [] : text.split(' ')) {
    if (isAddress(word)) addresses[word] = atMs;
    else atMs = number(word) * MINUTE_MS;
  }
  return addresses;
}

type LookupsOf = readonly [day: number, lookups: number];

function writeDays(days: LookupsOf[]): string {
  if (days.length > 1) days.sort(([a], [b]) => b - a);
  let text = '';
  let before: number | undefined;
  for (const [day, lookups] of days.slice(0, MAX_DAYS)) {
    if (before === undefined) text = base36(day);
    const gap = before === undefined ? 1 : before - day;
    text += ` ${gap === 1 ? '' : `${base36(gap)}.`}${base36(lookups)}`;
    before = day;
  }
  return text;
}

function readDays(text: string): HostCore['days'] {
  if (text === '') return [];
  const [newest = '0', ...counts] = text.split(' ');
  let day = number(newest) + 1;
  return counts.map((word) => {
    const dot = word.indexOf('.');
    day -= dot < 0 ? 1 : number(word.slice(0, dot));
    return { dayMs: day * DAY_MS, lookups: number(word.slice(dot + 1)) };
  });
}

export function readFlag(word: string): HostFlag {
  const [name, since, until] = word.split(':');
  return {
    name: name as HostFlagName, // by writeCore
    sinceMs: Number(since),
    ...(until === undefined || until === '' ? {} : { untilMs: Number(until) }),
  };
}

const base36 = (value: number): string => value.toString(36);
const number = (text: string): number => Number.parseInt(text, 36);
const words = (text: string | undefined): string[] =>
  text === undefined || text === '' ? [] : text.split(' ').filter((word) => word !== '');
const linesOf = (text: string): string[] => (text === '' ? [] : text.split('\n'));

/** One JSON text a line; written by writeCore only. */
const jsonLines = <T>(text: string): T[] => linesOf(text).map((line) => JSON.parse(line) as T);

/** Pieces of a text must not end within a character. */
const asciiJson = (value: unknown): string => JSON.stringify(value).replaceAll(/[^\0-\x7e]/g, escape16);
const escape16 = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** How Redis has states: in one octet. */
export const STATE_LETTERS = {
  candidate: 'c',
  quarantined: 'q',
  eligible: 'e',
  ignored: 'i',
  approved: 'a',
  applied: 'w',
  stale: 's',
  retired: 'r',
} as const satisfies Readonly<Record<HostState, string>>;
/** The states by their letters. */
export const STATES: ReadonlyMap<string, HostState> = new Map(
  Object.entries(STATE_LETTERS).map(([state, letter]) => [letter, state as HostState]), // its keys
);

/** `<letter of the state><Unix milliseconds to the base of 36> <reason>` */
export function writeTransition({ state, reason, atMs }: Transition): string {
  return `${STATE_LETTERS[state]}${base36(atMs)} ${asciiJson(reason).slice(1, -1)}`;
}

function readTransition(line: string): Transition {
  const space = line.indexOf(' ');
  const state = STATES.get(line.slice(0, 1)) ?? 'candidate';
  const text = line.slice(space + 1);
  const reason = text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
  return { state, reason, atMs: number(line.slice(1, space)) };
}
