/** Why a source did not see look-ups. */
export const BLIND_REASONS = {
  'not-connected': 'no DNS server was connected',
  'sequence-gap': 'a batch is missing',
  dropped: 'the collector dropped observations because its memory was full',
  'store-unavailable': 'what was seen was lost because the store was away',
} as const;
export type BlindReason = keyof typeof BLIND_REASONS;

/** A time during which a source did not see look-ups, or not all of them (Unix milliseconds). */
export interface BlindWindow {
  readonly source: string;
  readonly reason: BlindReason;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Windows kept of one source and reason; over it the two with the least time between them become one. */
export const MAX_BLIND_WINDOWS = 64;

export type Interval = readonly [fromMs: number, untilMs: number];

/** Adds an interval to sorted, disjoint ones; what touches becomes one. */
export function addInterval(known: readonly Interval[], [fromMs, untilMs]: Interval): readonly Interval[] {
  const before = known.filter(([, until]) => until < fromMs);
  const after = known.filter(([from]) => from > untilMs);
  const touching = known.filter(([from, until]) => until >= fromMs && from <= untilMs);
  const merged: Interval = [
    Math.min(fromMs, ...touching.map(([from]) => from)),
    Math.max(untilMs, ...touching.map(([, until]) => until)),
  ];
  return [...before, merged, ...after];
}

/** As {@link addInterval}, in bounded memory: too many grow together, so that too much counts as blind, never too little. */
export function addBoundedInterval(known: readonly Interval[], more: Interval): readonly Interval[] {
  const intervals = [...addInterval(known, more)];
  while (intervals.length > MAX_BLIND_WINDOWS) {
    let closest = 1;
    const gap = (index: number): number => (intervals[index]?.[0] ?? Infinity) - (intervals[index - 1]?.[1] ?? 0);
    for (let index = 2; index < intervals.length; index++) if (gap(index) < gap(closest)) closest = index;
    const [from] = intervals[closest - 1] ?? more;
    const [, until] = intervals[closest] ?? more;
    intervals.splice(closest - 1, 2, [from, until]);
  }
  return intervals;
}
