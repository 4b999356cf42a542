import type { LogFields, Logger, LogLevel } from '../../telemetry/logger.js';

/** Lines of one kind in a minute; the rest is counted in the next line of the kind. */
const MAX_LINES = 10;
const WINDOW_MS = 60_000;

interface Window {
  readonly sinceMs: number;
  lines: number;
  unlogged: number;
}

/**
 * Tells of connections, but not of each one of a peer that comes back a thousand times a second: lines of the same message
 * and code are bounded, and the first one after a pause says in `unlogged` how many were left out.
 */
export class ConnectionLog {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();

  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** `code` tells kinds of the same message apart; from a closed set. */
  tell(level: LogLevel, message: string, { code, ...fields }: LogFields & { readonly code?: string }): void {
    const kind = `${message} ${code}`;
    const nowMs = this.#now();
    const last = this.#windows.get(kind);
    const isOver = last === undefined || nowMs - last.sinceMs >= WINDOW_MS;
    const window = isOver ? { sinceMs: nowMs, lines: 0, unlogged: last?.unlogged ?? 0 } : last;
    this.#windows.set(kind, window);
    if (window.lines >= MAX_LINES) {
      window.unlogged += 1;
      return;
    }
    const { unlogged } = window;
    window.lines += 1;
    window.unlogged = 0;
    this.#log[level]({ ...fields, ...(code !== undefined && { code }), ...(unlogged > 0 && { unlogged }) }, message);
  }
}
