import { BLIND_REASONS, timeWithin, watchedTime, type BlindWindow } from '../host/blind-window.js';
import type { DecisionKind, HostFlagName, HostRecord, WorkloadEvidence } from '../host/host-record.js';
import { firstRule, formatRule, RULE_ACTIONS, type HostRule } from '../host/host-rule.js';
import { TRANSITION_REASONS } from '../host/lifecycle.js';
import type { SourceStatus } from '../host/source.js';
import { viewHost } from '../host/host-view.js';
import { REJECTIONS, type Rejection } from '../observation/rejection.js';
import { countText, dayText, durationText, timeText } from './time-text.js';

/** What there is to say about a name: a host, with what bears on it, or why it is none. */
export type Explanation = HostExplanation | NoHostExplanation;

export interface HostExplanation {
  readonly name: string;
  readonly host: HostRecord;
  readonly rules: readonly ExplainedRule[];
  readonly sources: readonly SourceStatus[];
  readonly blindWindows: readonly BlindWindow[];
  /** Of `*.parent`: what it covers and opens. */
  readonly reach?: readonly string[];
  readonly nowMs: number;
}

/** The first rule of an action that is about the host. */
export interface ExplainedRule {
  readonly rule: HostRule;
  readonly from: 'store' | 'settings';
}

export interface NoHostExplanation {
  readonly name: string;
  /** What the name itself says against it. */
  readonly byName?: Rejection;
  /** For which reasons the store counted responses for this very name. */
  readonly seenAs: readonly Rejection[];
  /** The name asked, the names that answered for it, and the addresses that clients connect to. */
  readonly conflicts: readonly string[];
  /** Rows that count children of a parent and may have counted this one. */
  readonly countedIn: readonly HostRecord[];
}

const FLAGS: Readonly<Record<HostFlagName, string>> = {
  masked: 'the mesh answers for it itself, so that silence says nothing',
  echoed: 'proxies look it up again and again because of an entry with DNS resolution, so that look-ups say nothing',
  'over-cap': 'there are more hosts than a cap allows',
  'tunnel-like': 'names below it carry data',
  'would-break':
    'it is in use and, as learning is frozen, not written; with egress closed it would break; approve or ignore it',
  'wildcard-child': 'an approved wildcard covers it; it needs no entry of its own',
};

const DECISIONS: Readonly<Record<DecisionKind, string>> = {
  approve: 'approved it',
  ignore: 'said to ignore it',
  unignore: 'no longer ignores it',
  note: 'noted',
};

/** The rules that are about a host: of each action the first, those of the store before those of the settings. */
export function rulesAbout(
  host: Pick<HostRecord, 'hostname'>,
  stored: readonly HostRule[],
  configured: readonly HostRule[],
): readonly ExplainedRule[] {
  const name = host.hostname.replace(/^\*\./, '');
  return RULE_ACTIONS.flatMap((action) => {
    const rule = firstRule([...stored, ...configured], name, [action]);
    return rule === undefined
      ? []
      : [{ rule, from: stored.includes(rule) ? ('store' as const) : ('settings' as const) }];
  });
}

/** Everything known, in plain sentences, in sections. */
export function explainInWords(explanation: Explanation): string {
  const sections = 'host' in explanation ? explainHost(explanation) : explainNoHost(explanation);
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) =>
      title === ''
        ? lines.map((line) => `${line}\n`).join('')
        : `\n${title}\n${lines.map((line) => `  ${line}\n`).join('')}`,
    )
    .join('');
}

type Section = readonly [title: string, lines: readonly string[]];

function explainHost(explanation: HostExplanation): readonly Section[] {
  const { host, rules } = explanation;
  const since = host.transitions.at(-1)?.atMs ?? host.firstSeenMs;
  return [
    ['', [`${host.hostname} is ${host.state} since ${timeText(since)} UTC: ${reasonText(host.reason)}.`]],
    ['Looked up', lookUps(host)],
    ['Used by', users(host)],
    ['Answers', answers(host)],
    ['Ports', host.ports.map(({ number, protocol, reason }) => `${number}/${protocol}, because of ${reason}.`)],
    ['Rules', rules.length === 0 ? ['None is about it.'] : rules.map(ruleText)],
    ['Decisions', host.decisions.map(({ atMs, by, kind, why }) => `${timeText(atMs)} ${by} ${DECISIONS[kind]}${why === '' ? '.' : `: ${why}`}`)], // prettier-ignore
    ['Flags', host.flags.map(flagText)],
    ['As a wildcard it', explanation.reach ?? []],
    ['Children', host.children.length === 0 ? [] : [`Not stored singly, for example: ${host.children.join(', ')}.`]],
    [
      'History',
      host.transitions.map(({ atMs, state, reason }) => `${timeText(atMs)} ${state}: ${reasonText(reason)}.`),
    ],
    ['Watched', watching(explanation)],
  ];
}

function lookUps({ lookups, firstSeenMs, lastSeenMs, days }: HostRecord): readonly string[] {
  if (lookups === 0) return ['Never.'];
  const daily = days.slice(-7).map(({ dayMs, lookups: count }) => `${dayText(dayMs)} ${count}`);
  return [
    `${countText(lookups, 'time')}, first ${timeText(firstSeenMs)}, last ${timeText(lastSeenMs)} UTC.`,
    ...(daily.length === 0 ? [] : [`By day: ${daily.join(', ')}${days.length > 7 ? `, and ${countText(days.length - 7, 'day')} before` : ''}.`]), // prettier-ignore
  ];
}

function users(host: HostRecord): readonly string[] {
  const known = viewHost(host).workloads.map((workload) => {
    const { namespace, kind, name, attribution, lookups, lastSeen } = workload;
    const who = attribution === 'exact' ? `${namespace}/${kind}/${name}` : `${kind} ${name}`;
    const sure = SURENESS[attribution];
    return `${who}${sure}: ${countText(lookups, 'look-up')}, last ${timeText(Date.parse(lastSeen))} UTC.`;
  });
  return known.length === 0 ? ['Nobody that is known.'] : known;
}

const SURENESS: Readonly<Record<WorkloadEvidence['attribution'], string>> = {
  exact: '',
  node: ' (only the node is known: host network or a DNS cache of the node)',
  unknown: ' (no pod is known to have had this address then)',
};

function answers({ addresses, ttlSeconds, cnames, askedAs }: HostRecord): readonly string[] {
  if (addresses.length === 0) return [];
  const ttl = ttlSeconds.min === ttlSeconds.max ? `${ttlSeconds.min}` : `${ttlSeconds.min} to ${ttlSeconds.max}`;
  return [
    ...(askedAs === undefined ? [] : [`Asked for as ${askedAs}, a Service of type ExternalName that leads here.`]),
    ...(cnames.length === 0 ? [] : [`An alias: ${cnames.join(' → ')}.`]),
    `${addresses.join(', ')}; TTL ${ttl} s.`,
  ];
}

function ruleText({ rule, from }: ExplainedRule): string {
  return `${formatRule(rule)} (of the ${from}; the first of its kind that matches).`;
}

function flagText({ name, sinceMs, untilMs }: HostRecord['flags'][number]): string {
  const until = untilMs === undefined ? '' : ` until ${timeText(untilMs)}`;
  return `${name} since ${timeText(sinceMs)}${until} UTC: ${FLAGS[name]}.`;
}

/** Whether somebody watched since the last look-up: silence counts only then. */
function watching({ host, sources, blindWindows, nowMs }: HostExplanation): readonly string[] {
  if (sources.length === 0) return ['No collector has ever reported; that a host is silent says nothing.'];
  const sinceMs = host.lastSeenMs;
  const watchedMs = timeWithin(watchedTime(sources, blindWindows), sinceMs, nowMs);
  const silentMs = Math.max(0, nowMs - sinceMs);
  const blind = new Set(blindWindows.filter(({ untilMs }) => untilMs > sinceMs).map(({ reason }) => reason));
  return [
    `Silent for ${durationText(silentMs)}; during ${durationText(watchedMs)} of that somebody watched, and only that counts.`,
    ...[...blind].sort().map((reason) => `Blind meanwhile: ${BLIND_REASONS[reason]}.`),
  ];
}

function explainNoHost({ name, byName, seenAs, conflicts, countedIn }: NoHostExplanation): readonly Section[] {
  return [
    ['', [`${name} is no known host.`]],
    ['Why', [
      ...(byName === undefined ? [] : [`By its name it cannot be one: ${REJECTIONS[byName]} (${byName}).`]),
      ...seenAs.map((reason) => `It was asked for, and the response was passed over: ${REJECTIONS[reason]} (${reason}).`),
      ...conflicts.map((conflict) => `Asked→answered(connected to): ${conflict}.`),
      ...countedIn.map(({ hostname, reason, lookups }) => `Names of ${hostname} are not stored singly, because ${reasonText(reason)}: ${countText(lookups, 'look-up')} counted.`),
      ...(byName === undefined && seenAs.length + countedIn.length === 0 ? ['No answer with an address has come for it. Only a few names are kept of each reason for which responses are passed over; see istio-discovery status.'] : []),
    ]], // prettier-ignore
  ];
}

function reasonText(reason: string): string {
  const known = Object.hasOwn(TRANSITION_REASONS, reason)
    ? TRANSITION_REASONS[reason as keyof typeof TRANSITION_REASONS]
    : undefined;
  return known === undefined ? reason : `${known} (${reason})`;
}
