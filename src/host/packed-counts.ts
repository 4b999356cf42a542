/**
 * Counts of days in few characters: five bits each, the last of a number from `_` to `~`, those before it from `?` to `^`.
 * So numbers need nothing between them, and decimal digits before one can say something else.
 */
const LAST = 0x5f;
const BEFORE = 0x3f;
const BASE = 32;
const ZERO = 0x30;

export function packCount(count: number): string {
  let text = String.fromCharCode(LAST + (count % BASE));
  for (let rest = Math.floor(count / BASE); rest > 0; rest = Math.floor(rest / BASE)) {
    text = String.fromCharCode(BEFORE + (rest % BASE)) + text;
  }
  return text;
}

/** The counts of a text, each with the number that its decimal digits before it make, 0 where there are none. */
export function unpackCounts(text: string): readonly (readonly [digits: number, count: number])[] {
  const counts: (readonly [number, number])[] = [];
  let [digits, count] = [0, 0];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < BEFORE) digits = digits * 10 + code - ZERO;
    else if (code < LAST) count = count * BASE + code - BEFORE;
    else {
      counts.push([digits, count * BASE + code - LAST]);
      [digits, count] = [0, 0];
    }
  }
  return counts;
}
