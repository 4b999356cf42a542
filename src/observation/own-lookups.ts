import type { HostTable } from './host-table.js';
import type { Family, LookupRows, Receipt } from './lookup-rows.js';
import { finish, mix } from './wire-name.js';

/**
 * CoreDNS's own look-ups, which no client asked for.
 *
 * CoreDNS follows a CNAME that it serves itself (a zone file, a template, a Service of type ExternalName) by a look-up
 * through its own plugins. Its dnstap plugin shows that as one more CLIENT_RESPONSE of the client, with the same port and
 * ID, right before the answer:
 *
 * ```
 *  CLIENT_RESPONSE 10.244.0.7:38621 id 9  edge.example.net   A 192.0.2.1                 the client never asked for this
 *  CLIENT_RESPONSE 10.244.0.7:38621 id 9  alias.example.com  CNAME edge.example.net ...  but for this
 * ```
 *
 * So the last answer of each exchange (a client's port and message ID) is noted, and taken back when an answer of the same
 * exchange leads to its host. Every answer may be noted but few are ever looked for, so they are written down one after the
 * other and sorted into a table when one is:
 *
 * ```
 *   log     [ e e e … ]               a ring, newest last
 *   table   [ e e | . . | e . | … ]   two places for each exchange: its last name, and the one before
 * ```
 * A resolver that waits too long asks again in the same exchange, and CoreDNS may look the target up for each before it
 * answers any, so an entry counts how often its name was answered.
 *
 * @see coredns/coredns plugin/pkg/upstream
 */
export interface OwnLookups {
  /** Notes an answer that was taken in. `exchange` is from {@link exchangeOf}, `name` the hash of the question name. */
  note(exchange: number, row: number, name: number, receipt: Receipt): void;
  /** Takes back what was CoreDNS's own look-up before this answer; true when the answer itself is one. */
  settle(answer: LaterAnswer): boolean;
  clear(): void;
}

export interface LaterAnswer {
  readonly exchange: number;
  readonly row: number;
  readonly name: number;
  readonly family: Family;
  /** It was held, so that what came before may have come after it. */
  readonly wasHeld: boolean;
}

const ENTRIES = 4_096; // a power of two, of the log and of the table
const ENTRY = 5; // int32 of an entry: see EXCHANGE and so on; its time is in an array beside
const EXCHANGE = 0; // in the table mixed with the client
const ROW = 1;
const NAME = 2;
const RECEIPT = 3;
const ANSWERS = 4; // only in the table: those of the same name that were not taken back
const PLACES = 2; // entries of the table that an exchange may be in
/** CoreDNS answers within its own limit of 5 s for an upstream (plugin/forward). */
const EXCHANGE_MS = 5_000;

/** A client's port and message ID in one number; 0 where they do not tell its exchanges apart. */
export function exchangeOf(port: number, id: number): number {
  // Over HTTPS the ID is always 0 (RFC 8484 section 4.1), and some servers do not say the port.
  return port === 0 || id === 0 ? 0 : (port << 16) | id;
}

export interface OwnLookupsOptions {
  readonly rows: LookupRows;
  readonly hosts: HostTable;
  readonly seed: number;
  /** Its first cell is the time of the response at hand; as an argument it would be allocated for each. */
  readonly clock: Float64Array;
}

export function createOwnLookups({ rows, hosts, seed, clock }: OwnLookupsOptions): OwnLookups {
  const log = new Int32Array(ENTRIES * ENTRY);
  const logTimes = new Float64Array(ENTRIES);
  const table = new Int32Array(ENTRIES * ENTRY);
  const tableTimes = new Float64Array(ENTRIES);
  let next = 0; // where the next entry of the log goes
  let unsorted = 0; // entries before it that are not in the table

  const keyOf = (client: number, exchange: number): number => finish(mix(mix(seed, client), exchange)) | 1;
  const placeOf = (key: number): number => (key >>> 1) & (ENTRIES - PLACES);

  function sort(): void {
    for (; unsorted > 0; unsorted--) {
      const entry = (next - unsorted) & (ENTRIES - 1);
      const [exchange = 0, row = 0, name = 0, receipt = 0] = log.subarray(entry * ENTRY, (entry + 1) * ENTRY);
      const key = keyOf(rows.clientOf(row), exchange);
      const place = placeOf(key);
      const cell = place * ENTRY;
      const isAgain = table[cell + EXCHANGE] === key && table[cell + NAME] === name && table[cell + ROW] === row;
      const answers = isAgain ? (table[cell + ANSWERS] as number) + 1 : 1;
      if (!isAgain) moveOver(place);
      table.set([key, row, name, receipt, answers], cell);
      tableTimes[place] = logTimes[entry] as number;
    }
  }

  function moveOver(place: number): void {
    table.copyWithin((place + 1) * ENTRY, place * ENTRY, (place + 1) * ENTRY);
    tableTimes[place + 1] = tableTimes[place] as number;
  }

  /** Whether the place has an answer of the exchange, not long ago, that was not taken back. */
  function isOfExchange(place: number, key: number): boolean {
    if (table[place * ENTRY + EXCHANGE] !== key || table[place * ENTRY + ANSWERS] === 0) return false;
    return Math.abs((clock[0] as number) - (tableTimes[place] as number)) <= EXCHANGE_MS;
  }

  /** Takes back what is in the place if the answer shows that no client asked for it; true when it shows that of the answer. */
  function settleWith(place: number, { row, name, family, wasHeld }: LaterAnswer): boolean {
    const cell = (index: number): number => table[place * ENTRY + index] as number;
    if (cell(NAME) === name) return false;
    if (cell(ROW) === row) return true; // an ExternalName: what it leads to has just been counted
    if (wasHeld && leadsTo(cell(ROW), row)) return true;
    if (!leadsTo(row, cell(ROW))) return false;
    rows.takeBack(cell(ROW), family, cell(RECEIPT));
    table[place * ENTRY + ANSWERS] = cell(ANSWERS) - 1;
    return false;
  }

  function leadsTo(alias: number, row: number): boolean {
    return hosts.get(rows.hostOf(alias)).cnames.includes(hosts.get(rows.hostOf(row)).hostname);
  }

  return {
    note(exchange, row, name, receipt) {
      if (exchange === 0) return;
      log[next * ENTRY + EXCHANGE] = exchange;
      log[next * ENTRY + ROW] = row;
      log[next * ENTRY + NAME] = name;
      log[next * ENTRY + RECEIPT] = receipt;
      logTimes[next] = clock[0] as number;
      next = (next + 1) & (ENTRIES - 1);
      if (unsorted < ENTRIES) unsorted++;
    },
    settle(answer) {
      if (answer.exchange === 0) return false;
      sort();
      const key = keyOf(rows.clientOf(answer.row), answer.exchange);
      for (let place = placeOf(key), end = place + PLACES; place < end; place++) {
        if (isOfExchange(place, key) && settleWith(place, answer)) return true;
      }
      return false;
    },
    clear() {
      table.fill(0);
      unsorted = 0;
    },
  };
}
