import { REJECTIONS, type Rejection, type RejectionCount } from './rejection.js';

/** Counts rejected responses by reason, with a few names of each for people to look at. */
export interface RejectionCounter {
  /** Counts; true when the name with this hash would be a new example, to be given with {@link addExample}. */
  count(reason: number, responses: number, nameHash: number): boolean;
  addExample(reason: number, nameHash: number, name: string): void;
  /** What was counted since the last drain, in order of the reason. */
  drain(): readonly RejectionCount[];
  /** All responses by reason since the start, for metrics. */
  totals(): ReadonlyMap<Rejection, number>;
}

/** Names kept as examples per reason. */
export const MAX_EXAMPLES = 8;

// Sorted, so that the index of a reason is its place in every list.
export const REJECTIONS_BY_INDEX = (Object.keys(REJECTIONS) as Rejection[]).sort(); // the keys of a const object

/** Reasons as numbers, for the hot path. */
export const REJECTION_INDEX: Readonly<Record<Rejection, number>> = Object.fromEntries(
  REJECTIONS_BY_INDEX.map((name, index) => [name, index]),
) as Record<Rejection, number>; // built from all its keys

export function createRejectionCounter(): RejectionCounter {
  const counts = new Float64Array(REJECTIONS_BY_INDEX.length);
  const totals = new Float64Array(REJECTIONS_BY_INDEX.length);
  const examples = REJECTIONS_BY_INDEX.map(() => ({ hashes: new Set<number>(), fresh: [] as string[] }));
  return {
    count(reason, responses, nameHash) {
      counts[reason] = (counts[reason] as number) + responses; // reason comes from REJECTION_INDEX
      const { hashes } = examples[reason] as (typeof examples)[number];
      return hashes.size < MAX_EXAMPLES && !hashes.has(nameHash);
    },
    addExample(reason, nameHash, name) {
      examples[reason]?.hashes.add(nameHash);
      examples[reason]?.fresh.push(name);
    },
    drain() {
      const drained = REJECTIONS_BY_INDEX.flatMap((reason, index) => {
        const responses = counts[index] ?? 0;
        const fresh = examples[index]?.fresh.splice(0) ?? [];
        totals[index] = (totals[index] ?? 0) + responses;
        return responses === 0 ? [] : [{ reason, responses, examples: fresh.sort() }];
      });
      counts.fill(0);
      return drained;
    },
    totals: () =>
      new Map(REJECTIONS_BY_INDEX.map((reason, index) => [reason, (totals[index] ?? 0) + (counts[index] ?? 0)])),
  };
}
