import type { RejectionCount } from '../observation/rejection.js';
import { sortDeletions } from './awaited-deletion.js';
import {
  addBoundedInterval,
  BLIND_REASONS,
  type BlindReason,
  type BlindWindow,
  type Interval,
} from './blind-window.js';
import type { EmbeddedEdit, Level } from './embedded-edit.js';
import { reading } from './embedded-error.js';
import { formatRule, readRules, type HostRule } from './host-rule.js';
import type {
  AwaitedDeletion,
  Ledger,
  SeenChange,
  SeenCluster,
  SeenEntries,
  SeenEntry,
  StoredRules,
} from './host-store.js';
import { seenField, sortSeen } from './seen-entry.js';
import { expiredSources, mergeReports, toSourceStatus, type SourceReport, type SourceStatus } from './source.js';

export interface StoredSource {
  readonly report?: SourceReport;
  readonly batches: number;
  readonly highestSequence: number;
}

interface StoredRuleText {
  readonly version: number;
  readonly rules: readonly string[];
}

/** Makes one change at a time. */
export type Exclusive = (change: (edit: EmbeddedEdit) => Promise<void>) => Promise<void>;

/** What the embedded store keeps besides hosts: of sources, of what was not learnt, of people's rules, of entries and deletions that wait. */
export class EmbeddedLedger implements Ledger {
  readonly #level: Level;
  readonly #exclusive: Exclusive;

  constructor(level: Level, exclusive: Exclusive) {
    this.#level = level;
    this.#exclusive = exclusive;
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
    const entries = await reading(() => this.#level.iterator({ gte: 'source!', lt: 'source"' }).all());
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
    const entries = await reading(() => this.#level.iterator({ gte: 'blind!', lt: 'blind"' }).all());
    return entries.flatMap(([key, value]) => {
      const split = key.lastIndexOf('!');
      const source = key.slice('blind!'.length, split);
      const reason = key.slice(split + 1) as BlindReason; // written by recordBlindWindow() only
      return (value as readonly Interval[]).map(([fromMs, untilMs]) => ({ source, reason, fromMs, untilMs }));
    });
  }

  async rules(): Promise<StoredRules> {
    const stored = await reading(() => this.#level.get('rules'));
    return readRules(stored as StoredRuleText | undefined); // written by setRules() only
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

  async awaitedDeletions(): Promise<readonly AwaitedDeletion[]> {
    const entries = await reading(() => this.#level.values({ gte: 'deletion!', lt: 'deletion"' }).all());
    return sortDeletions(entries as AwaitedDeletion[]); // written by awaitDeletions() only
  }

  awaitDeletions(deletions: readonly AwaitedDeletion[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const deletion of deletions) edit.put(`deletion!${deletion.namespace}/${deletion.name}`, deletion);
    });
  }

  endDeletions(entries: readonly Pick<AwaitedDeletion, 'namespace' | 'name'>[]): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const { namespace, name } of entries) edit.delete(`deletion!${namespace}/${name}`);
    });
  }

  async seenEntries(): Promise<SeenEntries> {
    const cluster = await reading(() => this.#level.get('seen-cluster'));
    const entries = await reading(() => this.#level.values({ gte: 'seen!', lt: 'seen"' }).all());
    return {
      ...(cluster !== undefined && { cluster: cluster as SeenCluster }), // both written by noteSeen() only
      entries: sortSeen(entries as SeenEntry[]),
    };
  }

  noteSeen({ cluster, seen, gone }: SeenChange): Promise<void> {
    return this.#exclusive(async (edit) => {
      for (const entry of seen) edit.put(`seen!${seenField(entry)}`, entry);
      for (const entry of gone) edit.delete(`seen!${seenField(entry)}`);
      if (cluster !== undefined) edit.put('seen-cluster', cluster);
    });
  }

  async rejections(): Promise<readonly RejectionCount[]> {
    // In order of the key, which is the order of the reason; written by record() only.
    return (await reading(() => this.#level.values({ gte: 'reject!', lt: 'reject"' }).all())) as RejectionCount[];
  }
}
