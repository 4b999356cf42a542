import type { Hostname } from '../dns/hostname.js';
import type { Level, StoredHost, StoredUsage } from './embedded-edit.js';
import { toUsage } from './embedded-edit.js';
import { toStoreError } from './embedded-error.js';
import { readEvidence, type EvidenceRow } from './evidence-fields.js';
import { toRecord } from './host-core.js';
import type { HostRecord } from './host-record.js';

/** Entries, and octets, that are read at once: each reading is a trip to another thread. */
const PAGE_ENTRIES = 1000;
const PAGE_OCTETS = 1_048_576;

/** Every host in order of its name. */
export async function* listHosts(level: Level): AsyncGenerator<HostRecord> {
  // Both ranges are in order of the hostname, so one pass over each is enough. The snapshot keeps them consistent.
  let snapshot: ReturnType<Level['snapshot']> | undefined;
  try {
    snapshot = level.snapshot();
    const evidence = new Pages(level.iterator({ gte: 'evidence!', lt: 'evidence"', snapshot, ...READING }));
    const hosts = new Pages(level.iterator({ gte: 'host!', lt: 'host"', snapshot, ...READING }));
    let next = evidence.take() ?? (await evidence.turn());
    for (let host = await hosts.turn(); host !== undefined; host = hosts.take() ?? (await hosts.turn())) {
      const name = host[0].slice('host!'.length);
      const prefix = `evidence!${name}!`;
      const rows: EvidenceRow[] = [];
      while (next?.[0].startsWith(prefix) === true) {
        rows.push(toRow(prefix, next));
        next = evidence.take() ?? (await evidence.turn());
      }
      yield toRecord(name as Hostname, (host[1] as StoredHost).core, readEvidence(rows)); // written by record() only
    }
  } catch (err) {
    throw toStoreError(err);
  } finally {
    await snapshot?.close(); // and with it the iterators
  }
}

const READING = { highWaterMarkBytes: PAGE_OCTETS, fillCache: false } as const;
type Entry = [key: string, value: unknown];

/** Reads a range a page at a time; the next one while this one is looked at. */
class Pages {
  readonly #iterator: { nextv(size: number): Promise<Entry[]>; close(): Promise<void> };
  #entries: readonly Entry[] = [];
  #at = 0;
  #next: Promise<readonly Entry[]>;

  constructor(iterator: { nextv(size: number): Promise<Entry[]>; close(): Promise<void> }) {
    this.#iterator = iterator;
    this.#next = this.#read();
  }

  /** The entry that comes next on this page. */
  take(): Entry | undefined {
    return this.#entries[this.#at++];
  }

  /** The first entry of the next page; undefined at the end. */
  async turn(): Promise<Entry | undefined> {
    this.#entries = await this.#next;
    this.#at = 1;
    if (this.#entries.length > 0) this.#next = this.#read();
    else await this.#iterator.close();
    return this.#entries[0];
  }

  #read(): Promise<readonly Entry[]> {
    const page = this.#iterator.nextv(PAGE_ENTRIES);
    page.catch(() => undefined); // thrown at the next turn, unless nobody reads on
    return page;
  }
}

/** A row of evidence, whose key begins with the prefix. */
export function toRow(prefix: string, [key, value]: [string, unknown]): EvidenceRow {
  return { field: key.slice(prefix.length), usage: toUsage(value as StoredUsage) }; // written by addUsage() only
}
