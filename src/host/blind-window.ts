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

/**
 * The times during which nothing was missed: some source lived, and none that lived was blind. Where nobody is known to
 * have watched, nobody has: a life ends with the last time up to which the store had all that the source had seen.
 */
export function watchedTime(
  sources: readonly { readonly source: string; readonly fromMs: number; readonly untilMs: number }[],
  windows: readonly BlindWindow[],
): readonly Interval[] {
  const lives = union(sources.map(({ fromMs, untilMs }) => [fromMs, untilMs]));
  const blind = union(windows.map(({ fromMs, untilMs }) => [fromMs, untilMs]));
  return lives.flatMap((life) => without(life, blind));
}

/** How much of the time from `fromMs` to `untilMs` lies in sorted, disjoint intervals. */
export function timeWithin(intervals: readonly Interval[], fromMs: number, untilMs: number): number {
  let sum = 0;
  for (let i = intervals.length - 1; i >= 0; i--) {
    const [from, until] = intervals[i] as Interval; // i is an index of it
    if (until <= fromMs) break;
    sum += Math.max(0, Math.min(until, untilMs) - Math.max(from, fromMs));
  }
  return sum;
}

function union(intervals: readonly Interval[]): readonly Interval[] {
  const merged: [number, number][] = [];
  for (const [fromMs, untilMs] of intervals.toSorted(([a], [b]) => a - b)) {
    const last = merged.at(-1);
    if (last !== undefined && fromMs <= last[1]) last[1] = Math.max(last[1], untilMs);
    else if (untilMs > fromMs) merged.push([fromMs, untilMs]);
  }
  return merged;
}

function without([fromMs, untilMs]: Interval, holes: readonly Interval[]): readonly Interval[] {
  const rest: Interval[] = [];
  let start = fromMs;
  for (const [from, until] of holes) {
    if (until <= start) continue;
    if (from >= untilMs) break;
    if (from > start) rest.push([start, from]);
    start = until;
  }
  if (start < untilMs) rest.push([start, untilMs]);
  return rest;
}
