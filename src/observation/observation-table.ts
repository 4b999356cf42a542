import type { Hostname } from '../dns/hostname.js';
import { readMessage, type DnsMessage } from '../dns/message-reader.js';
import { CLASS_IN, RecordType, ResponseCode } from '../dns/record-types.js';
import { chainOf, readAnswer, type Answer, type AnswerSettings } from './answer.js';
import { AnswerScan } from './answer-scan.js';
import { createClientTable } from './client-table.js';
import { ClusterDomains } from './cluster-domains.js';
import { createAliasTable } from './alias-table.js';
import { createExchangeTable } from './exchange-table.js';
import { createHeldAnswers } from './held-answers.js';
import { readHttpsPorts, type HttpsPort } from './https-ports.js';
import { readNameFacts, type NameFacts } from './name-facts.js';
import { askedBefore } from './name-scope.js';
import { createNameTable } from './name-table.js';
import { EVIDENCE_SLOT_MS, MAX_ADDRESSES, type Observation, type Origin } from './observation.js';
import type { Rejection, RejectionCount } from './rejection.js';
import type { ResponseView } from './response-view.js';
import { createRejectionCounter, REJECTION_INDEX, REJECTIONS_BY_INDEX } from './rejection-counter.js';
import { createSearchWalks } from './search-walks.js';
import { finish, foldQuestion, HASH_WORD, isWireName, MAX_PROBES, mix, QUESTION_WORDS } from './wire-name.js';

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
  /** Secret number, so that nobody can choose names that collide. */
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

export interface ObservationTableStatistics {
  readonly responses: number;
  /** Earliest and latest time of a response; infinite when there was none. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly rejected: ReadonlyMap<Rejection, number>;
  /** Times that a table was full and all started afresh. */
  readonly resets: number;
  /** Rows that grew beyond their evidence slot because nobody drained. */
  readonly coalesced: number;
  /** Observations that were dropped because nobody drained. */
  readonly lost: number;
}

/** Cells of the clock: the time of the response at hand, and the first and last time of all. */
const [AT, FIRST, LAST] = [0, 1, 2] as const;

/** A name with less has no room for data beside a parent. */
const MIN_DATA_OCTETS = 32;
const HEADER_OCTETS = 12; // RFC 1035 section 4.1.1
const TRUNCATED = 0x02; // TC, in the third octet

/**
 * A row, as eight float64 or sixteen int32:
 *
 * ```
 *   octet    0        8         16       24           32      36    40       44       48   52      56       60
 *   row      slotMs | firstMs | lastMs | balanceMs  | client| host| lookups| balance| cut| extra | answers| drains
 * ```
 * slotMs     start of the evidence slot of what was counted      lookups  since the last drain; 0: the row is clean
 * balanceMs  when `balance` changed last                         balance  A answers less AAAA answers, not paired yet
 * cut        1: the last answer was truncated                    extra    hash of the in-band metadata
 * answers    what `lookups` was counted from                     drains   times that the row was cleaned
 */
const ROW_OCTETS = 64;
const TIMES = ROW_OCTETS / 8;
const COUNTS = ROW_OCTETS / 4;
const [SLOT_MS, FIRST_MS, LAST_MS, BALANCE_MS] = [0, 1, 2, 3] as const;
const [CLIENT, HOST, LOOKUPS, BALANCE, CUT, EXTRA, ANSWERS, DRAINS] = [8, 9, 10, 11, 12, 13, 14, 15] as const;

/** How an answer was taken: not at all, or into a look-up that is counted already, or as a look-up. */
const [UNCOUNTED, SECOND_HALF, COUNTED] = [0, 1, 2] as const;
type Counted = typeof UNCOUNTED | typeof SECOND_HALF | typeof COUNTED;
const COUNTED_BITS = 2;

const VERDICT_SLOTS = 65_536;
const VERDICT = 4; // int32 of a verdict, one of them free
const FAILURE_SLOTS = 16_384;
const MAX_READY = 65_536; // beyond this, rows grow beyond their slot instead of being put aside
/** A and AAAA of one look-up come together; what comes later is another look-up. */
const PAIRING_MS = 5_000;
/** How long an answer without an address waits for one of the other family before it counts as `no-address`. */
const NO_ADDRESS_MS = 5_000;
const MAX_UNDECIDED = 16_384;
const MAX_CONFLICT_ADDRESSES = 3;
const MAX_PORTS = 1024; // between two drains; a client that uses a port asks for it again

/** The facts of octets in the place of a question name that are none. */
const NO_NAME: NameFacts = { text: '', scope: { kind: 'rejected', rejection: 'malformed' }, steps: [], expansions: [] };

interface Host {
  readonly hostname: Answer['hostname'];
  addresses: readonly string[];
  cnames: readonly string[];
  askedAs: string | undefined;
}

export function createObservationTable(options: ObservationTableOptions): ObservationTable {
  const { seed, maxPairs } = options;
  const names = createNameTable(maxPairs);
  const clients = createClientTable(Math.min(maxPairs, 65_536), seed);
  const cluster = new ClusterDomains(options);
  const context = { settings: options, cluster, seed };
  // Cells and not variables: a number beyond 32 bits is allocated anew at each write to a closure's variable.
  const clock = new Float64Array([0, Infinity, -Infinity]);
  const walks = createSearchWalks({ searchDomains: options.searchDomains, peers: options.peers ?? (() => 0), clock });
  const held = createHeldAnswers();
  const rejections = createRejectionCounter();
  const answer = new AnswerScan(seed);
  const question = new Int32Array(QUESTION_WORDS);

  // Per name
  const facts: NameFacts[] = [];
  const answered = new Uint8Array(maxPairs); // 1: an address was seen, so an empty answer is only the other family's
  const mayExpand = new Uint8Array(maxPairs); // 1: NameFacts.expansions is not empty
  const empty = new Int32Array(maxPairs); // empty answers that wait for an address
  const emptyAtMs = new Float64Array(maxPairs);
  let emptyNames: number[] = [];

  // Per (client, name) whose answers were left open
  const undecided = new Map<number, number>();

  // Verdicts by (name, signature), and facts of names that have failed, by hash: two places each and one.
  const verdicts = new Int32Array(VERDICT_SLOTS * VERDICT); // name id + 1, signature, host id or -1 - reason
  const failureHash = new Int32Array(FAILURE_SLOTS);
  const failureFacts: (NameFacts | undefined)[] = Array.from({ length: FAILURE_SLOTS });

  // Per host
  const hosts: Host[] = [];
  const hostIds = new Map<string, number>();
  const aliases = createAliasTable(maxPairs);
  const ttls = new Int32Array(maxPairs * 2); // smallest and largest

  // Per (client, host): open addressing over rows of one cache line each, see ROW_OCTETS
  const rowMask = 2 ** Math.ceil(Math.log2(maxPairs * 2)) - 1;
  const rowSlots = new Int32Array(rowMask + 1); // row + 1
  const rowBuffer = new ArrayBuffer(maxPairs * ROW_OCTETS);
  const times = new Float64Array(rowBuffer);
  const counts = new Int32Array(rowBuffer);
  const rowPods: (Observation['pod'] | undefined)[] = [];
  const dirty = new Int32Array(maxPairs);
  let rowCount = 0;
  let dirtyCount = 0;

  let ports = new Map<string, HttpsPort>();
  let ready: Observation[] = [];
  let responses = 0;
  let resets = 0;
  let coalesced = 0;
  let lost = 0;
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
  const exchanges = createExchangeTable(seed, clock);

  const atMs = (): number => clock[AT] as number;

  function add(next: ResponseView): void {
    responses++;
    response = next;
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
    if (rcode === ResponseCode.NOERROR) addAnswer(type === RecordType.A);
    else addFailure(rcode);
  }

  /** A question that makes no host. Tunnels ask for TXT and NULL, whose answers hold most. */
  function addOther(type: number): void {
    if (!hasName()) return reject('malformed');
    if (type === RecordType.HTTPS) notePorts();
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

  function notePorts(): void {
    const message = readMessage(bytes, start, end);
    if ('fault' in message || ports.size >= MAX_PORTS) return;
    for (const one of readHttpsPorts(message, context)) ports.set(`${one.hostname} ${one.port}`, one);
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

  function addAnswer(isA: boolean): void {
    const client = clients.idOf(data, response.queryAddressStart, response.queryAddressLength);
    const name = names.idOf(question, nameEnd - 1 - start - HEADER_OCTETS, nameHash);
    if (client < 0 || name < 0 || hosts.length === maxPairs) return startAfresh(isA);
    const known = facts[name] ?? addFacts(name);
    answer.scan(data, nameEnd + 4, end, data.getUint16(start + 6));
    if (answer.addresses === 0) return addEmpty(name, client, known);

    const host = verdictOf(name);
    if (host < 0) return refuse(host, known);
    answered[name] = 1;
    if (mayExpand[name] === 1 && !isMeant(client, name, known)) return;
    const row = rowOf(client, host);
    if (row < 0) return startAfresh(isA);
    noteTtls(host);
    if (aliases.involved[host] === 1 || isNewRow(row)) addInExchange(row, client, name, isA);
    else addLookup(row, isA);
  }

  function noteTtls(host: number): void {
    if (answer.minTtlSeconds < (ttls[host * 2] as number)) ttls[host * 2] = answer.minTtlSeconds;
    if (answer.maxTtlSeconds > (ttls[host * 2 + 1] as number)) ttls[host * 2 + 1] = answer.maxTtlSeconds;
  }

  /** One that was never drained: whether its host is the end of an alias may not be known yet. */
  function isNewRow(row: number): boolean {
    return counts[row * COUNTS + DRAINS] === 0;
  }

  function addInExchange(row: number, client: number, name: number, isA: boolean): void {
    const exchange = exchanges.keyOf(client, response.queryPort, data.getUint16(start));
    if (exchange !== 0 && exchanges.find(exchange) && exchanges.name !== name) {
      if (exchanges.row === row) return; // an ExternalName: what it leads to has just been counted
      if (isSettling && leadsTo(exchanges.row, row)) return;
      takeBack(row, isA);
    }
    const counted = addLookup(row, isA);
    if (exchange === 0) return;
    exchanges.row = row;
    exchanges.name = name;
    exchanges.counted = counted | ((counts[row * COUNTS + DRAINS] as number) << COUNTED_BITS);
    exchanges.note(exchange);
  }

  function hostOf(row: number): Host {
    return hosts[counts[row * COUNTS + HOST] as number] as Host; // rows are made for known hosts only
  }

  function leadsTo(alias: number, row: number): boolean {
    return hostOf(alias).cnames.includes(hostOf(row).hostname);
  }

  /** What was counted before this answer of the same exchange was CoreDNS's own look-up, if the answer leads there. */
  function takeBack(row: number, isA: boolean): void {
    const before = exchanges.row;
    const drains = counts[before * COUNTS + DRAINS] as number;
    const counted = exchanges.counted ^ (drains << COUNTED_BITS); // anything else after a drain: it is gone
    if ((counted !== SECOND_HALF && counted !== COUNTED) || !leadsTo(row, before)) return;
    const balance = counts[before * COUNTS + BALANCE] as number;
    counts[before * COUNTS + BALANCE] = isA ? balance - 1 : balance + 1;
    const answers = (counts[before * COUNTS + ANSWERS] as number) - 1;
    counts[before * COUNTS + ANSWERS] = answers;
    const lookups = (counts[before * COUNTS + LOOKUPS] as number) - (counted === COUNTED ? 1 : 0);
    // An answer that is left was asked for, be it the second half of a look-up whose first half was CoreDNS's own.
    counts[before * COUNTS + LOOKUPS] = answers === 0 ? 0 : Math.max(1, lookups);
  }

  /** A table is full: all start afresh, and the response at hand, which then fits, is taken again. */
  function startAfresh(isA: boolean): void {
    reset();
    addAnswer(isA);
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
    const key = client * maxPairs + name;
    const open = undecided.get(key) ?? 0;
    const verdict = walks.judge(client, { facts: known, hash: nameHash, undecided: open });
    if (!verdict.isSeen && !isSettling && held.hold(response, atMs())) return false;
    if (verdict.kind === 'host') return true;
    if (verdict.kind === 'undecided' && (open > 0 || undecided.size < MAX_UNDECIDED)) undecided.set(key, open + 1);
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
      responses--; // counted when it came
      add(one);
    }
    isSettling = false;
  }

  /** Names that do not exist are not kept: a flood of them must not push out what is known of others. */
  function addFailure(rcode: number): void {
    const slot = nameHash & (FAILURE_SLOTS - 1);
    let known = failureHash[slot] === nameHash ? failureFacts[slot] : undefined;
    if (known === undefined) {
      known = readFacts();
      failureHash[slot] = nameHash;
      failureFacts[slot] = known;
    }
    const client = clients.idOf(data, response.queryAddressStart, response.queryAddressLength);
    // A resolver goes on to the next search domain whatever the reason; the plain name is the last or has failed for good.
    const isStep = client >= 0 && (rcode === ResponseCode.NXDOMAIN || known.scope.kind === 'cluster');
    const isExpansion = isStep && known.expansions.length > 0 && walks.isExpansion(client, known);
    if (isStep) walks.note(client, known);
    rejectName(isExpansion ? 'search-expansion' : failureOf(known, rcode), known);
    if (isStep && !cluster.isProven && cluster.learnFromWalk(known.text, client)) startOver();
  }

  /** NOERROR without an address: the other family may have one, and then nothing was missing. */
  function addEmpty(name: number, client: number, known: NameFacts): void {
    if (known.scope.kind === 'rejected') return rejectName(known.scope.rejection, known);
    if ((data.getUint8(start + 2) & TRUNCATED) !== 0) return rejectName('truncated', known);
    if (known.scope.kind === 'cluster') {
      // `autopath` answers so where the plain name has no address of that family.
      if (known.scope.rejection === 'search-expansion') walks.note(client, known);
      return rejectName(known.scope.rejection, known);
    }
    walks.note(client, known); // glibc goes on to the next suffix after NODATA as well
    if (empty[name] === 0) emptyNames.push(name);
    empty[name] = (empty[name] as number) + 1;
    emptyAtMs[name] = atMs();
  }

  function verdictOf(name: number): number {
    const { signature } = answer;
    const slot = (finish(nameHash ^ signature) & (VERDICT_SLOTS - 2)) * VERDICT;
    if (verdicts[slot] === name + 1 && verdicts[slot + 1] === signature) return verdicts[slot + 2] as number;
    const other = slot + VERDICT;
    if (verdicts[other] === name + 1 && verdicts[other + 1] === signature) return verdicts[other + 2] as number;
    // The one that was here moves over: two names that share a slot must not push each other out for ever.
    verdicts.copyWithin(other, slot, other);
    const host = judge(name);
    verdicts.set([name + 1, signature, host], slot);
    return host;
  }

  /** The slow path: decodes the answer. Returns a host id, or -1 - reason. */
  function judge(name: number): number {
    const message = readMessage(bytes, start, end);
    if ('fault' in message) return -1 - REJECTION_INDEX.malformed;
    isOtherCluster = learnCluster(message);
    const result = readAnswer(message, context);
    if ('rejection' in result) return -1 - REJECTION_INDEX[result.rejection];
    const known = hostIds.get(result.hostname);
    const id = known ?? hosts.length;
    if (known === undefined) {
      hostIds.set(result.hostname, id);
      ttls[id * 2] = 0x7fffffff;
      ttls[id * 2 + 1] = 0;
    }
    const before = hosts[id]?.addresses ?? [];
    const fresh = result.addresses.filter((address) => !before.includes(address));
    // The newest addresses stay: a CDN rotates through more than are kept.
    hosts[id] = {
      hostname: result.hostname,
      addresses: [...before, ...fresh].slice(-MAX_ADDRESSES),
      cnames: result.cnames,
      askedAs: result.askedAs,
    };
    aliases.add(id, result, facts[name]?.text ?? '');
    return id;
  }

  function learnCluster(message: DnsMessage): boolean {
    const { names: chain, addresses } = chainOf(message);
    const texts = addresses.flatMap(({ address }) => address ?? []);
    return cluster.learnFromAnswer(chain[0] ?? '', texts);
  }

  function addLookup(row: number, isA: boolean): Counted {
    if (response.extraLength > 0) noteExtra(row);
    if (counts[row * COUNTS + LOOKUPS] !== 0 && !isInSlot(row)) putAside(row);
    const isNew = isNewLookup(row, isA);
    if (counts[row * COUNTS + LOOKUPS] === 0) {
      if (!isNew) return UNCOUNTED; // the other half of a look-up that was drained already
      if (dirtyCount === maxPairs) compactDirty();
      dirty[dirtyCount++] = row;
      times[row * TIMES + SLOT_MS] = Math.floor(atMs() / EVIDENCE_SLOT_MS) * EVIDENCE_SLOT_MS;
      times[row * TIMES + FIRST_MS] = atMs();
      times[row * TIMES + LAST_MS] = atMs();
    } else {
      if (atMs() < (times[row * TIMES + FIRST_MS] as number)) times[row * TIMES + FIRST_MS] = atMs();
      if (atMs() > (times[row * TIMES + LAST_MS] as number)) times[row * TIMES + LAST_MS] = atMs();
    }
    counts[row * COUNTS + ANSWERS] = (counts[row * COUNTS + ANSWERS] as number) + 1;
    if (!isNew) return SECOND_HALF;
    counts[row * COUNTS + LOOKUPS] = (counts[row * COUNTS + LOOKUPS] as number) + 1;
    return COUNTED;
  }

  function isInSlot(row: number): boolean {
    const sinceMs = atMs() - (times[row * TIMES + SLOT_MS] as number);
    return sinceMs >= 0 && sinceMs < EVIDENCE_SLOT_MS;
  }

  /** A and AAAA of one look-up are one: an answer of one family uses up an unpaired one of the other. */
  function isNewLookup(row: number, isA: boolean): boolean {
    const isStale = Math.abs(atMs() - (times[row * TIMES + BALANCE_MS] as number)) > PAIRING_MS;
    const isCut = (data.getUint8(start + 2) & TRUNCATED) !== 0;
    if (counts[row * COUNTS + CUT] === 1 && !isCut && !isStale) {
      counts[row * COUNTS + CUT] = 0; // the client asked again over TCP
      return false;
    }
    counts[row * COUNTS + CUT] = isCut ? 1 : 0;
    const balance = isStale ? 0 : (counts[row * COUNTS + BALANCE] as number);
    counts[row * COUNTS + BALANCE] = isA ? balance + 1 : balance - 1;
    times[row * TIMES + BALANCE_MS] = atMs();
    return isA ? balance >= 0 : balance <= 0;
  }

  function rowOf(client: number, host: number): number {
    let slot = finish(mix(mix(seed, client), host)) & rowMask;
    for (let probes = 0; ; probes++) {
      if (probes === MAX_PROBES) return -1;
      const row = (rowSlots[slot] as number) - 1; // slot is masked
      if (row < 0) break;
      if (counts[row * COUNTS + HOST] === host && counts[row * COUNTS + CLIENT] === client) return row;
      slot = (slot + 1) & rowMask;
    }
    if (rowCount === maxPairs) return -1;
    rowSlots[slot] = rowCount + 1;
    counts[rowCount * COUNTS + CLIENT] = client;
    counts[rowCount * COUNTS + HOST] = host;
    counts[rowCount * COUNTS + LOOKUPS] = 0;
    counts[rowCount * COUNTS + BALANCE] = 0;
    counts[rowCount * COUNTS + CUT] = 0;
    counts[rowCount * COUNTS + EXTRA] = 0;
    counts[rowCount * COUNTS + ANSWERS] = 0;
    counts[rowCount * COUNTS + DRAINS] = 0;
    rowPods[rowCount] = undefined;
    return rowCount++;
  }

  function noteExtra(row: number): void {
    const { extraStart } = response;
    const extraEnd = extraStart + response.extraLength;
    let hash = seed;
    for (let i = extraStart; i < extraEnd; i++) hash = mix(hash, bytes[i] as number);
    hash = finish(hash) | 1; // 0: none yet
    if (counts[row * COUNTS + EXTRA] === hash) return;
    // Another pod behind the same address: what was counted belongs to the one before.
    if ((counts[row * COUNTS + LOOKUPS] as number) > 0) putAside(row);
    counts[row * COUNTS + EXTRA] = hash;
    rowPods[row] = parsePod(bytes, extraStart, extraEnd);
  }

  /** Ends a row's evidence slot. Without a drain for long, rows grow beyond it: bounded memory goes before exact times. */
  function putAside(row: number): void {
    if (ready.length >= MAX_READY) {
      coalesced++;
      return;
    }
    ready.push(observationOf(row));
    clean(row); // it stays in `dirty`, where a clean row is passed over
  }

  function clean(row: number): void {
    counts[row * COUNTS + LOOKUPS] = 0;
    counts[row * COUNTS + ANSWERS] = 0;
    counts[row * COUNTS + DRAINS] = (counts[row * COUNTS + DRAINS] as number) + 1;
  }

  function compactDirty(): void {
    const rows = [...new Set(dirty.subarray(0, dirtyCount))].filter((row) => counts[row * COUNTS + LOOKUPS] !== 0);
    dirty.set(rows);
    dirtyCount = rows.length;
  }

  function observationOf(row: number): Observation {
    const id = counts[row * COUNTS + HOST] as number;
    const host = hosts[id] as Host; // rows are made for known hosts only
    const pod = rowPods[row];
    return {
      hostname: host.hostname,
      client: clients.text(counts[row * COUNTS + CLIENT] as number),
      ...(pod === undefined ? {} : { pod }),
      addresses: host.addresses.toSorted(),
      ttlSeconds: { min: ttls[id * 2] as number, max: ttls[id * 2 + 1] as number },
      cnames: host.cnames,
      ...(host.askedAs === undefined ? {} : { askedAs: host.askedAs }),
      firstObservedAtMs: times[row * TIMES + FIRST_MS] as number,
      lastObservedAtMs: times[row * TIMES + LAST_MS] as number,
      lookups: counts[row * COUNTS + LOOKUPS] as number,
      origin: options.origin,
    };
  }

  function drainRows(): readonly Observation[] {
    const drained = ready;
    ready = [];
    for (let i = 0; i < dirtyCount; i++) {
      const row = dirty[i] as number;
      if (counts[row * COUNTS + LOOKUPS] === 0) continue;
      drained.push(observationOf(row));
      clean(row);
    }
    dirtyCount = 0;
    return drained;
  }

  function settleEmpty(isFinal: boolean, nowMs: number): void {
    emptyNames = emptyNames.filter((name) => {
      const isDue = isFinal || answered[name] === 1 || nowMs - (emptyAtMs[name] as number) > NO_ADDRESS_MS;
      if (!isDue) return true;
      const index = REJECTION_INDEX['no-address'];
      const isExample = answered[name] === 0 && rejections.count(index, empty[name] as number, name);
      if (isExample) rejections.addExample(index, name, facts[name]?.text ?? '');
      empty[name] = 0;
      return false;
    });
  }

  /** Starts all tables afresh when one is full. Counts go to `ready`; only caches are lost. */
  function reset(): void {
    resets++;
    forget();
  }

  /** Forgets what was worked out about names and clients. */
  function forget(): void {
    settleEmpty(true, 0);
    ready = [...drainRows()];
    if (ready.length > MAX_READY) lost += ready.splice(MAX_READY).length;
    names.clear();
    clients.clear();
    walks.clear();
    exchanges.clear();
    undecided.clear();
    failureHash.fill(0);
    failureFacts.fill(undefined);
    facts.length = 0;
    answered.fill(0);
    verdicts.fill(0);
    hosts.length = 0;
    hostIds.clear();
    aliases.clear();
    rowSlots.fill(0);
    rowPods.length = 0;
    rowCount = 0;
  }

  function reject(reason: Rejection): void {
    rejections.count(REJECTION_INDEX[reason], 1, 0);
  }

  return {
    add,
    reject,
    drain({ final, nowMs }) {
      settleHeld(final, nowMs);
      settleEmpty(final, nowMs);
      const told = [...ports.values()];
      ports = new Map();
      return { observations: drainRows(), ports: told, rejections: rejections.drain() };
    },
    waiting: () => ready.length + dirtyCount + held.size(),
    statistics: () => ({
      responses,
      firstMs: clock[FIRST] as number,
      lastMs: clock[LAST] as number,
      rejected: rejections.totals(),
      resets,
      coalesced,
      lost,
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

const decoder = new TextDecoder();

/** `extra "{/kubernetes/client-namespace} {/kubernetes/client-pod-name}"`; CoreDNS writes `-` for what it does not know. */
function parsePod(bytes: Uint8Array, start: number, end: number): Observation['pod'] | undefined {
  const words = decoder.decode(bytes.subarray(start, end)).trim().split(/\s+/);
  const [namespace, name] = words;
  if (words.length !== 2 || namespace === undefined || name === undefined) return undefined;
  return [namespace, name].every((word) => NAME.test(word)) ? { namespace, name } : undefined;
}

const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/; // RFC 1123 subdomain; `-` alone is no match
