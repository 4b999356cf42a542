import type { Hostname } from '../dns/hostname.js';
import { readMessage, type DnsMessage } from '../dns/message-reader.js';
import { CLASS_IN, RecordType, ResponseCode } from '../dns/record-types.js';
import { chainOf, readAnswer, type AnswerSettings } from './answer.js';
import { AnswerScan } from './answer-scan.js';
import { createClientTable } from './client-table.js';
import { ClusterDomains } from './cluster-domains.js';
import { createEmptyAnswers } from './empty-answers.js';
import { createFailedNames } from './failed-names.js';
import { createHeldAnswers } from './held-answers.js';
import { createHostTable } from './host-table.js';
import { createLookupRows, IPV4, IPV6, NEITHER, type Family, type LookupRowsStatistics } from './lookup-rows.js';
import { readNameFacts, type NameFacts } from './name-facts.js';
import { askedBefore } from './name-scope.js';
import { createNameTable } from './name-table.js';
import type { Observation, Origin } from './observation.js';
import { createOwnLookups, exchangeOf } from './own-lookups.js';
import type { Rejection, RejectionCount } from './rejection.js';
import type { ResponseView } from './response-view.js';
import { createRejectionCounter, REJECTION_INDEX, REJECTIONS_BY_INDEX } from './rejection-counter.js';
import { createSearchWalks } from './search-walks.js';
import { readServiceBinding, type HttpsPort } from './service-binding.js';
import { createUndecidedAnswers } from './undecided-answers.js';
import { createVerdictTable, type Verdict } from './verdict-table.js';
import { foldQuestion, HASH_WORD, isWireName, QUESTION_WORDS } from './wire-name.js';

export interface ObservationTableOptions extends AnswerSettings {
  /** Domains of the cluster; empty: they are found in the traffic. */
  readonly clusterDomains: readonly string[];
  /** Search domains that nodes hand to pods. */
  readonly searchDomains: readonly string[];
  /** Other collectors of this cluster at work now, which may see other steps of a client's search walks; none by default. */
  readonly peers?: () => number;
  /** Is told when the traffic shows another domain of the cluster. */
  readonly onClusterDomains?: (domains: readonly string[]) => void;
  /** Is told of questions for TXT and NULL of names long enough to carry data, which a response to makes no host. */
  readonly onTextQuestion?: (question: TextQuestion) => void;
  /** (client, host) pairs and names kept; when one is full, all tables start afresh and nothing is lost but caches. */
  readonly maxPairs: number;
  /** Secret number, so that hosts whose names collide cannot be chosen; names with octets beyond ASCII can (see failed-names.ts). */
  readonly seed: number;
  readonly origin: Origin;
  /** Time of a response that carries none (Unix milliseconds). */
  readonly now: () => number;
}

/** That a client asked for text. */
export interface TextQuestion {
  readonly hostname: Hostname;
  readonly client: string;
  readonly atMs: number;
}

export interface Drained {
  readonly observations: readonly Observation[];
  /** Ports that HTTPS records told of, each once. */
  readonly ports: readonly HttpsPort[];
  readonly rejections: readonly RejectionCount[];
}

/**
 * Turns responses into Observations, merged per (client, host, evidence slot), without creating an object for a response
 * like one seen before:
 *
 * ```
 *  question name ─fold, hash─▶ name id ─┐
 *  answer section ─scan─▶ signature ────┴─▶ verdict cache ─▶ host id ─┐
 *                                             │ miss: decode, judge   ├─▶ row of (client, host): count, first, last
 *  client address ────────▶ client id ────────────────────────────────┘
 * ```
 */
export interface ObservationTable {
  /** Takes one response. Never throws; the view is read only during the call. */
  add(response: ResponseView): void;
  reject(reason: Rejection): void;
  /** Takes out what has come since the last drain. `final`: nothing more will come, so nothing is held back. */
  drain(options: { readonly final: boolean; readonly nowMs: number }): Drained;
  /** Observations that wait for a drain, at least. */
  waiting(): number;
  statistics(): ObservationTableStatistics;
}

export interface ObservationTableStatistics extends LookupRowsStatistics {
  readonly responses: number;
  /** Earliest and latest time of a response; infinite when there was none. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly rejected: ReadonlyMap<Rejection, number>;
  /** Times that a table was full and all started afresh. */
  readonly resets: number;
}

/** Cells of the clock: the time of the response at hand, the first and last time of all, and how many there were. */
const [AT, FIRST, LAST, RESPONSES] = [0, 1, 2, 3] as const;

/** A name with less has no room for data beside a parent. */
const MIN_DATA_OCTETS = 32;
const HEADER_OCTETS = 12; // RFC 1035 section 4.1.1
const TRUNCATED = 0x02; // TC, in the third octet

const MAX_CONFLICT_ADDRESSES = 3;
const MAX_PORTS = 1024; // between two drains; a client that uses a port asks for it again

/** The facts of octets in the place of a question name that are none. */
const NO_NAME: NameFacts = { text: '', scope: { kind: 'rejected', rejection: 'malformed' }, steps: [], expansions: [] };

export function createObservationTable(options: ObservationTableOptions): ObservationTable {
  const { seed, maxPairs } = options;
  const names = createNameTable(maxPairs);
  const clients = createClientTable(Math.min(maxPairs, 65_536), seed);
  const cluster = new ClusterDomains(options);
  const context = { settings: options, cluster, seed };
  // Cells and not variables: a number beyond 32 bits is allocated anew at each write to a closure's variable.
  const clock = new Float64Array([0, Infinity, -Infinity, 0]);
  const walks = createSearchWalks({
    searchDomains: options.searchDomains,
    peers: options.peers ?? (() => 0),
    answeredAtMs,
    clock,
  });
  const held = createHeldAnswers();
  const undecided = createUndecidedAnswers();
  const rejections = createRejectionCounter();
  const answer = new AnswerScan(seed);
  const question = new Int32Array(QUESTION_WORDS);

  const hosts = createHostTable(maxPairs);
  const rows = createLookupRows({ maxRows: maxPairs, seed, origin: options.origin, clients, hosts, clock });
  const ownLookups = createOwnLookups({ rows, hosts, seed, clock });
  const verdicts = createVerdictTable(judge);
  const failedNames = createFailedNames(readFacts);
  const emptyAnswers = createEmptyAnswers({ maxNames: maxPairs, clock, onNoAddress: rejectNoAddress });

  // Per name
  const facts: NameFacts[] = [];
  const mayExpand = new Uint8Array(maxPairs); // 1: NameFacts.expansions is not empty

  let ports = new Map<string, HttpsPort>();
  let resets = 0;
  let isSettling = false;
  let isOtherCluster = false;
  let asked = '';

  // The response at hand. Variables of the closure and not an object: nothing is created for a response.
  let response: ResponseView;
  let bytes: Uint8Array;
  let data: DataView; // of the same bytes
  let start = 0;
  let end = 0;
  let nameEnd = 0;
  let nameHash = 0;

  function answeredAtMs(client: number, name: string): number {
    const host = hosts.find(name);
    const row = host === undefined ? -1 : rows.find(client, host);
    return row < 0 ? -Infinity : rows.lastMsOf(row);
  }

  const atMs = (): number => clock[AT] as number;

  function add(next: ResponseView): void {
    clock[RESPONSES] = (clock[RESPONSES] as number) + 1;
    if (next !== response) response = next; // to write a reference costs more than to compare it
    if (next.buffer !== bytes) {
      bytes = next.buffer;
      data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    start = next.responseMessageStart;
    end = start + next.responseMessageLength;
    const observedAtMs = timeOf(next);
    clock[AT] = observedAtMs;
    if (observedAtMs < (clock[FIRST] as number)) clock[FIRST] = observedAtMs;
    if (observedAtMs > (clock[LAST] as number)) clock[LAST] = observedAtMs;
    const fault = readQuestion();
    if (fault !== undefined) return reject(fault);
    const type = data.getUint16(nameEnd);
    if (type !== RecordType.A && type !== RecordType.AAAA) return addOther(type);
    const rcode = data.getUint8(start + 3) & 0xf;
    if (rcode === ResponseCode.NOERROR) addAnswer(type === RecordType.A ? IPV4 : IPV6);
    else addFailure(rcode);
  }

  /** A question that makes no host. Tunnels ask for TXT and NULL, whose answers hold most. */
  function addOther(type: number): void {
    if (!hasName()) return reject('malformed');
    const isBinding = type === RecordType.HTTPS || type === RecordType.SVCB;
    if (isBinding && addBinding()) return;
    rejectName('record-type');
    const { onTextQuestion } = options;
    if (onTextQuestion === undefined || (type !== RecordType.TXT && type !== RecordType.NULL)) return;
    if (nameEnd - start - HEADER_OCTETS < MIN_DATA_OCTETS) return;
    const { text, scope } = readFacts();
    const client = clients.idOf(data, response.queryAddressStart, response.queryAddressLength);
    if (scope.kind === 'external' && client >= 0) {
      onTextQuestion({ hostname: text as Hostname, client: clients.text(client), atMs: atMs() }); // external names are
    }
  }

  /** Whether it counts as a look-up of a host that the client is known to use, for whose addresses it may not ask again. */
  function addBinding(): boolean {
    const message = readMessage(bytes, start, end);
    const binding = 'fault' in message ? undefined : readServiceBinding(message, context);
    if (binding === undefined) return false;
    const { hostname } = binding;
    for (const port of binding.ports) {
      if (ports.size < MAX_PORTS) ports.set(`${hostname} ${port}`, { hostname, port });
    }
    const host = (data.getUint8(start + 3) & 0xf) === ResponseCode.NOERROR ? hosts.find(hostname) : undefined;
    const client = clients.idOf(data, response.queryAddressStart, response.queryAddressLength);
    const row = host === undefined || client < 0 ? -1 : rows.find(client, host);
    if (row >= 0) addLookup(row, NEITHER);
    return row >= 0;
  }

  // Worked out here and not handed in: a number beyond 32 bits as an argument would be allocated for each response.
  function timeOf(next: ResponseView): number {
    if (next.queryTimeSec > 0) return toMs(next.queryTimeSec, next.queryTimeNsec);
    return next.responseTimeSec > 0 ? toMs(next.responseTimeSec, next.responseTimeNsec) : options.now();
  }

  /** Checks header and question; sets `nameEnd`, `nameHash` and the folded name in `question`. */
  function readQuestion(): Rejection | undefined {
    if (start === end) return 'not-full';
    if (end - start < HEADER_OCTETS) return 'malformed';
    // QR set, opcode QUERY, one question (RFC 1035 section 4.1.1).
    const isAnswer = (data.getUint8(start + 2) & 0xf8) === 0x80;
    if (!isAnswer || data.getUint16(start + 4) !== 1) return 'not-an-answer';
    const octets = foldQuestion(data, start + HEADER_OCTETS, end, question, seed);
    nameEnd = start + HEADER_OCTETS + octets + 1;
    if (octets < 0 || nameEnd + 4 > end) return 'malformed';
    nameHash = question[HASH_WORD] as number;
    if (data.getUint16(nameEnd + 2) === CLASS_IN) return undefined;
    return hasName() ? 'not-an-answer' : 'malformed';
  }

  /** Asked only where a new name or no address is at hand: names that are known have been asked about. */
  function hasName(): boolean {
    return isWireName(data, start + HEADER_OCTETS, nameEnd);
  }

  function readFacts(): NameFacts {
    if (!hasName()) return NO_NAME;
    return readNameFacts({ bytes, messageStart: start, nameEnd, words: question }, context);
  }

  function addFacts(name: number): NameFacts {
    const known = readFacts();
    facts[name] = known;
    mayExpand[name] = known.expansions.length > 0 ? 1 : 0;
    return known;
  }

  function rejectName(reason: Rejection, known?: NameFacts): void {
    const index = REJECTION_INDEX[reason];
    if (!rejections.count(index, 1, nameHash)) return;
    const { text } = known ?? readFacts();
    if (text !== '') rejections.addExample(index, nameHash, reason === 'search-conflict' ? conflictText(text) : text);
  }

  function addAnswer(family: Family): void {
    const client = clients.idOf(data, response.queryAddressStart, response.queryAddressLength);
    const name = names.idOf(question, nameEnd - 1 - start - HEADER_OCTETS, nameHash);
    if (client < 0 || name < 0 || hosts.isFull()) return startAfresh(family);
    const known = facts[name] ?? addFacts(name);
    answer.scan(data, nameEnd + 4, end, data.getUint16(start + 6));
    if (answer.addresses === 0) return addEmpty(name, client, known);

    const host = verdicts.of(name, nameHash, answer.signature);
    if (host < 0) return refuse(host, known);
    emptyAnswers.noteAddress(name);
    if (mayExpand[name] === 1 && !isMeant(client, name, known)) return;
    const row = rows.rowOf(client, host);
    if (row < 0) return startAfresh(family);
    hosts.noteTtls(host, answer.minTtlSeconds, answer.maxTtlSeconds);
    addLookup(row, family);
  }

  function addLookup(row: number, family: Family): void {
    const exchange = exchangeOf(response.queryPort, data.getUint16(start));
    const isAliasOrTarget = hosts.isAliasOrTarget(rows.hostOf(row));
    if (isAliasOrTarget && ownLookups.settle({ exchange, row, name: nameHash, family, wasHeld: isSettling })) return;
    if (response.extraLength > 0) notePod(row);
    const counted = family === NEITHER ? rows.corroborate(row) : rows.add(row, family, isTruncated());
    // Of a host that is new, it may not be known yet that it is an alias or a target.
    if (isAliasOrTarget || rows.isNew(row)) ownLookups.note(exchange, row, nameHash, rows.receiptOf(row, counted));
  }

  function notePod(row: number): void {
    const { extraStart, extraLength } = response;
    rows.notePod(row, { bytes, start: extraStart, end: extraStart + extraLength });
  }

  function isTruncated(): boolean {
    return (data.getUint8(start + 2) & TRUNCATED) !== 0;
  }

  /** A table is full: all start afresh, and the response at hand, which then fits, is taken again. */
  function startAfresh(family: Family): void {
    reset();
    addAnswer(family);
  }

  function refuse(verdict: number, known: NameFacts): void {
    rejectName(REJECTIONS_BY_INDEX[-1 - verdict] as Rejection, known);
    if (!isOtherCluster) return;
    isOtherCluster = false;
    startOver();
  }

  /** Names that were external before may be the cluster's now. */
  function startOver(): void {
    forget();
    options.onClusterDomains?.(cluster.domains);
  }

  /** Of a name that may be a search expansion: whether it is a host. If not, or not yet, the answer is taken care of. */
  function isMeant(client: number, name: number, known: NameFacts): boolean {
    const open = undecided.countOf(client, name);
    const verdict = walks.judge(client, { facts: known, hash: nameHash, undecided: open });
    if (!verdict.isSeen && !isSettling && held.hold(response, atMs())) return false;
    if (verdict.kind === 'host') return true;
    if (verdict.kind === 'undecided') undecided.add(client, name);
    asked = verdict.asked;
    rejectName(verdict.kind === 'expansion' ? 'search-conflict' : 'search-undecided', known);
    return false;
  }

  /** The name asked, the name that answered, and where the client connects to: one word, as any other example. */
  function conflictText(answeredName: string): string {
    const message = readMessage(bytes, start, end);
    const { names: chain = [answeredName], addresses = [] } = 'fault' in message ? {} : chainOf(message);
    const domain = cluster.find(answeredName);
    const plain = domain === undefined ? asked : askedBefore(answeredName, domain)[0];
    const targets = addresses.slice(0, MAX_CONFLICT_ADDRESSES).map(({ address }) => address);
    return `${[plain, ...chain].join('→')}(${targets.join(',')})`;
  }

  function settleHeld(all: boolean, nowMs: number): void {
    isSettling = true;
    for (const one of held.take({ all, nowMs })) {
      clock[RESPONSES] = (clock[RESPONSES] as number) - 1; // counted when it came
      add(one);
    }
    isSettling = false;
  }

  function addFailure(rcode: number): void {
    const known = failedNames.factsOf(nameHash);
    const client = clients.idOf(data, response.queryAddressStart, response.queryAddressLength);
    // A resolver goes on to the next search domain whatever the reason; the plain name is the last or has failed for good.
    const isStep = client >= 0 && (rcode === ResponseCode.NXDOMAIN || known.scope.kind === 'cluster');
    const isExpansion = isStep && known.expansions.length > 0 && walks.isExpansion(client, known);
    if (isStep) walks.note(client, known);
    rejectName(isExpansion ? 'search-expansion' : failureOf(known, rcode), known);
    if (isStep && !cluster.isProven && cluster.learnFromWalk(known.text, client)) startOver();
  }

  /** NOERROR without an address. */
  function addEmpty(name: number, client: number, known: NameFacts): void {
    if (known.scope.kind === 'rejected') return rejectName(known.scope.rejection, known);
    if (isTruncated()) return rejectName('truncated', known);
    if (known.scope.kind === 'cluster') {
      // `autopath` answers so where the plain name has no address of that family.
      if (known.scope.rejection === 'search-expansion') walks.note(client, known);
      return rejectName(known.scope.rejection, known);
    }
    walks.note(client, known); // glibc goes on to the next suffix after NODATA as well
    emptyAnswers.note(name);
  }

  function rejectNoAddress(name: number, count: number): void {
    const index = REJECTION_INDEX['no-address'];
    if (rejections.count(index, count, name)) rejections.addExample(index, name, facts[name]?.text ?? '');
  }

  /** The slow path: decodes the answer. */
  function judge(name: number): Verdict {
    const message = readMessage(bytes, start, end);
    if ('fault' in message) return -1 - REJECTION_INDEX.malformed;
    isOtherCluster = learnCluster(message);
    const result = readAnswer(message, context);
    if ('rejection' in result) return -1 - REJECTION_INDEX[result.rejection];
    return hosts.learn(result, facts[name]?.text ?? '');
  }

  function learnCluster(message: DnsMessage): boolean {
    const { names: chain, addresses } = chainOf(message);
    const texts = addresses.flatMap(({ address }) => address ?? []);
    return cluster.learnFromAnswer(chain[0] ?? '', texts);
  }

  /** Starts all tables afresh when one is full. Counts go to `ready`; only caches are lost. */
  function reset(): void {
    resets++;
    forget();
  }

  /** Forgets what was worked out about names and clients. */
  function forget(): void {
    emptyAnswers.settle({ all: true, nowMs: 0 });
    rows.clear();
    names.clear();
    clients.clear();
    walks.clear();
    ownLookups.clear();
    undecided.clear();
    failedNames.clear();
    facts.length = 0;
    emptyAnswers.clear();
    verdicts.clear();
    hosts.clear();
  }

  function reject(reason: Rejection): void {
    rejections.count(REJECTION_INDEX[reason], 1, 0);
  }

  return {
    add,
    reject,
    drain({ final, nowMs }) {
      settleHeld(final, nowMs);
      emptyAnswers.settle({ all: final, nowMs });
      const told = [...ports.values()];
      ports = new Map();
      return { observations: rows.drain(), ports: told, rejections: rejections.drain() };
    },
    waiting: () => rows.waiting() + held.size(),
    statistics: () => ({
      responses: clock[RESPONSES] as number,
      firstMs: clock[FIRST] as number,
      lastMs: clock[LAST] as number,
      rejected: rejections.totals(),
      resets,
      ...rows.statistics(),
    }),
  };
}

/** A step of a search walk or a name of the cluster keeps that reason whatever the response code. */
function failureOf(known: NameFacts, rcode: number): Rejection {
  if (known.scope.kind !== 'external') return known.scope.rejection;
  if (rcode === ResponseCode.NXDOMAIN) return 'nxdomain';
  if (rcode === ResponseCode.SERVFAIL) return 'server-failure';
  return rcode === ResponseCode.REFUSED ? 'refused' : 'other-rcode';
}

function toMs(seconds: number, nanoseconds: number): number {
  return seconds * 1000 + (nanoseconds > 0 ? Math.floor(nanoseconds / 1_000_000) : 0);
}
