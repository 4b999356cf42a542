import type { HostCore } from './host-core.js';
import type { Decision, HostFlag, HostFlagName, HostPort, HostState, Transition } from './host-record.js';
import { FIRST_REASON, type TransitionReason } from './lifecycle.js';

/**
 * What no observation changes of a host, as the last lines of its text in Redis have it; the first letter says what a line
 * is, times are Unix milliseconds to the base of 36:
 *
 * ```
 *   i<letter of the state><reason>        what it began with, if not a look-up
 *   g<flag>:<since>:<until or empty> …    flags
 *   o<number><reason> <protocol>          a port; or `o<number> <protocol> <text of the reason>`
 *   k<JSON>                               a decision
 *   t<letter of the state><time><reason>  a transition, oldest first; these are the last lines
 * ```
 * A reason is its letter below, or a blank and its text.
 */
export type Story = Pick<HostCore, 'first' | 'transitions' | 'flags' | 'ports' | 'decisions'>;

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

/** Upper case: no digit to the base of 36 is. */
const REASON_LETTERS: Readonly<Record<TransitionReason | 'https-record', string>> = {
  'positive-answer': 'A',
  stable: 'S',
  'policy-learn': 'L',
  written: 'W',
  unused: 'U',
  'still-unused': 'V',
  'seen-again': 'X',
  'rule-gone': 'G',
  'over-cap': 'O',
  'below-cap': 'B',
  'tunnel-like': 'T',
  'stable-children': 'C',
  'https-record': 'H',
};
const REASONS: ReadonlyMap<string, string> = new Map(
  Object.entries(REASON_LETTERS).map(([reason, letter]) => [letter, reason]),
);

/** Each line begins with the end of the line before. */
export function writeStory({ first, transitions, flags, ports, decisions }: Story): string {
  const lines = [
    ...(first === undefined ? [] : [`i${STATE_LETTERS[first.state]}${writeReason(first.reason)}`]),
    ...(flags.length === 0 ? [] : [`g${flags.map(writeFlag).join(' ')}`]),
    ...ports.map(writePort),
    ...decisions.map((decision) => `k${escape(JSON.stringify(decision))}`),
    ...transitions.map(writeTransition),
  ];
  return lines.map((line) => `\n${line}`).join('');
}

/** The inverse of {@link writeStory}. */
export function readStory(lines: readonly string[]): Story {
  const of = (letter: string): readonly string[] =>
    lines.filter((line) => line.startsWith(letter)).map((line) => line.slice(1));
  const [first] = of('i').map(readFirst);
  return {
    ...(first === undefined ? {} : { first }),
    flags: readFlags(lines),
    ports: of('o').map(readPort),
    decisions: of('k').map((text) => JSON.parse(text) as Decision), // by writeStory
    transitions: of('t').map(readTransition),
  };
}

export function readFlags(lines: readonly string[]): HostFlag[] {
  const line = lines.find((one) => one.startsWith('g'));
  return line === undefined ? [] : line.slice(1).split(' ').map(readFlag);
}

/** The state that a host is in, and why. */
export function readLastStep(lines: readonly string[]): Pick<Transition, 'state' | 'reason'> {
  const last = lines.at(-1) ?? '';
  if (last.startsWith('t')) return readStep(last.slice(1));
  if (lines[0]?.startsWith('i') === true) return readFirst(lines[0].slice(1));
  return { state: 'candidate', reason: FIRST_REASON };
}

/** The line of a transition. */
export function writeTransition({ state, reason, atMs }: Transition): string {
  return `t${STATE_LETTERS[state]}${atMs.toString(36)}${writeReason(reason)}`;
}

function readTransition(text: string): Transition {
  return { ...readStep(text), atMs: Number.parseInt(text.slice(1, endOfTime(text)), 36) };
}

/** What a transition says without its time. */
function readStep(text: string): Pick<Transition, 'state' | 'reason'> {
  return { state: stateOf(text), reason: readReason(text.slice(endOfTime(text))) };
}

function endOfTime(text: string): number {
  let end = 1;
  while (isDigit(text.charCodeAt(end))) end += 1;
  return end;
}

/** To the base of 36. */
const isDigit = (code: number): boolean => (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);

const stateOf = (text: string): HostState => STATES.get(text.charAt(0)) ?? 'candidate';

function readFirst(text: string): { readonly state: HostState; readonly reason: string } {
  return { state: stateOf(text), reason: readReason(text.slice(1)) };
}

const writeReason = (reason: string): string =>
  (REASON_LETTERS as Readonly<Record<string, string>>)[reason] ?? ` ${ascii(reason)}`;

const readReason = (text: string): string =>
  text.startsWith(' ') ? plain(text.slice(1)) : (REASONS.get(text) ?? text);

const writeFlag = ({ name, sinceMs, untilMs }: HostFlag): string =>
  `${name}:${sinceMs.toString(36)}:${untilMs?.toString(36) ?? ''}`;

function readFlag(word: string): HostFlag {
  const [name, since = '0', until = ''] = word.split(':');
  return {
    name: name as HostFlagName, // by writeFlag
    sinceMs: Number.parseInt(since, 36),
    ...(until === '' ? {} : { untilMs: Number.parseInt(until, 36) }),
  };
}

function writePort({ number, protocol, reason }: HostPort): string {
  const written = writeReason(reason);
  return written.startsWith(' ') ? `o${number} ${protocol}${written}` : `o${number}${written} ${protocol}`;
}

function readPort(text: string): HostPort {
  const [, number = '', letter = '', protocol = '', reason = ''] = /^(\d+)([A-Z]?) (\S+)(.*)$/.exec(text) ?? [];
  return { number: Number(number), protocol, reason: readReason(letter === '' ? reason : letter) };
}

/** A text in one line, as JSON has it within quotation marks. */
const ascii = (text: string): string => escape(JSON.stringify(text).slice(1, -1));
/** The inverse of {@link ascii}. */
const plain = (text: string): string => (text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text);

const escape = (json: string): string => json.replaceAll(/[^\0-\x7e]/g, escape16);
const escape16 = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
