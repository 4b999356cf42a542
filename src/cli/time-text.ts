/** The day of the time asked for last: those of a list are much alike, and a Date costs more than all else of its row. */
let latest = { dayMs: NaN, text: '' };

/** `2026-01-31 12:34:56`, in UTC. */
export function timeText(atMs: number): string {
  const dayMs = Math.floor(atMs / DAY_MS) * DAY_MS;
  if (dayMs !== latest.dayMs) latest = { dayMs, text: dayText(dayMs) };
  const seconds = Math.floor((atMs - dayMs) / 1000);
  return `${latest.text} ${twoDigits(seconds / 3600)}:${twoDigits((seconds / 60) % 60)}:${twoDigits(seconds % 60)}`;
}

const DAY_MS = 86_400_000;
const twoDigits = (value: number): string => (value < 10 ? '0' : '') + Math.trunc(value);

/** `2026-01-31` */
export function dayText(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const;

/** The largest unit that fits, rounded down: `3 days`, `1 hour`. */
export function durationText(durationMs: number): string {
  const [name, unitMs] = UNITS.find(([, ms]) => durationMs >= ms) ?? ['second', 1000];
  return countText(Math.floor(durationMs / unitMs), name);
}

/** `1 host`, `3 hosts`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** The same value with each `…Ms` as `…` in ISO 8601, for people and scripts. */
export function withIsoTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withIsoTimes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) =>
      key.endsWith('Ms') && key !== 'latencyMs' && typeof item === 'number'
        ? [key.slice(0, -2), item === 0 ? null : new Date(item).toISOString()]
        : [key, withIsoTimes(item)],
    ),
  );
}
