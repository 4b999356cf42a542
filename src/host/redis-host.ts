import type { Hostname } from '../dns/hostname.js';
import { sortEvidence, toRecord, type HostCore } from './host-core.js';
import type { HostRecord, HostSummary } from './host-record.js';
import { HostStoreError } from './host-store-error.js';
import { MAX_TEXT_WORKLOADS } from './lua/text.js';
import { readRow, readUsage, type HostEvidence } from './redis-evidence.js';
import { observedLines, readAddressNames, readObserved, type ObservedLines } from './redis-observed.js';
import { readFlags, readLastStep, readStory, writeStory } from './redis-story.js';

/**
 * A host's text in Redis, in lines. It is ASCII; numbers are to the base of 36, times Unix milliseconds, lists are words
 * separated by a blank.
 * ```
 *   <first> <span> <lookups> <min ttl> <max ttl>             what observations say
 *   <minute><address><address>… <minute><address>…           see packed-address.ts
 *   <minute> <cname> …
 *   <day> <lookups><lookups><gap><lookups>…                  see packed-counts.ts
 *   <child> …                                                children of a parent that are not stored singly
 *   <row> <first> <span> <lookups> <row> …                   workloads, see redis-evidence.ts
 *   …                                                        what is believed, see redis-story.ts
 * ```
 * Of addresses the latest minute comes first, and of days the newest; a day is the one before that of the word before,
 * unless a gap says, in decimal digits, how many days lie between. Workloads over {@link MAX_TEXT_WORKLOADS}, and what
 * waits to be attributed, are in hashes of their own, so that no script moves more than a text of bounded length.
 */
export interface StoredHost {
  /** Empty when there is no such host. */
  readonly text: string;
  /** Rows that are not in the text: field, value, field, value, … */
  readonly rows: readonly string[];
}

/** What separates texts in the replies of `lua/read.ts`. */
const SEPARATOR = '\0';
/** Of a host's text. */
const WORKLOADS_LINE = 5;
const STORY_LINE = 6;

/** A reply of `lua/read.ts`. */
export function readReply(reply: string): StoredHost {
  if (!reply.includes(SEPARATOR)) return { text: reply, rows: [] };
  const [text = '', ...rows] = reply.split(SEPARATOR);
  return { text, rows };
}

/** What a reply of `lua/read.ts` says that a list shows; undefined when there is no such host. */
export function readSummary(hostname: Hostname, reply: string): HostSummary | undefined {
  const host = readReply(reply);
  if (host.text === '') return undefined;
  const lines = host.text.split('\n');
  const story = lines.slice(STORY_LINE);
  return {
    hostname,
    ...readLastStep(story),
    ...readUsage(lines[0] ?? ''),
    addresses: readAddressNames(lines[1] ?? ''),
    flags: readFlags(story),
    ...sortEvidence(readRows(lines[WORKLOADS_LINE] ?? '', host.rows)),
  };
}

/** The record that a reply of `lua/read.ts` holds; undefined when it holds none. */
export function readHost(hostname: Hostname, reply: string): HostRecord | undefined {
  const host = readReply(reply);
  const core = readCore(host.text);
  return core && toRecord(hostname, core, readEvidence(host));
}

/** What a text says apart from workloads; undefined when it is empty. */
export function readCore(text: string): HostCore | undefined {
  if (text === '') return undefined;
  const lines = text.split('\n');
  if (lines.length < STORY_LINE) throw new HostStoreError('HOST_STORE_CORRUPT', 'Redis holds what is no host');
  const [usage = '', addresses = '', chain = '', days = '', children = '', , ...story] = lines;
  const observed: ObservedLines = [usage, addresses, chain, days];
  return { ...readObserved(observed), ...readStory(story), children: children === '' ? [] : children.split(' ') };
}

/** The rows of a host, those in its text as well. */
export function readEvidence({ text, rows }: StoredHost): HostEvidence {
  return readRows(text.split('\n', STORY_LINE)[WORKLOADS_LINE] ?? '', rows);
}

function readRows(line: string, rows: StoredHost['rows']): HostEvidence {
  const evidence: HostEvidence = { workloads: [], pending: [] };
  const words = line.split(' ');
  for (let index = 3; index < words.length; index += 4) {
    readRow(words[index - 3] ?? '', `${words[index - 2]} ${words[index - 1]} ${words[index]}`, evidence);
  }
  for (let index = 1; index < rows.length; index += 2) readRow(rows[index - 1] ?? '', rows[index] ?? '', evidence);
  return evidence;
}

/** The part of a text that {@link writeStory} writes. */
export function storyOf(text: string): string {
  const lines = text.split('\n');
  return lines
    .slice(STORY_LINE)
    .map((line) => `\n${line}`)
    .join('');
}

/** The text of a host with the first of these rows (field and usage). */
export function writeHost(core: HostCore, rows: readonly (readonly [field: string, usage: string])[]): string {
  const words = rows.slice(0, MAX_TEXT_WORKLOADS).flat();
  return [...observedLines(core), core.children.join(' '), words.join(' ')].join('\n') + writeStory(core);
}
