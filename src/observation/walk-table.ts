import { finish, mix } from './wire-name.js';

/**
 * Which clients have just walked which names along their search list: the evidence that `P.<suffix>` is an expansion of P
 * and not a name that somebody meant. Only the client's own walk counts, so no pod can discredit a name for another.
 *
 * A direct-mapped table: a newer walk overwrites an older one in the same slot. What is overwritten was evidence for a
 * few seconds only.
 */
export interface WalkTable {
  /** `stepHash` is the hash of the name that was walked, with one of {@link WALK_SALTS}. */
  note(client: number, stepHash: number): void;
  has(client: number, stepHash: number): boolean;
  /** When (Unix milliseconds); -Infinity where it is not known. */
  timeOf(client: number, stepHash: number): number;
  clear(): void;
}

/** Steps by where they were: below `svc` of the cluster's domain, below the domain itself, or the name as it is. */
export const WALK_SALTS = { service: 0x5bd1e995, domain: 0x1b873593, plain: 0 } as const;
export type WalkStepKind = keyof typeof WALK_SALTS;

const SLOTS = 65_536;

/** A resolver that gets no answer waits 5 s before it asks again (resolv.conf(5), `timeout`); a walk has several steps. */
export const WALK_MS = 10_000;

/** @param clock its first cell is the time of the response at hand; as an argument it would be allocated for each */
export function createWalkTable(clock: Float64Array): WalkTable {
  const keys = new Int32Array(SLOTS);
  const times = new Float64Array(SLOTS);
  const keyOf = (client: number, stepHash: number): number => finish(mix(stepHash, client)) | 1; // 0 is an empty slot
  function timeOf(client: number, stepHash: number): number {
    const key = keyOf(client, stepHash);
    return keys[key & (SLOTS - 1)] === key ? (times[key & (SLOTS - 1)] as number) : -Infinity;
  }

  return {
    note(client, stepHash) {
      const key = keyOf(client, stepHash);
      keys[key & (SLOTS - 1)] = key;
      times[key & (SLOTS - 1)] = clock[0] as number;
    },
    // Either way round: messages arrive slightly out of order.
    has: (client, stepHash) => Math.abs((clock[0] as number) - timeOf(client, stepHash)) <= WALK_MS,
    timeOf,
    clear: () => void keys.fill(0),
  };
}
