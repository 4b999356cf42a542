import { Cron } from 'croner';
import type { CronJobFacts } from './kubernetes-object.js';

/** Where `spec.timeZone` is not set, the time zone of kube-controller-manager counts, which is UTC in a container. */
const DEFAULT_TIME_ZONE = 'Etc/UTC';
const SECOND_MS = 1000;

/** When CronJobs run, as far as there are any. One that is deleted never runs again, so nothing is kept of it. */
export class CronSchedules {
  readonly #byName = new Map<string, CronJobFacts>();

  learn(cronJob: CronJobFacts): void {
    this.#byName.set(keyOf(cronJob), cronJob);
  }

  forget(cronJob: CronJobFacts): void {
    if (this.#byName.get(keyOf(cronJob))?.uid === cronJob.uid) this.#byName.delete(keyOf(cronJob));
  }

  all(): readonly CronJobFacts[] {
    return [...this.#byName.values()];
  }

  /**
   * How long it takes from a moment of one run to the same moment of the run after the next one (milliseconds). For ever
   * while the CronJob is suspended; undefined where there is none, or its schedule is none that can be read
   * (`@every 1h`, say).
   */
  twoPeriodsMs(cronJob: { readonly namespace: string; readonly name: string }, atMs: number): number | undefined {
    const known = this.#byName.get(keyOf(cronJob));
    if (known === undefined) return undefined;
    return known.isSuspended ? Infinity : twoPeriodsOf(known, atMs);
  }
}

function twoPeriodsOf({ schedule, timeZone = DEFAULT_TIME_ZONE }: CronJobFacts, atMs: number): number | undefined {
  // A run begins with a second; what happens within that second belongs to it.
  const reference = new Date((Math.floor(atMs / SECOND_MS) + 1) * SECOND_MS);
  try {
    const cron = new Cron(schedule, { timezone: timeZone, paused: true, mode: '5-part' });
    const [last] = cron.previousRuns(1, reference);
    const [, afterNext] = cron.nextRuns(2, reference);
    return last === undefined || afterNext === undefined ? undefined : afterNext.getTime() - last.getTime();
  } catch {
    return undefined; // neither the schedule nor the time zone is ours: the API server took them
  }
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
