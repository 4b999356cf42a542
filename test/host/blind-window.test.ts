import fc from 'fast-check';
import {
  addBoundedInterval,
  addInterval,
  MAX_BLIND_WINDOWS,
  timeWithin,
  watchedTime,
  type Interval,
} from '../../src/host/blind-window.js';

const interval = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 20 }))
  .map(([from, length]): Interval => [from, from + length]);
const isIn = (intervals: readonly Interval[], atMs: number): boolean =>
  intervals.some(([from, until]) => from <= atMs && atMs < until);

it('intervals stay sorted and apart, and the order in which they come does not matter', () => {
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 12 }), (intervals) => {
      const add = (known: readonly Interval[], more: Interval) => addInterval(known, more);
      const merged = intervals.reduce(add, [] as readonly Interval[]);
      expect(intervals.toReversed().reduce(add, [] as readonly Interval[])).toEqual(merged);
      for (let atMs = 0; atMs < 90; atMs++) expect(isIn(merged, atMs)).toBe(isIn(intervals, atMs));
      merged.slice(1).forEach(([from], index) => expect(from).toBeGreaterThan(merged[index]?.[1] ?? Infinity));
    }),
  );
});

it('too many become fewer, which cover more, never less', () => {
  let known: readonly Interval[] = [];
  const all = Array.from({ length: 200 }, (_, index): Interval => [index * index * 10, index * index * 10 + 5]);
  for (const one of all) known = addBoundedInterval(known, one);
  expect(known).toHaveLength(MAX_BLIND_WINDOWS);
  for (const [from, until] of all) expect(timeWithin(known, from, until)).toBe(until - from);
});

it('somebody watches when a source lives and none that lives is blind', () => {
  const life = (source: string, fromMs: number, untilMs: number) => ({ source, fromMs, untilMs });
  const blind = (fromMs: number, untilMs: number) => ({ source: 'one', reason: 'dropped' as const, fromMs, untilMs });
  expect(watchedTime([], [])).toEqual([]);
  expect(watchedTime([life('one', 10, 20), life('two', 15, 30), life('three', 40, 50)], [])).toEqual([
    [10, 30],
    [40, 50],
  ]);
  expect(watchedTime([life('one', 10, 20), life('two', 15, 50)], [blind(5, 12), blind(14, 16), blind(45, 60)])).toEqual(
    [
      [12, 14],
      [16, 45],
    ],
  );
});

it('watched time is what moment by moment is', () => {
  fc.assert(
    fc.property(
      fc.array(interval, { maxLength: 6 }),
      fc.array(interval, { maxLength: 6 }),
      interval,
      (lives, holes, [from, until]) => {
        const sources = lives.map(([fromMs, untilMs], index) => ({ source: `s${index}`, fromMs, untilMs }));
        const windows = holes.map(([fromMs, untilMs]) => ({
          source: 's0',
          reason: 'not-connected' as const,
          fromMs,
          untilMs,
        }));
        let expected = 0;
        for (let atMs = from; atMs < until; atMs++) if (isIn(lives, atMs) && !isIn(holes, atMs)) expected++;
        expect(timeWithin(watchedTime(sources, windows), from, until)).toBe(expected);
      },
    ),
  );
});
