import { ClassicLevel } from 'classic-level';
import { mkdir } from 'node:fs/promises';
import type { Hostname } from '../dns/hostname.js';
import type { Rejection, RejectionCount } from '../observation/rejection.js';
import { admitBatch, EMPTY_WINDOW, type BatchWindow } from './batch-window.js';
import { Admission } from './embedded-admission.js';
import { addUsage, EmbeddedEdit, toUsage, type Level, type StoredHost, type StoredUsage } from './embedded-edit.js';
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
  applyQuarantine,
  applyTransition,
  MAX_PENDING,
  mergeCore,
  proposedCore,
  toRecord,
  type HostCore,
} from './host-core.js';
import type { HostRecord } from './host-record.js';
import type { HostRule } from './host-rule.js';
import { formatRule, readRules } from './host-rule.js';
import {
  NO_OVERFLOW,
  STORE_LIMITS,
  type EvidenceAttribution,
  type FlagChange,
  type HostDecision,
  type HostStore,
  type HostTransition,
  type ParentQuarantine,
  type PortEvidence,
  type RecordBatch,
  type StoredRules,
  type StoreLimits,
  type StoreOverflow,
  type StoreStatistics,
  type WildcardProposal,
} from './host-store.js';
import { HostStoreError } from './host-store-error.js';
import { groupObservations, type ObservationGroup } from './observation-group.js';
import { ObservationFeed, type TailBatch } from './observation-feed.js';
import { mergeExamples } from './rejection-examples.js';
import { connectStore, serveStore } from './store-socket.js';
import { expiredSources, mergeReports, toSourceStatus, type SourceReport, type SourceStatus } from './source.js';

/**
 * Keys of the LevelDB database, in its byte order. `!` separates; it is in no name.
 *
 * ```
 *   batch!<source>               BatchWindow
 *   blind!<source>!<reason>      [[from, until], …]
 *   domain!<registrable domain>  number of its hosts
 *   evidence!<hostname>!<field>  [firstSeenMs, lastSeenMs, lookups]   (see evidence-fields.ts)
 *   host!<hostname>              StoredHost
 *   overflow                     StoreOverflow
 *   parent!<parent>              true: its children are not stored
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

/**
 * Opens the embedded store: a LevelDB database in one directory, for one process. An acknowledged batch is on disk and
 * survives `kill -9`. Other processes of the same user get at it through this one; see `store-socket.ts`.
 *
 * @throws HostStoreError HOST_STORE_LOCKED when another process has it open, HOST_STORE_SCHEMA when it is of another
 * version, HOST_STORE_UNAVAILABLE otherwise.
 */
export async function openEmbeddedStore(directory: string, limits: StoreLimits = STORE_LIMITS): Promise<HostStore> {
  await mkdir(directory, { recursive: true });
  const level: Level = new ClassicLevel(directory, { valueEncoding: 'json' });
  try {
    await level.open();
  } catch (err) {
    throw openError(directory, err);
  }
  try {
    const schema = (await level.get('schema')) ?? SCHEMA;
    if (schema !== SCHEMA) {
      const found = JSON.stringify(schema);
      throw new HostStoreError('HOST_STORE_SCHEMA', `schema of ${directory} is ${found}, expected ${SCHEMA}`);
    }
    await level.put('schema', SCHEMA);
    const store = new EmbeddedStore(level, await Admission.open(level, limits));
    await store.serve(directory);
    return store;
  } catch (err) {
    await level.close(); // or the directory stays locked
    throw toStoreError(err);
  }
}

/**
 * The embedded store for a command that does not last: itself when nobody has it open, else through the process that has.
 *
 * @throws as {@link openEmbeddedStore}
 */
export async function useEmbeddedStore(directory: string, limits: StoreLimits = STORE_LIMITS): Promise<HostStore> {
  try {
    return await openEmbeddedStore(directory, limits);
  } catch (err) {
    if (!(err instanceof HostStoreError) || err.code !== 'HOST_STORE_LOCKED') throw err;
    const store = connectStore(directory);
    const isServed = await store.rules().then(
      () => true,
      () => false,
    );
    if (!isServed) throw err;
    return store;
  }
}

function openError(directory: string, err: unknown): HostStoreError {
  const cause: unknown = err instanceof Error ? err.cause : undefined;
  const code: unknown = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (code === 'LEVEL_LOCKED') {
    return new HostStoreError('HOST_STORE_LOCKED', `${directory} is in use by another process`, { cause: err });
  }
  const kind = code === 'LEVEL_CORRUPTION' ? 'HOST_STORE_CORRUPT' : 'HOST_STORE_UNAVAILABLE';
  return new HostStoreError(kind, `cannot open ${directory}`, { cause: err });
}

class EmbeddedStore implements HostStore {
  readonly #level: Level;
  readonly #admission: Admission;
  /** One change at a time: each reads what it changes. */
  #last: Promise<void> = Promise.resolve();
  /** Batches that wait for the write that comes next, and that write. */
  readonly #waiting: RecordBatch[] = [];
  #nextRecord: Promise<void> | undefined;
  #server: Awaited<ReturnType<typeof serveStore>>;
  readonly #feed = new ObservationFeed();

  constructor(level: Level, admission: Admission) {
    this.#level = level;
    this.#admission = admission;
  }

  /** What is handed over while another write is under way goes to the disk together. */
  record(batch: RecordBatch): Promise<void> {
    this.#waiting.push(batch);
    this.#nextRecord ??= this.#exclusive(async (edit) => {
      const batches = this.#waiting.splice(0);
      this.#nextRecord = undefined;
      for (const one of batches) await recordBatch(edit, this.#admission, one);
      for (const { observations } of batches) this.#feed.publish({ observations, missed: 0 });
    });
    return this.#nextRecord;
  }

  tail(signal: AbortSignal): AsyncIterable<TailBatch> {
    return this.#feed.subscribe(signal);
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
    } catch (err) {
      throw toStoreError(err);
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
        if ((await edit.get(key)) !== undefined) continue;
        this.#admission.add(edit, proposal.hostname, { core: proposedCore(proposal), pending: 0 });
      }
    });
  }

  async decide(decision: HostDecision): Promise<HostRecord | undefined> {
    const { hostname, kind, atMs } = decision;
    const key = `host!${hostname}`;
    await this.#exclusive(async (edit) => {
      const known = await edit.get<StoredHost>(key);
      if (known === undefined && !hostname.startsWith('*.')) return;
      const { core, pending } = known ?? { core: proposedCore({ reason: 'person', atMs }), pending: 0 };
      const decided = applyDecision(core, decision);
      if (decided === undefined) return;
      if (known === undefined) this.#admission.add(edit, hostname, { core: decided, pending });
      else edit.put(key, { core: decided, pending } satisfies StoredHost);
      if (kind === 'approve' || kind === 'unignore')
        this.#admission.setParent(edit, hostname.slice('*.'.length), false);
    });
    return this.get(hostname);
  }

  quarantine(parents: readonly ParentQuarantine[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const { hostname, children, atMs } of parents) {
        const known = await edit.get<StoredHost>(`host!${hostname}`);
        const row: StoredHost = { core: applyQuarantine(known?.core, atMs), pending: known?.pending ?? 0 };
        if (known === undefined) this.#admission.add(edit, hostname, row);
        else edit.put(`host!${hostname}`, row);
        this.#admission.setParent(edit, hostname.slice('*.'.length), true);
        for (const child of children) await this.#admission.fold(edit, child, hostname);
      }
    });
  }

  forget(hosts: readonly Pick<HostRecord, 'hostname' | 'lastSeenMs'>[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const { hostname, lastSeenMs } of hosts) {
        const stored = await edit.get<StoredHost>(`host!${hostname}`);
        if (stored?.core.lastSeenMs !== lastSeenMs || stored.core.decisions.length > 0) continue;
        await this.#admission.remove(edit, hostname);
        const rows = { gte: `evidence!${hostname}!`, lt: `evidence!${hostname}"` };
        for (const key of await this.#level.keys(rows).all()) edit.delete(key);
      }
    });
  }

  async reportSource(report: SourceReport): Promise<SourceStatus> {
    const key = `source!${report.source}`;
    let stored: StoredSource = { batches: 0, highestSequence: 0 };
    await this.#exclusive(async (edit) => {
      const known = await edit.get<StoredSource>(key);
      if (known?.report === undefined) {
        for (const source of expiredSources(await this.sources(), report.untilMs)) {
          edit.delete(`source!${source}`);
          for (const reason of Object.keys(BLIND_REASONS)) edit.delete(`blind!${source}!${reason}`);
        }
      }
      stored = { ...(known ?? stored), report: mergeReports(known?.report, report) };
      edit.put(key, stored);
    });
    return toSourceStatus(report.source, stored);
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
    try {
      const overflow = ((await this.#level.get('overflow')) ?? NO_OVERFLOW) as StoreOverflow; // written by Admission only
      const { hosts } = this.#admission;
      return { kind: 'embedded', schema: SCHEMA, hosts, overflow, latencyMs: performance.now() - startMs };
    } catch (err) {
      throw toStoreError(err);
    }
  }

  async rejections(): Promise<readonly RejectionCount[]> {
    // In order of the key, which is the order of the reason; written by record() only.
    return (await this.#level.values({ gte: 'reject!', lt: 'reject"' }).all()) as RejectionCount[];
  }

  /** Lets other processes of the user use the store through this one. */
  async serve(directory: string): Promise<void> {
    this.#server = await serveStore(this, directory);
  }

  async close(): Promise<void> {
    await this.#server?.close();
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

  #exclusive(change: (edit: EmbeddedEdit) => Promise<void>): Promise<void> {
    const run = this.#last.then(async () => {
      const edit = new EmbeddedEdit(this.#level);
      try {
        await change(edit);
        await edit.commit();
      } catch (err) {
        edit.rollback();
        throw err;
      }
    });
    this.#last = run.catch(() => undefined); // the caller has the error; the next change must still run
    return run.catch((err: unknown) => {
      throw toStoreError(err);
    });
  }
}

function toStoreError(err: unknown): HostStoreError {
  if (err instanceof HostStoreError) return err;
  const isCorrupt = typeof err === 'object' && err !== null && 'code' in err && err.code === 'LEVEL_CORRUPTION';
  const code = isCorrupt ? 'HOST_STORE_CORRUPT' : 'HOST_STORE_UNAVAILABLE';
  return new HostStoreError(code, 'embedded store failed', { cause: err });
}

function toRow(prefix: string, [key, value]: [string, unknown]): EvidenceRow {
  return { field: key.slice(prefix.length), usage: toUsage(value as StoredUsage) }; // written by addUsage() only
}

async function recordBatch(edit: EmbeddedEdit, admission: Admission, batch: RecordBatch): Promise<void> {
  const key = `batch!${batch.source}`;
  const window = admitBatch((await edit.get<BatchWindow>(key)) ?? EMPTY_WINDOW, batch.sequence);
  if (window === undefined) return;
  edit.put(key, window);
  await recordSource(edit, batch);
  await edit.load(batch.observations.map(({ hostname }) => `host!${hostname}`));
  const groups = groupObservations(await admission.admit(edit, batch.observations));
  await edit.load(groups.flatMap((group) => rowKeys(edit, group)));
  for (const group of groups) recordGroup(edit, group);
  for (const count of batch.rejections) await recordRejection(edit, count);
}

/** The rows that a group may change. */
function rowKeys(edit: EmbeddedEdit, { hostname, rows }: ObservationGroup): readonly string[] {
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
function recordGroup(edit: EmbeddedEdit, group: ObservationGroup): void {
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

async function recordSource(edit: EmbeddedEdit, { source, sequence }: RecordBatch): Promise<void> {
  const key = `source!${source}`;
  const known = await edit.get<StoredSource>(key);
  edit.put(key, {
    ...known,
    batches: (known?.batches ?? 0) + 1,
    highestSequence: Math.max(known?.highestSequence ?? 0, sequence),
  } satisfies StoredSource);
}

async function recordRejection(edit: EmbeddedEdit, { reason, responses, examples }: RejectionCount): Promise<void> {
  const key = `reject!${reason}`;
  const known = await edit.get<RejectionCount>(key);
  edit.put(key, {
    reason: reason satisfies Rejection,
    responses: (known?.responses ?? 0) + responses,
    examples: mergeExamples(known?.examples ?? [], examples),
  } satisfies RejectionCount);
}
