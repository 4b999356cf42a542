import { CronSchedules } from '../../src/workload/cron-schedules.js';
import { readKubernetesObject, type CronJobFacts } from '../../src/workload/kubernetes-object.js';

const DAY_MS = 86_400_000;
const JOB = { namespace: 'shop', name: 'report' };

function cronJob(spec: object): CronJobFacts {
  // Safe: the object is a CronJob with a name.
  return readKubernetesObject({ kind: 'CronJob', metadata: { ...JOB, uid: 'u1' }, spec }) as CronJobFacts;
}

function twoPeriodsMs(spec: object, at: string): number | undefined {
  const schedules = new CronSchedules();
  schedules.learn(cronJob(spec));
  return schedules.twoPeriodsMs(JOB, Date.parse(at));
}

it.each([
  ['*/5 * * * *', '2026-01-05T10:02:00Z', 600_000],
  ['0 0 1 * *', '2026-01-01T00:00:00Z', 59 * DAY_MS],
  ['0 0 1 * *', '2026-01-01T00:00:00.900Z', 59 * DAY_MS],
  ['@monthly', '2026-07-10T03:00:00Z', 62 * DAY_MS],
  ['0 9 * * MON-FRI', '2026-01-09T09:30:00Z', 4 * DAY_MS], // Friday, Monday, Tuesday
  ['0 0 13 * FRI', '2026-01-10T00:00:00Z', 7 * DAY_MS], // Friday 9, Tuesday 13, Friday 16
  ['0 0 29 2 *', '2026-01-01T00:00:00Z', 2922 * DAY_MS],
])('two periods of %s from %s on are those of its runs', (schedule, at, expected) => {
  expect(twoPeriodsMs({ schedule }, at)).toBe(expected);
});

it('counts in the time zone of the CronJob, in which a day can have 23 hours', () => {
  const schedule = { schedule: '0 12 * * *', timeZone: 'Europe/Berlin' };
  expect(twoPeriodsMs(schedule, '2026-03-28T11:30:00Z')).toBe(2 * DAY_MS - 3_600_000);
});

it('a suspended CronJob is waited for', () => {
  expect(twoPeriodsMs({ schedule: '@daily', suspend: true }, '2026-01-01T00:00:00Z')).toBe(Infinity);
});

it.each(['@every 1h', '0 0 31 2 *', 'TZ=UTC 0 0 1 * *', '* * * * * *', ''])('%j tells nothing', (schedule) => {
  expect(twoPeriodsMs({ schedule }, '2026-01-01T00:00:00Z')).toBeUndefined();
});

it('a time zone that is not known here tells nothing', () => {
  expect(twoPeriodsMs({ schedule: '@daily', timeZone: 'Nowhere/Town' }, '2026-01-01T00:00:00Z')).toBeUndefined();
});

it('nothing is known of a CronJob that is deleted, unless another has come in its place', () => {
  const schedules = new CronSchedules();
  const old = cronJob({ schedule: '@daily' });
  schedules.learn({ ...old, uid: 'u2' });
  schedules.forget(old);
  expect(schedules.twoPeriodsMs(JOB, 0)).toBe(2 * DAY_MS);
  schedules.forget({ ...old, uid: 'u2' });
  expect(schedules.twoPeriodsMs(JOB, 0)).toBeUndefined();
});
