import { ClassicLevel } from 'classic-level';
import { mkdir } from 'node:fs/promises';
import type { Hostname } from '../dns/hostname.js';
import type { Rejection, RejectionCount } from '../observation/rejection.js';
import { admitBatch, EMPTY_WINDOW, type BatchWindow } from './batch-window.js';
import { pendingField, readEvidence, workloadField, type EvidenceRow } from './evidence-fields.js';
import {
  addBoundedInterval,
  BLIND_REASONS,
  type BlindReason,
  type BlindWindow,
  type Interval,
} from './blind-window.js';
import {
  applyDecision,
  applyFlag,
  applyPort,
  applyTransition,
  MAX_PENDING,
  mergeCore,
  mergeUsage,
  proposedCore,
  toRecord,
  type HostCore,
} from './host-core.js';
import type { HostRecord, Usage } from './host-record.js';
import type { HostRule } from './host-rule.js';
import { formatRule, readRules } from './host-rule.js';
import type {
  EvidenceAttribution,
  FlagChange,
  HostDecision,
  HostStore,
  HostTransition,
  PortEvidence,
  RecordBatch,
  StoredRules,
  StoreStatistics,
  WildcardProposal,
} from './host-store.js';
import { HostStoreError } from './host-store-error.js';
import { groupObservations, type ObservationGroup } from './observation-group.js';
import { mergeExamples } from './rejection-examples.js';
import { expiredSources, mergeReports, toSourceStatus, type SourceReport, type SourceStatus } from './source.js';

/**
 * Keys of the LevelDB database, in its byte order. `!` separates; it is in no name.
 *
 * ```
 *   batch!<source>               BatchWindow
 *   blind!<source>!<reason>      [[from, until], …]
 *   evidence!<hostname>!<field>  [firstSeenMs, lastSeenMs, lookups]   (see evidence-fields.ts)
 *   host!<hostname>              StoredHost
 *   reject!<reason>              RejectionCount
 *   rules                        StoredRuleText
 *   schema                       SCHEMA
 *   source!<source>              StoredSource
 * ```
 */
const SCHEMA = 2;

interface StoredSource {
  readonly report?: SourceReport;
  readonly batches: number;
  readonly highestSequence: number;
}

interface StoredRuleText {
  readonly version: number;
  readonly rules: readonly string[];
}

interface StoredHost {
  readonly core: HostCore;
  /** Rows of evidence that wait to be attributed. */
  readonly pending: number;
}

type Level = ClassicLevel<string, unknown>;

/**
 * Opens the embedded store: a LevelDB database in one directory, for one process. An acknowledged batch is on disk and
 * survives `kill -9`.
 *
 * @throws HostStoreError HOST_STORE_LOCKED when another process has it open, HOST_STORE_SCHEMA when it is of another
 * version, HOST_STORE_UNAVAILABLE otherwise.
 */
export async function openEmbeddedStore(directory: string): Promise<HostStore> {
  await mkdir(directory, { recursive: true });
  const level: Level = new ClassicLevel(directory, { valueEncoding: 'json' });
  try {
    await level.open();
  } catch (err) {
    throw openError(directory, err);
  }
  const schema = (await level.get('schema')) ?? SCHEMA;
  if (schema !== SCHEMA) {
    await level.close();
    throw new HostStoreError(
      'HOST_STORE_SCHEMA',
      `schema of ${directory} is ${JSON.stringify(schema)}, expected ${SCHEMA}`,
    );
  }
  await level.put('schema', SCHEMA);
  return new EmbeddedStore(level);
}

function openError(directory: string, err: unknown): HostStoreError {
  const cause: unknown = err instanceof Error ? err.cause : undefined;
  const code: unknown = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (code === 'LEVEL_LOCKED') {
    return new HostStoreError('HOST_STORE_LOCKED', `${directory} is in use by another process`, { cause: err });
  }
  return new HostStoreError('HOST_STORE_UNAVAILABLE', `cannot open ${directory}`, { cause: err });
}

class EmbeddedStore implements HostStore {
  readonly #level: Level;
  /** One change at a time: each reads what it changes. */
  #last: Promise<void> = Promise.resolve();
  /** Batches that wait for the write that comes next, and that write. */
  readonly #waiting: RecordBatch[] = [];
  #nextRecord: Promise<void> | undefined;

  constructor(level: Level) {
    this.#level = level;
  }

  /** What is handed over while another write is under way goes to the disk together. */
  record(batch: RecordBatch): Promise<void> {
    this.#waiting.push(batch);
    this.#nextRecord ??= this.#exclusive(async (edit) => {
      const batches = this.#waiting.splice(0);
      this.#nextRecord = undefined;
      for (const one of batches) await recordBatch(edit, one);
    });
    return this.#nextRecord;
  }

  async *list(): AsyncGenerator<HostRecord> {
    // Both ranges are in order of the hostname, so one pass over each is enough. The snapshot keeps them consistent.
    const snapshot = this.#level.snapshot();
    try {
      const evidence = this.#level.iterator({ gte: 'evidence!', lt: 'evidence"', snapshot });
      let next = await evidence.next();
      for await (const [key, stored] of this.#level.iterator({ gte: 'host!', lt: 'host"', snapshot })) {
        const name = key.slice('host!'.length);
        const rows: EvidenceRow[] = [];
        const prefix = `evidence!${name}!`;
        while (next !== undefined && next[0].startsWith(prefix)) {
          rows.push(toRow(prefix, next));
          next = await evidence.next();
        }
        yield toRecord(name as Hostname, (stored as StoredHost).core, readEvidence(rows)); // written by record() only
      }
      await evidence.close();
    } finally {
      await snapshot.close();
    }
  }

  async get(hostname: Hostname): Promise<HostRecord | undefined> {
    const stored = (await this.#level.get(`host!${hostname}`)) as StoredHost | undefined; // written by record() only
    if (stored === undefined) return undefined;
    const prefix = `evidence!${hostname}!`;
    const entries = await this.#level.iterator({ gte: prefix, lt: `evidence!${hostname}"` }).all();
    const rows = entries.map((entry) => toRow(prefix, entry));
    return toRecord(hostname, stored.core, readEvidence(rows));
  }

  attribute(attributions: readonly EvidenceAttribution[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const { hostname, evidence, workload, attribution } of attributions) {
        const from = `evidence!${hostname}!${pendingField(evidence)}`;
        const usage = await edit.get<StoredUsage>(from);
        const stored = await edit.get<StoredHost>(`host!${hostname}`);
        if (usage === undefined || stored === undefined) continue;
        edit.delete(from);
        edit.put(`host!${hostname}`, { ...stored, pending: stored.pending - 1 });
        const to = `evidence!${hostname}!${workloadField(workload, attribution)}`;
        await edit.load([to]);
        addUsage(edit, to, toUsage(usage));
      }
    });
  }

  transition(transitions: readonly HostTransition[]): Promise<void> {
    return this.#editHosts(transitions, applyTransition);
  }

  setFlags(changes: readonly FlagChange[]): Promise<void> {
    return this.#editHosts(changes, applyFlag);
  }

  notePorts(ports: readonly PortEvidence[]): Promise<void> {
    return this.#editHosts(ports, applyPort);
  }

  propose(proposals: readonly WildcardProposal[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const proposal of proposals) {
        const key = `host!${proposal.hostname}`;
        if ((await edit.get(key)) === undefined) edit.put(key, { core: proposedCore(proposal), pending: 0 });
      }
    });
  }

  async decide(decision: HostDecision): Promise<HostRecord | undefined> {
    const { hostname, atMs } = decision;
    const key = `host!${hostname}`;
    await this.#exclusive(async (edit) => {
      const known = await edit.get<StoredHost>(key);
      if (known === undefined && !hostname.startsWith('*.')) return;
      const { core, pending } = known ?? { core: proposedCore({ reason: 'person', atMs }), pending: 0 };
      const decided = applyDecision(core, decision);
      if (decided !== undefined) edit.put(key, { core: decided, pending } satisfies StoredHost);
    });
    return this.get(hostname);
  }

  reportSource(report: SourceReport): Promise<void> {
    return this.#exclusive(async (edit) => {
      const key = `source!${report.source}`;
      const known = await edit.get<StoredSource>(key);
      if (known?.report === undefined) {
        for (const source of expiredSources(await this.sources(), report.untilMs)) {
          edit.delete(`source!${source}`);
          for (const reason of Object.keys(BLIND_REASONS)) edit.delete(`blind!${source}!${reason}`);
        }
      }
      const { batches = 0, highestSequence = 0 } = known ?? {};
      edit.put(key, { report: mergeReports(known?.report, report), batches, highestSequence } satisfies StoredSource);
    });
  }

  async sources(): Promise<readonly SourceStatus[]> {
    const entries = await this.#level.iterator({ gte: 'source!', lt: 'source"' }).all();
    return entries.map(([key, value]) => toSourceStatus(key.slice('source!'.length), value as StoredSource)); // see the table
  }

  recordBlindWindow({ source, reason, fromMs, untilMs }: BlindWindow): Promise<void> {
    return this.#exclusive(async (edit) => {
      const key = `blind!${source}!${reason}`;
      const known = (await edit.get<readonly Interval[]>(key)) ?? [];
      edit.put(key, addBoundedInterval(known, [fromMs, untilMs]));
    });
  }

  async blindWindows(): Promise<readonly BlindWindow[]> {
    const entries = await this.#level.iterator({ gte: 'blind!', lt: 'blind"' }).all();
    return entries.flatMap(([key, value]) => {
      const split = key.lastIndexOf('!');
      const source = key.slice('blind!'.length, split);
      const reason = key.slice(split + 1) as BlindReason; // written by recordBlindWindow() only
      return (value as readonly Interval[]).map(([fromMs, untilMs]) => ({ source, reason, fromMs, untilMs }));
    });
  }

  async rules(): Promise<StoredRules> {
    return readRules((await this.#level.get('rules')) as StoredRuleText | undefined); // written by setRules() only
  }

  async setRules(rules: readonly HostRule[], version: number): Promise<boolean> {
    let isSet = false;
    await this.#exclusive(async (edit) => {
      const known = await edit.get<StoredRuleText>('rules');
      isSet = (known?.version ?? 0) === version;
      if (isSet) edit.put('rules', { version: version + 1, rules: rules.map(formatRule) } satisfies StoredRuleText);
    });
    return isSet;
  }

  async statistics(): Promise<StoreStatistics> {
    const startMs = performance.now();
    let hosts = 0;
    try {
      for await (const _ of this.#level.keys({ gte: 'host!', lt: 'host"' })) hosts++;
    } catch (err) {
      throw unavailable(err);
    }
    return { kind: 'embedded', schema: SCHEMA, hosts, latencyMs: performance.now() - startMs };
  }

  async rejections(): Promise<readonly RejectionCount[]> {
    // In order of the key, which is the order of the reason; written by record() only.
    return (await this.#level.values({ gte: 'reject!', lt: 'reject"' }).all()) as RejectionCount[];
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#level.close();
  }

  #editHosts<C extends { readonly hostname: Hostname }>(
    changes: readonly C[],
    apply: (core: HostCore, change: C) => HostCore | undefined,
  ): Promise<void> {
    return this.#exclusive(async (edit) => {
      await edit.load(changes.map(({ hostname }) => `host!${hostname}`));
      for (const change of changes) {
        const stored = edit.peekHost(change.hostname);
        const core = stored === undefined ? undefined : apply(stored.core, change);
        if (core !== undefined) edit.put(`host!${change.hostname}`, { ...stored, core });
      }
    });
  }

  #exclusive(change: (edit: Edit) => Promise<void>): Promise<void> {
    const run = this.#last.then(async () => {
      const edit = new Edit(this.#level);
      await change(edit);
      await edit.commit();
    });
    this.#last = run.catch(() => undefined); // the caller has the error; the next change must still run
    return run.catch((err: unknown) => {
      throw unavailable(err);
    });
  }
}

function unavailable(err: unknown): HostStoreError {
  return err instanceof HostStoreError
    ? err
    : new HostStoreError('HOST_STORE_UNAVAILABLE', 'embedded store failed', { cause: err });
}

/** Reads through to the database, keeps writes, and commits them in one durable batch. */
class Edit {
  readonly #level: Level;
  readonly #values = new Map<string, unknown>();
  readonly #changed = new Set<string>();

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
  }
}

type StoredUsage = readonly [firstSeenMs: number, lastSeenMs: number, lookups: number];

function toUsage([firstSeenMs, lastSeenMs, lookups]: StoredUsage): Usage {
  return { firstSeenMs, lastSeenMs, lookups };
}

function toRow(prefix: string, [key, value]: [string, unknown]): EvidenceRow {
  return { field: key.slice(prefix.length), usage: toUsage(value as StoredUsage) }; // written by addUsage() only
}

async function recordBatch(edit: Edit, batch: RecordBatch): Promise<void> {
  const key = `batch!${batch.source}`;
  const window = admitBatch((await edit.get<BatchWindow>(key)) ?? EMPTY_WINDOW, batch.sequence);
  if (window === undefined) return;
  edit.put(key, window);
  await recordSource(edit, batch);
  const groups = groupObservations(batch.observations);
  await edit.load(groups.map(({ hostname }) => `host!${hostname}`));
  await edit.load(groups.flatMap((group) => rowKeys(edit, group)));
  for (const group of groups) recordGroup(edit, group);
  for (const count of batch.rejections) await recordRejection(edit, count);
}

/** The rows that a group may change. */
function rowKeys(edit: Edit, { hostname, rows }: ObservationGroup): readonly string[] {
  const { pending = 0 } = edit.peekHost(hostname) ?? {};
  const prefix = `evidence!${hostname}!`;
  const keys: string[] = [];
  for (const [field, { dayField }] of rows) {
    if (pending < MAX_PENDING) keys.push(prefix + field);
    if (pending + rows.size > MAX_PENDING) keys.push(prefix + dayField);
  }
  return keys;
}

/** Of a host whose keys were loaded. */
function recordGroup(edit: Edit, group: ObservationGroup): void {
  const key = `host!${group.hostname}`;
  const stored = edit.peekHost(group.hostname);
  let pending = stored?.pending ?? 0;
  for (const [field, { dayField, firstMs, lastMs, lookups }] of group.rows) {
    const row = `evidence!${group.hostname}!${pending < MAX_PENDING ? field : dayField}`;
    if (edit.peekRow(row) === undefined) pending += 1;
    addUsage(edit, row, { firstSeenMs: firstMs, lastSeenMs: lastMs, lookups });
  }
  edit.put(key, { core: mergeCore(stored?.core, group), pending } satisfies StoredHost);
}

/** Of a row that was loaded. */
function addUsage(edit: Edit, key: string, more: Usage): void {
  const known = edit.peekRow(key);
  const { firstSeenMs, lastSeenMs, lookups } = mergeUsage(known === undefined ? undefined : toUsage(known), more);
  edit.put(key, [firstSeenMs, lastSeenMs, lookups] satisfies StoredUsage);
}

async function recordSource(edit: Edit, { source, sequence }: RecordBatch): Promise<void> {
  const key = `source!${source}`;
  const known = await edit.get<StoredSource>(key);
  edit.put(key, {
    ...known,
    batches: (known?.batches ?? 0) + 1,
    highestSequence: Math.max(known?.highestSequence ?? 0, sequence),
  } satisfies StoredSource);
}

async function recordRejection(edit: Edit, { reason, responses, examples }: RejectionCount): Promise<void> {
  const key = `reject!${reason}`;
  const known = await edit.get<RejectionCount>(key);
  edit.put(key, {
    reason: reason satisfies Rejection,
    responses: (known?.responses ?? 0) + responses,
    examples: mergeExamples(known?.examples ?? [], examples),
  } satisfies RejectionCount);
}
