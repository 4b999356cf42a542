import type { Rejection, RejectionCount } from '../observation/rejection.js';
import { admitBatch, EMPTY_WINDOW, type BatchWindow } from './batch-window.js';
import type { Admission } from './embedded-admission.js';
import { addUsage, type EmbeddedEdit, type StoredHost } from './embedded-edit.js';
import type { StoredSource } from './embedded-ledger.js';
import { MAX_PENDING, mergeCore } from './host-core.js';
import type { RecordBatch } from './host-store.js';
import { groupObservations, type ObservationGroup } from './observation-group.js';
import { mergeExamples } from './rejection-examples.js';

/** Merges a batch, unless it was recorded before. */
export async function recordBatch(edit: EmbeddedEdit, admission: Admission, batch: RecordBatch): Promise<void> {
  const key = `batch!${batch.source}`;
  const window = admitBatch((await edit.get<BatchWindow>(key)) ?? EMPTY_WINDOW, batch.sequence);
  if (window === undefined) return;
  edit.put(key, window);
  await recordSource(edit, batch);
  await edit.load(batch.observations.map(({ hostname }) => `host!${hostname}`));
  const groups = groupObservations(await admission.admit(edit, batch.observations));
  await edit.load(groups.flatMap((group) => rowKeys(edit, group)));
  for (const group of groups) recordGroup(edit, group);
  await recordRejections(edit, batch.rejections);
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

/** Adds to the counts of what was not learnt. */
export async function recordRejections(edit: EmbeddedEdit, counts: readonly RejectionCount[]): Promise<void> {
  for (const count of counts) await recordRejection(edit, count);
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
