import { decideRepair, isGivenUp, isSettled, type RepairAttempts } from '../../src/install/repair-attempts.js';

const MINUTE = 60_000;
const STARTED = Date.UTC(2026, 0, 31);

/** When it is tried, in minutes, where each attempt is undone at once and somebody asks every five minutes for two days. */
function triedAt(): readonly number[] {
  const tried: number[] = [];
  let before: RepairAttempts | undefined;
  for (let minute = 0; minute < 2 * 24 * 60; minute += 5) {
    const decision = decideRepair(before, STARTED + minute * MINUTE);
    if (decision.when !== 'now') continue;
    before = decision.attempts;
    tried.push(minute);
  }
  return tried;
}

it('waits longer after each attempt, and makes five', () => {
  expect(triedAt()).toEqual([0, 10, 30, 70, 150]);
});

it('says when the next attempt is', () => {
  expect(decideRepair({ attempts: 3, lastAtMs: STARTED }, STARTED)).toEqual({
    when: 'later',
    atMs: STARTED + 40 * MINUTE,
  });
});

it('has given up once the fifth attempt is over', () => {
  const fifth = { attempts: 5, lastAtMs: STARTED };
  expect(isGivenUp(fifth, STARTED)).toBe(false);
  expect(isGivenUp(fifth, STARTED + 10 * MINUTE)).toBe(true);
  expect(isGivenUp({ attempts: 4, lastAtMs: STARTED }, STARTED + 10 * MINUTE)).toBe(false);
  expect(isGivenUp(undefined, STARTED)).toBe(false);
});

it('is done with an attempt that has held for a day', () => {
  const once = { attempts: 1, lastAtMs: STARTED };
  expect(isSettled(once, STARTED + 23 * 60 * MINUTE)).toBe(false);
  expect(isSettled(once, STARTED + 24 * 60 * MINUTE)).toBe(true);
});
