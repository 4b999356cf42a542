import type { HostCore } from './host-core.js';
import type { Decision, HostPort, HostState } from './host-record.js';
import { readRow, readUsage, type HostEvidence } from './redis-evidence.js';
import { readOldFlag, readOldTransition, type OldHash } from './redis-old-host.js';
import { DAY_MS, MINUTE_MS } from './time-units.js';

/**
 * A host as version 3 of the layout has it in one hash, and what is pending of it in another. Texts of more than 63 octets
 * go on in further fields: `h`, `h1`, `h2`, …; numbers are to the base of 36, times Unix milliseconds.
 * ```
 *   h  what observations say, four lines:                 i  "<state> <reason>" that it began with, if not a look-up
 *        <first> <span> <lookups> <min ttl> <max ttl>     x  transitions, one a line, oldest first
 *        <minute> <address> … <minute> <address> …        g  "<flag>:<since>:<until or empty> …", decimal
 *        <minute> <cname> …                               o, k  ports, decisions: one JSON text a line
 *        <day> <lookups> <lookups> <gap>.<lookups> …      e  children of a parent that are not stored singly
 *   …|… "<first> <span> <lookups>" of a workload, or in the hash of what is pending of a client and slot
 * ```
 */
export function readPieces(hash: OldHash): HostCore | undefined {
  const observed = readText(hash, 'h');
  if (observed === '') return undefined;
  const [usage = '', addresses = '', chain = '', days = ''] = observed.split('\n');
  const [, , , min = '0', max = '0'] = usage.split(' ');
  const [chainMinute = '0', ...names] = chain.split(' ');
  const [firstState, firstReason = ''] = words(hash['i'] ?? '');
  return {
    ...readUsage(usage),
    addresses: readAddresses(addresses),
    ttlSeconds: { min: number(min), max: number(max) },
    cnames: { atMs: number(chainMinute) * MINUTE_MS, chain: names },
    days: readDays(days),
    ...(firstState === undefined ? {} : { first: { state: firstState as HostState, reason: firstReason } }),
    transitions: linesOf(readText(hash, 'x')).map(readOldTransition),
    flags: words(readText(hash, 'g')).map(readOldFlag),
    ports: linesOf(readText(hash, 'o')).map((line) => JSON.parse(line) as HostPort),
    decisions: linesOf(readText(hash, 'k')).map((line) => JSON.parse(line) as Decision),
    children: words(readText(hash, 'e')),
  };
}

/** What is in the rows of both hashes. */
export function readPiecesEvidence(hash: OldHash): HostEvidence {
  const evidence: HostEvidence = { workloads: [], pending: [] };
  for (const [field, value] of Object.entries(hash)) if (field.charAt(1) === '|') readRow(field, value, evidence);
  return evidence;
}

const PIECES = 8;

function readText(hash: OldHash, field: string): string {
  let text = hash[field] ?? '';
  for (let index = 1; index < PIECES; index++) text += hash[`${field}${index}`] ?? '';
  return text;
}

function readAddresses(text: string): HostCore['addresses'] {
  const addresses: Record<string, number> = {};
  let atMs = 0;
  for (const word of words(text)) {
    if (/[.:]/.test(word)) addresses[word] = atMs;
    else atMs = number(word) * MINUTE_MS;
  }
  return addresses;
}

function readDays(text: string): HostCore['days'] {
  const [newest = '0', ...counts] = words(text);
  let day = number(newest) + 1;
  return counts.map((word) => {
    const dot = word.indexOf('.');
    day -= dot < 0 ? 1 : number(word.slice(0, dot));
    return { dayMs: day * DAY_MS, lookups: number(word.slice(dot + 1)) };
  });
}

const number = (text: string): number => Number.parseInt(text, 36);
const words = (text: string): readonly string[] => text.split(' ').filter((word) => word !== '');
const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');
