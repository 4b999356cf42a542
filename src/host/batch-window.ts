/**
 * Which batches of a source were recorded: the highest sequence and, of the last {@link BATCH_WINDOW}, each that was.
 * A source has one batch under way at a time, so a retry or a replay is always within the window or below it.
 */
export interface BatchWindow {
  readonly highest: number;
  /** Sorted. */
  readonly recorded: readonly number[];
}

export const BATCH_WINDOW = 256;

export const EMPTY_WINDOW: BatchWindow = { highest: 0, recorded: [] };

/** The window with `sequence` in it; undefined when it was recorded before. */
export function admitBatch(window: BatchWindow, sequence: number): BatchWindow | undefined {
  if (sequence <= window.highest - BATCH_WINDOW || window.recorded.includes(sequence)) return undefined;
  const highest = Math.max(window.highest, sequence);
  const recorded = [...window.recorded, sequence].filter((n) => n > highest - BATCH_WINDOW).sort((a, b) => a - b);
  return { highest, recorded };
}
