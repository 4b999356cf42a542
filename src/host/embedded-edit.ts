import type { ClassicLevel } from 'classic-level';
import { mergeUsage, type HostCore } from './host-core.js';
import type { Usage } from './host-record.js';

export type Level = ClassicLevel<string, unknown>;

export interface StoredHost {
  readonly core: HostCore;
  /** Rows of evidence that wait to be attributed. */
  readonly pending: number;
}

export type StoredUsage = readonly [firstSeenMs: number, lastSeenMs: number, lookups: number];

/** Reads through to the database, keeps writes, and commits them in one durable batch. */
export class EmbeddedEdit {
  readonly #level: Level;
  readonly #values = new Map<string, unknown>();
  readonly #changed = new Set<string>();
  readonly #afterCommit: (() => void)[] = [];
  readonly #onRollback: (() => void)[] = [];

  constructor(level: Level) {
    this.#level = level;
  }

  /** Reads many keys at once, so that get() finds them here. */
  async load(keys: readonly string[]): Promise<void> {
    const missing = [...new Set(keys)].filter((key) => !this.#values.has(key));
    const values = await this.#level.getMany(missing);
    missing.forEach((key, index) => this.#values.set(key, values[index]));
  }

  async get<T>(key: string): Promise<T | undefined> {
    if (!this.#values.has(key)) await this.load([key]);
    return this.#values.get(key) as T | undefined; // each key prefix holds one type, see the table above
  }

  /** A host that was loaded or put. */
  peekHost(hostname: string): StoredHost | undefined {
    return this.#values.get(`host!${hostname}`) as StoredHost | undefined; // as get()
  }

  /** A row of evidence that was loaded or put. */
  peekRow(key: string): StoredUsage | undefined {
    return this.#values.get(key) as StoredUsage | undefined; // as get()
  }

  put(key: string, value: unknown): void {
    this.#values.set(key, value);
    this.#changed.add(key);
  }

  /** What is kept in memory of the database changes only when that has. */
  afterCommit(run: () => void): void {
    this.#afterCommit.push(run);
  }

  /** How to undo what was changed in memory already, should nothing come of the edit. */
  onRollback(undo: () => void): void {
    this.#onRollback.push(undo);
  }

  rollback(): void {
    for (const undo of this.#onRollback) undo();
  }

  delete(key: string): void {
    this.put(key, undefined);
  }

  async commit(): Promise<void> {
    if (this.#changed.size === 0) return;
    const batch = this.#level.batch();
    for (const key of this.#changed) {
      const value = this.#values.get(key);
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
    }
    await batch.write({ sync: true });
    for (const run of this.#afterCommit) run();
  }
}

export function toUsage([firstSeenMs, lastSeenMs, lookups]: StoredUsage): Usage {
  return { firstSeenMs, lastSeenMs, lookups };
}

/** Of a row that was loaded. */
export function addUsage(edit: EmbeddedEdit, key: string, more: Usage): void {
  const known = edit.peekRow(key);
  const { firstSeenMs, lastSeenMs, lookups } = mergeUsage(known === undefined ? undefined : toUsage(known), more);
  edit.put(key, [firstSeenMs, lastSeenMs, lookups] satisfies StoredUsage);
}
