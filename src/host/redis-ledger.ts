import type { Rejection, RejectionCount } from '../observation/rejection.js';
import { readDeletion, sortDeletions } from './awaited-deletion.js';
import {
  addBoundedInterval,
  BLIND_REASONS,
  type BlindReason,
  type BlindWindow,
  type Interval,
} from './blind-window.js';
import { formatRule, readRules, type HostRule } from './host-rule.js';
import type { AwaitedDeletion, Ledger, SeenChange, SeenEntries, StoredRules } from './host-store.js';
import { blindKey, deletionsKey, rejectionsKey, rulesKey, seenKey, sourcesKey } from './keys.js';
import { pagesOf, type RedisCalls } from './redis-calls.js';
import { editField, setFields } from './redis-edit.js';
import { CLUSTER_FIELD, formatSeen, readSeen, seenField } from './seen-entry.js';
import { expiredSources, mergeReports, toSourceStatus, type SourceReport, type SourceStatus } from './source.js';

/** Fields and values of one command; even. There is one for each ServiceEntry, which may be more than a call takes. */
const PAGE_FIELDS = 2000;

/** What Redis keeps besides hosts: of sources, of what was not learnt, of people's rules, of entries and deletions that wait. */
export class RedisLedger implements Ledger {
  readonly #calls: RedisCalls;

  constructor(calls: RedisCalls) {
    this.#calls = calls;
  }

  async reportSource(report: SourceReport): Promise<SourceStatus> {
    const { source } = report;
    const field = `${source}|r`;
    const isNew = await editField(this.#calls, { key: sourcesKey(), field }, (text) =>
      JSON.stringify(mergeReports(text === '' ? undefined : (JSON.parse(text) as SourceReport), report)),
    );
    if (isNew) await this.#forgetSources(report.untilMs);
    const [text, counts] = await this.#calls.call((client) => client.hmget(sourcesKey(), field, `${source}|n`));
    return readSource(source, text, counts);
  }

  /** When a new one comes, those that are long gone go. */
  async #forgetSources(nowMs: number): Promise<void> {
    const expired = expiredSources(await this.sources(), nowMs);
    const reports = expired.flatMap((name) => [`${name}|r`, `${name}|n`]);
    await this.#delete(sourcesKey(), reports);
    const reasons = Object.keys(BLIND_REASONS);
    const windows = expired.flatMap((name) => reasons.map((reason) => `${name}|${reason}`));
    await this.#delete(blindKey(), windows);
  }

  async sources(): Promise<readonly SourceStatus[]> {
    const hash = await this.#calls.call((client) => client.hgetall(sourcesKey()));
    const names = new Set(Object.keys(hash).map((field) => field.slice(0, field.lastIndexOf('|'))));
    return [...names].sort().map((name) => readSource(name, hash[`${name}|r`], hash[`${name}|n`]));
  }

  async recordBlindWindow({ source, reason, fromMs, untilMs }: BlindWindow): Promise<void> {
    await editField(this.#calls, { key: blindKey(), field: `${source}|${reason}` }, (text) =>
      JSON.stringify(addBoundedInterval(readIntervals(text), [fromMs, untilMs])),
    );
  }

  async blindWindows(): Promise<readonly BlindWindow[]> {
    const hash = await this.#calls.call((client) => client.hgetall(blindKey()));
    return Object.keys(hash)
      .sort()
      .flatMap((field) => {
        const split = field.lastIndexOf('|');
        const source = field.slice(0, split);
        const reason = field.slice(split + 1) as BlindReason; // by recordBlindWindow()
        return readIntervals(hash[field] ?? '').map(([fromMs, untilMs]) => ({ source, reason, fromMs, untilMs }));
      });
  }

  async rules(): Promise<StoredRules> {
    const [version, text] = await this.#calls.call((client) => client.hmget(rulesKey(), 'v', 'r'));
    return readRules({ version: Number(version ?? 0), rules: (text ?? '').split('\n').filter((line) => line !== '') });
  }

  async setRules(rules: readonly HostRule[], version: number): Promise<boolean> {
    const [storedVersion, text] = await this.#calls.call((client) => client.hmget(rulesKey(), 'v', 'r'));
    if (Number(storedVersion ?? 0) !== version) return false;
    const fields = ['v', storedVersion ?? '', String(version + 1), 'r', text ?? '', rules.map(formatRule).join('\n')];
    return setFields(this.#calls, rulesKey(), fields);
  }

  async awaitedDeletions(): Promise<readonly AwaitedDeletion[]> {
    const hash = await this.#calls.call((client) => client.hgetall(deletionsKey()));
    return sortDeletions(Object.entries(hash).flatMap(([field, text]) => readDeletion(field, text)));
  }

  async awaitDeletions(deletions: readonly AwaitedDeletion[]): Promise<void> {
    const fields = deletions.flatMap(({ namespace, name, reason, sinceMs, plans }) => [
      `${namespace}/${name}`,
      JSON.stringify([reason, sinceMs, plans]),
    ]);
    await this.#set(deletionsKey(), fields);
  }

  async endDeletions(entries: readonly Pick<AwaitedDeletion, 'namespace' | 'name'>[]): Promise<void> {
    await this.#delete(
      deletionsKey(),
      entries.map(({ namespace, name }) => `${namespace}/${name}`),
    );
  }

  async seenEntries(): Promise<SeenEntries> {
    return readSeen(await this.#calls.call((client) => client.hgetall(seenKey())));
  }

  async noteSeen({ cluster, seen, gone }: SeenChange): Promise<void> {
    const fields = [
      ...seen.flatMap((entry) => [seenField(entry), formatSeen(entry)]),
      ...(cluster === undefined ? [] : [CLUSTER_FIELD, JSON.stringify(cluster)]),
    ];
    await this.#set(seenKey(), fields);
    await this.#delete(seenKey(), gone.map(seenField));
  }

  async rejections(): Promise<readonly RejectionCount[]> {
    return readRejections(await this.#calls.call((client) => client.hgetall(rejectionsKey())));
  }

  /** Field, value, field, value, … of any number. */
  async #set(key: string, fields: readonly string[]): Promise<void> {
    for (const page of pagesOf(fields, PAGE_FIELDS)) await this.#calls.call((client) => client.hset(key, ...page));
  }

  async #delete(key: string, fields: readonly string[]): Promise<void> {
    for (const page of pagesOf(fields, PAGE_FIELDS)) await this.#calls.call((client) => client.hdel(key, ...page));
  }
}

/** Counts as `lua/count-batch.ts` writes them. */
export function readRejections(hash: Readonly<Record<string, string>>): readonly RejectionCount[] {
  return Object.keys(hash)
    .filter((field) => !field.includes('|'))
    .sort()
    .map((reason) => ({
      reason: reason as Rejection, // written by record() only
      responses: Number(hash[reason]),
      examples: (hash[`${reason}|examples`] ?? '').split(' ').filter((name) => name !== ''),
    }));
}

/** A report as reportSource() writes it, and counts as lua/count-batch.ts does. */
function readSource(source: string, text: string | null | undefined, counts: string | null | undefined): SourceStatus {
  const [batches = 0, highestSequence = 0] = (counts ?? '0 0').split(' ').map(Number);
  const report = text === null || text === undefined ? {} : { report: JSON.parse(text) as SourceReport };
  return toSourceStatus(source, { ...report, batches, highestSequence });
}

function readIntervals(text: string): readonly Interval[] {
  return text === '' ? [] : (JSON.parse(text) as Interval[]); // by recordBlindWindow()
}
