import { ClassicLevel } from 'classic-level';
import { mkdir } from 'node:fs/promises';
import type { Hostname } from '../dns/hostname.js';
import type { RejectionCount } from '../observation/rejection.js';
import { Admission } from './embedded-admission.js';
import { addUsage, EmbeddedEdit, toUsage, type Level, type StoredHost, type StoredUsage } from './embedded-edit.js';
import { reading, toStoreError } from './embedded-error.js';
import { EmbeddedLedger } from './embedded-ledger.js';
import { listHosts, toRow } from './embedded-list.js';
import { recordBatch, recordRejections } from './embedded-record.js';
import { checkSchema, SCHEMA } from './embedded-schema.js';
import { pendingField, readEvidence, workloadField } from './evidence-fields.js';
import {
  applyDecision,
  applyFlag,
  applyPort,
  applyQuarantine,
  applyTransition,
  proposedCore,
  toRecord,
  type HostCore,
} from './host-core.js';
import type { HostRecord, HostSummary } from './host-record.js';
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
  type StoreLimits,
  type StoreOverflow,
  type StoreStatistics,
  type WildcardProposal,
} from './host-store.js';
import { HostStoreError } from './host-store-error.js';
import { LedgerStore } from './ledger-store.js';
import { ObservationFeed, type TailBatch } from './observation-feed.js';
import { connectStore, serveStore } from './store-socket.js';

interface EmbeddedStoreOptions {
  /** Whether a store of an older layout is brought up to date (the default), or refused with HOST_STORE_SCHEMA. */
  readonly mayTakeOver?: boolean;
}

/**
 * Opens the embedded store: a LevelDB database in one directory, for one process. An acknowledged batch is on disk and
 * survives `kill -9`. Other processes of the same user get at it through this one; see `store-socket.ts`.
 *
 * @throws HostStoreError HOST_STORE_LOCKED when another process has it open, HOST_STORE_SCHEMA when it is of a newer
 * version, HOST_STORE_UNAVAILABLE otherwise.
 */
export async function openEmbeddedStore(
  directory: string,
  limits: StoreLimits = STORE_LIMITS,
  { mayTakeOver = true }: EmbeddedStoreOptions = {},
): Promise<HostStore> {
  await mkdir(directory, { recursive: true });
  const level: Level = new ClassicLevel(directory, { valueEncoding: 'json' });
  try {
    await level.open();
  } catch (err) {
    throw openError(directory, err);
  }
  try {
    await checkSchema(level, { mayTakeOver });
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
    return await openEmbeddedStore(directory, limits, { mayTakeOver: false });
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

class EmbeddedStore extends LedgerStore implements HostStore {
  readonly #level: Level;
  readonly #admission: Admission;
  protected readonly ledger: EmbeddedLedger;
  /** One change at a time: each reads what it changes. */
  #last: Promise<void> = Promise.resolve();
  /** Batches that wait for the write that comes next, and that write. */
  readonly #waiting: RecordBatch[] = [];
  #nextRecord: Promise<void> | undefined;
  #server: Awaited<ReturnType<typeof serveStore>>;
  readonly #feed = new ObservationFeed();

  constructor(level: Level, admission: Admission) {
    super();
    this.#level = level;
    this.#admission = admission;
    this.ledger = new EmbeddedLedger(level, (change) => this.#exclusive(change));
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

  list(): AsyncGenerator<HostRecord> {
    return listHosts(this.#level);
  }

  summaries(): AsyncGenerator<HostSummary> {
    return listHosts(this.#level);
  }

  async get(hostname: Hostname): Promise<HostRecord | undefined> {
    const read = await reading(() => this.#level.get(`host!${hostname}`));
    if (read === undefined) return undefined;
    const stored = read as StoredHost; // written by record() only
    const prefix = `evidence!${hostname}!`;
    const entries = await reading(() => this.#level.iterator({ gte: prefix, lt: `evidence!${hostname}"` }).all());
    const rows = entries.map((entry) => toRow(prefix, entry));
    return toRecord(hostname, stored.core, readEvidence(rows));
  }

  attribute(attributions: readonly EvidenceAttribution[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const { hostname, evidence, workload, attribution } of attributions) {
        const usage = await takePending(edit, hostname, evidence);
        if (usage === undefined) continue;
        const to = `evidence!${hostname}!${workloadField(workload, attribution)}`;
        await edit.load([to]);
        addUsage(edit, to, toUsage(usage));
      }
    });
  }

  dismiss(evidence: readonly Pick<EvidenceAttribution, 'hostname' | 'evidence'>[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const { hostname, evidence: one } of evidence) await takePending(edit, hostname, one);
    });
  }

  countRejections(counts: readonly RejectionCount[]): Promise<void> {
    return this.#exclusive(async (edit) => recordRejections(edit, counts));
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

  async statistics(): Promise<StoreStatistics> {
    const startMs = performance.now();
    const stored = await reading(() => this.#level.get('overflow'));
    const overflow = (stored ?? NO_OVERFLOW) as StoreOverflow; // written by Admission only
    const { hosts } = this.#admission;
    return { kind: 'embedded', schema: SCHEMA, hosts, overflow, latencyMs: performance.now() - startMs };
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

/** Takes a row of pending evidence out; undefined when there is none. */
async function takePending(
  edit: EmbeddedEdit,
  hostname: Hostname,
  evidence: EvidenceAttribution['evidence'],
): Promise<StoredUsage | undefined> {
  const key = `evidence!${hostname}!${pendingField(evidence)}`;
  const usage = await edit.get<StoredUsage>(key);
  const stored = await edit.get<StoredHost>(`host!${hostname}`);
  if (usage === undefined || stored === undefined) return undefined;
  edit.delete(key);
  edit.put(`host!${hostname}`, { ...stored, pending: stored.pending - 1 });
  return usage;
}
