import { addBoundedInterval, type BlindReason, type BlindWindow, type Interval } from '../host/blind-window.js';
import type { HostStore } from '../host/host-store.js';
import type { Logger } from '../telemetry/logger.js';

export interface SourceWatchOptions {
  readonly store: Pick<HostStore, 'reportSource' | 'recordBlindWindow'>;
  readonly source: string;
  /** What people know the source by. */
  readonly name: string;
  /** When the source began to watch. */
  readonly fromMs: number;
  readonly log: Logger;
}

/** What a recorder knows when it has recorded something. */
export interface RecordedProgress {
  /** All that was seen before is recorded. */
  readonly untilMs: number;
  /** Observations lost so far. */
  readonly lost: number;
  /** Whether the store was away meanwhile. */
  readonly wasAway: boolean;
  /** Tell the store now, however lately it was told. */
  readonly isLast?: boolean;
}

/** The store is told no more often than this, unless something has changed. */
const REPORT_MS = 10_000;

/** A Redis that writes no log saves after 15 minutes at the latest (`save 900 1` in the redis.conf that it comes with). */
const MAX_LOSS_MS = 900_000;

/**
 * How long after one of several connections has ended its DNS server may still be without a tap: CoreDNS dials again every
 * 10 s (coredns/coredns `plugin/dnstap/io.go`), and a pod takes a while to start. One that was scaled away costs this much
 * time of watching, once.
 */
const RECONNECT_MS = 60_000;

/**
 * Keeps account of when a collector watched and when it was blind, and tells the store. Its life in the store ends with what
 * is recorded, so what is lost at the end needs no window: nobody is known to have watched.
 *
 * ```
 *   connections   2 ──┐cut         ┌── 2 ──┐STOP     ┐STOP      ┌── 1
 *                     └──── 1 ─────┘       └─── 1 ───┘─── 0 ────┘
 *   blind             |------------|                 |----------|
 * ```
 */
export class SourceWatch {
  readonly #options: SourceWatchOptions;
  /** Not yet told. */
  readonly #windows = new Map<BlindReason, readonly Interval[]>();
  #connections = 0;
  /** Since when one is missing that should be connected. */
  #missingSinceMs: number | undefined;
  #lost = 0;
  #missingBatches = 0;
  #reportedMs = -Infinity;
  #reportedUntilMs: number;
  #hasNews = true;
  /** Whether the last report failed. */
  #isMute = false;

  constructor(options: SourceWatchOptions) {
    this.#options = options;
    this.#reportedUntilMs = options.fromMs;
    this.#missingSinceMs = options.fromMs;
  }

  /**
   * That so many DNS servers are connected from now on. `wasCut`: one went without saying so; one that said so, as at a
   * reload or at its end, is missed only if no other is left.
   */
  noteConnections(connections: number, { atMs, wasCut }: { readonly atMs: number; readonly wasCut: boolean }): void {
    const isMore = connections > this.#connections;
    this.#connections = connections;
    this.#hasNews = true;
    if (isMore) this.#endMissing(atMs);
    else if (wasCut || connections === 0) this.#missingSinceMs ??= atMs;
  }

  /** Tells the store what is new. Fails quietly: what was not told is told the next time. */
  async report({ untilMs, lost, wasAway, isLast = false }: RecordedProgress): Promise<void> {
    if (lost > this.#lost) {
      this.#addWindow(wasAway ? 'store-unavailable' : 'dropped', [this.#reportedUntilMs, untilMs]);
      this.#lost = lost;
      this.#hasNews = true;
    }
    this.#noteMissing(untilMs);
    if (!isLast && !this.#hasNews && untilMs - this.#reportedMs < REPORT_MS) return;
    try {
      await this.#tell(untilMs);
      this.#isMute = false;
    } catch (err) {
      const level = this.#isMute ? 'debug' : 'warn'; // the store may be away for hours
      this.#isMute = true;
      this.#options.log[level]({ err }, 'blind windows not told; they are told the next time');
    }
  }

  async #tell(untilMs: number): Promise<void> {
    const { store, source, name, fromMs } = this.#options;
    // First the windows: a life without them would say that somebody watched.
    for (const window of this.#openWindows()) await store.recordBlindWindow(window);
    const connections = this.#connections;
    const report = { source, kind: 'dnstap', name, fromMs, untilMs, connections, lost: this.#lost } as const;
    const { missingBatches } = await store.reportSource(report);
    if (missingBatches > this.#missingBatches) {
      // The store has lost what it had acknowledged, as at a fail-over of Redis.
      const lostFromMs = Math.max(fromMs, this.#reportedUntilMs - MAX_LOSS_MS);
      await store.recordBlindWindow({ source, reason: 'sequence-gap', fromMs: lostFromMs, untilMs });
    }
    this.#missingBatches = missingBatches;
    this.#windows.clear();
    this.#hasNews = false;
    this.#reportedMs = untilMs;
    this.#reportedUntilMs = untilMs;
  }

  #openWindows(): readonly BlindWindow[] {
    const { source } = this.#options;
    return [...this.#windows].flatMap(([reason, intervals]) =>
      intervals.map(([fromMs, untilMs]): BlindWindow => ({ source, reason, fromMs, untilMs })),
    );
  }

  #noteMissing(untilMs: number): void {
    const sinceMs = this.#missingSinceMs;
    if (sinceMs === undefined || untilMs <= sinceMs) return;
    const isOver = this.#connections > 0 && untilMs - sinceMs >= RECONNECT_MS;
    if (isOver) this.#endMissing(untilMs);
    else this.#addWindow('not-connected', [sinceMs, untilMs]);
  }

  #endMissing(atMs: number): void {
    const sinceMs = this.#missingSinceMs;
    this.#missingSinceMs = undefined;
    if (sinceMs !== undefined && atMs > sinceMs) this.#addWindow('not-connected', [sinceMs, atMs]);
  }

  #addWindow(reason: BlindReason, interval: Interval): void {
    this.#windows.set(reason, addBoundedInterval(this.#windows.get(reason) ?? [], interval));
  }
}
