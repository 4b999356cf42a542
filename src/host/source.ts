import type { Origin } from '../observation/observation.js';

/**
 * What a source (one life of a collector, or a capture) says about itself, from time to time: `untilMs` is its heartbeat.
 * Of several reports the latest counts; the life reaches from the earliest `fromMs` to the latest `untilMs`.
 */
export interface SourceReport {
  readonly source: string;
  readonly kind: Origin;
  /** What people know it by: the collector's pod, the capture's file. */
  readonly name: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** DNS servers that are connected now. */
  readonly connections: number;
  /** Observations lost so far. */
  readonly lost: number;
}

/** A source and what the store has of it. */
export interface SourceStatus extends SourceReport {
  /** Batches recorded, and the highest of their sequences. */
  readonly batches: number;
  readonly highestSequence: number;
  /** Batches below the highest that have not come. */
  readonly missingBatches: number;
}

/** A source is forgotten this long after its last report or batch. */
export const SOURCE_TTL_MS = 400 * 86_400_000;

/** Sources kept; over it the one that ended first goes. */
export const MAX_SOURCES = 4096;

export function mergeReports(known: SourceReport | undefined, more: SourceReport): SourceReport {
  if (known === undefined) return more;
  const latest = more.untilMs >= known.untilMs ? more : known;
  return { ...latest, fromMs: Math.min(known.fromMs, more.fromMs) };
}

/** A source of which nothing but batches is known has no life yet: it covers no time. */
export function toSourceStatus(
  source: string,
  stored: { readonly report?: SourceReport; readonly batches: number; readonly highestSequence: number },
): SourceStatus {
  const { batches, highestSequence } = stored;
  const unknown: SourceReport = { source, kind: 'dnstap', name: '', fromMs: 0, untilMs: 0, connections: 0, lost: 0 };
  const missingBatches = Math.max(0, highestSequence - batches);
  return { ...(stored.report ?? unknown), batches, highestSequence, missingBatches };
}

/** The sources that may be forgotten when a new one reports. */
export function expiredSources(sources: readonly SourceStatus[], nowMs: number): readonly string[] {
  const reported = sources.filter(({ untilMs }) => untilMs > 0).toSorted((a, b) => b.untilMs - a.untilMs);
  return reported
    .filter(({ untilMs }, index) => untilMs < nowMs - SOURCE_TTL_MS || index >= MAX_SOURCES - 1)
    .map(({ source }) => source);
}
