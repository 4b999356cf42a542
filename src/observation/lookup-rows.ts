import type { ClientTable } from './client-table.js';
import type { HostTable } from './host-table.js';
import { EVIDENCE_SLOT_MS, type Observation, type Origin } from './observation.js';
import { parsePod } from './pod.js';
import { finish, MAX_PROBES, mix } from './wire-name.js';

/**
 * The look-ups of each client and host since the last drain, merged as they come.
 *
 * ```
 *   slots   [ . | 5 | . | 1 | … ]     open addressing, twice as many as rows; holds row + 1
 *   rows    one cache line each, as eight float64 or sixteen int32:
 *
 *     octet    0        8         16       24           32      36    40       44       48    52     56       60
 *     row      slotMs | firstMs | lastMs | balanceMs  | client| host| lookups| balance| last| extra| answers| drains
 * ```
 * slotMs     start of the evidence slot of what was counted      lookups  since the last drain; 0: the row is clean
 * balanceMs  when `balance` changed last                         balance  A answers less AAAA answers, not paired yet
 * last       what came last, if it matters to what comes next     extra    hash of the in-band metadata
 * answers    what `lookups` was counted from                     drains   times that the row was cleaned
 */
export interface LookupRows {
  /** The row of a client and a host; -1 when the table is full. */
  rowOf(client: number, host: number): number;
  /** The same, but none is made: -1 where there is none. */
  find(client: number, host: number): number;
  /** When the client was last told of the host (Unix milliseconds). */
  lastMsOf(row: number): number;
  /** Takes in an answer at the time of the clock. */
  add(row: number, family: Family, isCut: boolean): Counted;
  /** Takes in an answer without addresses that says that the client uses the host: of a look-up at hand, or of one of its own. */
  corroborate(row: number): Counted;
  /** Takes back an answer that was taken in as `counted`, unless it was drained since. */
  takeBack(row: number, family: Family, counted: Receipt): void;
  /** Of what has just been taken in as `counted`: for {@link takeBack}. */
  receiptOf(row: number, counted: Counted): Receipt;
  /** That was never drained. */
  isNew(row: number): boolean;
  clientOf(row: number): number;
  hostOf(row: number): number;
  /** Notes which pod is behind the client's address: in-band metadata at `[start, end)`. */
  notePod(row: number, metadata: { readonly bytes: Uint8Array; readonly start: number; readonly end: number }): void;
  drain(): Observation[];
  /** Observations that wait for a drain, at least. */
  waiting(): number;
  statistics(): LookupRowsStatistics;
  /** Forgets the rows, but not what was counted in them. */
  clear(): void;
}

export interface LookupRowsStatistics {
  /** Rows that grew beyond their evidence slot because nobody drained. */
  readonly coalesced: number;
  /** Observations that were dropped because nobody drained. */
  readonly lost: number;
}

/** What an answer was asked for: as what it adds to the balance of a row. */
export type Family = typeof IPV4 | typeof IPV6 | typeof NEITHER;
export const [IPV4, IPV6, NEITHER] = [1, -1, 0] as const;

/** How an answer was taken: not at all, or into a look-up that is counted already, or as a look-up. */
export type Counted = typeof UNCOUNTED | typeof SECOND_HALF | typeof COUNTED;
const [UNCOUNTED, SECOND_HALF, COUNTED] = [0, 1, 2] as const;

/** A {@link Counted} in the two low bits, above it how often the row had been drained then. */
export type Receipt = number;
const COUNTED_BITS = 2;

const ROW_OCTETS = 64;
const TIMES = ROW_OCTETS / 8;
const COUNTS = ROW_OCTETS / 4;
const SLOT_MS = 0;
const FIRST_MS = 1;
const LAST_MS = 2;
const BALANCE_MS = 3;
const CLIENT = 8;
const HOST = 9;
const LOOKUPS = 10;
const BALANCE = 11;
const LAST = 12;
const EXTRA = 13;
const ANSWERS = 14;
const DRAINS = 15;

/** What is in LAST: nothing that matters; an answer that was truncated; one without addresses, with which a look-up began. */
const [WHOLE, CUT, CORROBORATING] = [0, 1, 2] as const;

const MAX_READY = 65_536; // beyond this, rows grow beyond their slot instead of being put aside
/** A and AAAA of one look-up come together; what comes later is another look-up. */
const PAIRING_MS = 5_000;

export interface LookupRowsOptions {
  readonly maxRows: number;
  readonly seed: number;
  readonly origin: Origin;
  readonly clients: ClientTable;
  readonly hosts: HostTable;
  /** Its first cell is the time of the response at hand; as an argument it would be allocated for each. */
  readonly clock: Float64Array;
}

export function createLookupRows({ maxRows, seed, origin, clients, hosts, clock }: LookupRowsOptions): LookupRows {
  const mask = 2 ** Math.ceil(Math.log2(maxRows * 2)) - 1;
  const slots = new Int32Array(mask + 1);
  const rows = new ArrayBuffer(maxRows * ROW_OCTETS);
  const times = new Float64Array(rows);
  const counts = new Int32Array(rows);
  const pods: (Observation['pod'] | undefined)[] = [];
  const dirty = new Int32Array(maxRows);
  let rowCount = 0;
  let dirtyCount = 0;
  let ready: Observation[] = [];
  let coalesced = 0;
  let lost = 0;

  /** The slot of a row, or the empty one where it would be; -1 when the run is too long. */
  function slotOf(client: number, host: number): number {
    let slot = finish(mix(mix(seed, client), host)) & mask;
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const row = (slots[slot] as number) - 1; // slot is masked
      if (row < 0) return slot;
      if (counts[row * COUNTS + HOST] === host && counts[row * COUNTS + CLIENT] === client) return slot;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  function rowOf(client: number, host: number): number {
    const slot = slotOf(client, host);
    if (slot < 0) return -1;
    const row = (slots[slot] as number) - 1;
    return row < 0 ? addRow(slot, client, host) : row;
  }

  function addRow(slot: number, client: number, host: number): number {
    if (rowCount === maxRows) return -1;
    const row = rowCount++;
    slots[slot] = row + 1;
    counts.fill(0, row * COUNTS, (row + 1) * COUNTS); // the times with them
    counts[row * COUNTS + CLIENT] = client;
    counts[row * COUNTS + HOST] = host;
    pods[row] = undefined;
    return row;
  }

  function add(row: number, family: Family, isCut: boolean): Counted {
    if (counts[row * COUNTS + LOOKUPS] !== 0 && !isInSlot(row)) putAside(row);
    const isNew = isNewLookup(row, family, isCut);
    const lookups = counts[row * COUNTS + LOOKUPS] as number;
    if (lookups !== 0) stretch(row);
    else if (isNew) begin(row);
    else return UNCOUNTED; // the other half of a look-up that was drained already
    counts[row * COUNTS + ANSWERS] = (counts[row * COUNTS + ANSWERS] as number) + 1;
    if (!isNew) return SECOND_HALF;
    counts[row * COUNTS + LOOKUPS] = lookups + 1;
    return COUNTED;
  }

  function isInSlot(row: number): boolean {
    const sinceMs = (clock[0] as number) - (times[row * TIMES + SLOT_MS] as number);
    return sinceMs >= 0 && sinceMs < EVIDENCE_SLOT_MS;
  }

  /** A and AAAA of one look-up are one: an answer of one family uses up an unpaired one of the other. */
  function isNewLookup(row: number, family: Family, isCut: boolean): boolean {
    const isStale = isUnpaired(row);
    const last = isStale ? WHOLE : (counts[row * COUNTS + LAST] as number);
    counts[row * COUNTS + LAST] = isCut ? CUT : WHOLE;
    if (last === CUT && !isCut) return false; // the client asked again over TCP
    const balance = isStale ? 0 : (counts[row * COUNTS + BALANCE] as number);
    counts[row * COUNTS + BALANCE] = balance + family;
    times[row * TIMES + BALANCE_MS] = clock[0] as number;
    return last !== CORROBORATING && balance * family >= 0;
  }

  /** What comes now belongs to no look-up before. */
  function isUnpaired(row: number): boolean {
    return Math.abs((clock[0] as number) - (times[row * TIMES + BALANCE_MS] as number)) > PAIRING_MS;
  }

  function corroborate(row: number): Counted {
    if (counts[row * COUNTS + LOOKUPS] !== 0 && !isInSlot(row)) putAside(row);
    if (counts[row * COUNTS + LOOKUPS] !== 0) {
      stretch(row);
      counts[row * COUNTS + ANSWERS] = (counts[row * COUNTS + ANSWERS] as number) + 1;
      return SECOND_HALF;
    }
    if (!isUnpaired(row)) return UNCOUNTED; // of a look-up that was drained already
    begin(row);
    counts[row * COUNTS + LAST] = CORROBORATING;
    counts[row * COUNTS + BALANCE] = 0;
    times[row * TIMES + BALANCE_MS] = clock[0] as number;
    counts[row * COUNTS + ANSWERS] = 1;
    counts[row * COUNTS + LOOKUPS] = 1;
    return COUNTED;
  }

  function stretch(row: number): void {
    const atMs = clock[0] as number;
    if (atMs < (times[row * TIMES + FIRST_MS] as number)) times[row * TIMES + FIRST_MS] = atMs;
    if (atMs > (times[row * TIMES + LAST_MS] as number)) times[row * TIMES + LAST_MS] = atMs;
  }

  function begin(row: number): void {
    if (dirtyCount === maxRows) compactDirty();
    dirty[dirtyCount++] = row;
    const atMs = clock[0] as number;
    times[row * TIMES + SLOT_MS] = Math.floor(atMs / EVIDENCE_SLOT_MS) * EVIDENCE_SLOT_MS;
    times[row * TIMES + FIRST_MS] = atMs;
    times[row * TIMES + LAST_MS] = atMs;
  }

  function takeBack(row: number, family: Family, receipt: Receipt): void {
    const counted = receipt ^ receiptOf(row, UNCOUNTED); // anything else after a drain: it is gone
    if (counted !== SECOND_HALF && counted !== COUNTED) return;
    counts[row * COUNTS + LAST] = WHOLE;
    counts[row * COUNTS + BALANCE] = (counts[row * COUNTS + BALANCE] as number) - family;
    const answers = (counts[row * COUNTS + ANSWERS] as number) - 1;
    counts[row * COUNTS + ANSWERS] = answers;
    const lookups = (counts[row * COUNTS + LOOKUPS] as number) - (counted === COUNTED ? 1 : 0);
    // An answer that is left was asked for, be it the second half of a look-up whose first half is taken back.
    counts[row * COUNTS + LOOKUPS] = answers === 0 ? 0 : Math.max(1, lookups);
  }

  function receiptOf(row: number, counted: Counted): Receipt {
    return counted | ((counts[row * COUNTS + DRAINS] as number) << COUNTED_BITS);
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
    const rowsLeft = [...new Set(dirty.subarray(0, dirtyCount))].filter((row) => counts[row * COUNTS + LOOKUPS] !== 0);
    dirty.set(rowsLeft);
    dirtyCount = rowsLeft.length;
  }

  function observationOf(row: number): Observation {
    const id = counts[row * COUNTS + HOST] as number;
    const host = hosts.get(id);
    const pod = pods[row];
    return {
      hostname: host.hostname,
      client: clients.text(counts[row * COUNTS + CLIENT] as number),
      ...(pod === undefined ? {} : { pod }),
      addresses: host.addresses.toSorted(),
      ttlSeconds: hosts.ttlSeconds(id),
      cnames: host.cnames,
      ...(host.askedAs === undefined ? {} : { askedAs: host.askedAs }),
      firstObservedAtMs: times[row * TIMES + FIRST_MS] as number,
      lastObservedAtMs: times[row * TIMES + LAST_MS] as number,
      lookups: counts[row * COUNTS + LOOKUPS] as number,
      origin,
    };
  }

  function drain(): Observation[] {
    const drained = ready;
    ready = [];
    for (let i = 0; i < dirtyCount; i++) {
      const row = dirty[i] as number; // i is below the count
      if (counts[row * COUNTS + LOOKUPS] === 0) continue;
      drained.push(observationOf(row));
      clean(row);
    }
    dirtyCount = 0;
    return drained;
  }

  return {
    rowOf,
    find(client, host) {
      const slot = slotOf(client, host);
      return slot < 0 ? -1 : (slots[slot] as number) - 1;
    },
    lastMsOf: (row) => times[row * TIMES + LAST_MS] as number,
    add,
    corroborate,
    takeBack,
    receiptOf,
    isNew: (row) => counts[row * COUNTS + DRAINS] === 0,
    clientOf: (row) => counts[row * COUNTS + CLIENT] as number,
    hostOf: (row) => counts[row * COUNTS + HOST] as number,
    notePod(row, { bytes, start, end }) {
      let hash = seed;
      for (let i = start; i < end; i++) hash = mix(hash, bytes[i] as number);
      hash = finish(hash) | 1; // 0: none yet
      if (counts[row * COUNTS + EXTRA] === hash) return;
      // Another pod behind the same address: what was counted belongs to the one before.
      if ((counts[row * COUNTS + LOOKUPS] as number) > 0) putAside(row);
      counts[row * COUNTS + EXTRA] = hash;
      pods[row] = parsePod(bytes, start, end);
    },
    drain,
    waiting: () => ready.length + dirtyCount,
    statistics: () => ({ coalesced, lost }),
    clear() {
      ready = drain();
      if (ready.length > MAX_READY) lost += ready.splice(MAX_READY).length;
      slots.fill(0);
      pods.length = 0;
      rowCount = 0;
    },
  };
}
