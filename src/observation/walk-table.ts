import { finish, mix } from './wire-name.js';

/**
 * Which clients have just walked which names along their search list: the evidence that `P.<suffix>` is an expansion of P
 * and not a name that somebody meant. Only the client's own walk counts, so no pod can discredit a name for another.
 *
 * A direct-mapped table: a newer walk overwrites an older one in the same slot. What is overwritten was evidence for a
 * few seconds only.
 */
export interface WalkTable {
  note(client: number, prefixHash: number, atMs: number): void;
  hasWalked(client: number, prefixHash: number, atMs: number): boolean;
  clear(): void;
}

const SLOTS = 65_536;

/** A resolver that gets no answer waits 5 s before it asks again (resolv.conf(5), `timeout`); a walk has several steps. */
const WALK_MS = 10_000;

export function createWalkTable(): WalkTable {
  const keys = new Int32Array(SLOTS);
  const times = new Float64Array(SLOTS);
  const keyOf = (client: number, prefixHash: number): number => finish(mix(prefixHash, client)) | 1; // 0 is an empty slot
  return {
    note(client, prefixHash, atMs) {
      const key = keyOf(client, prefixHash);
      keys[key & (SLOTS - 1)] = key;
      times[key & (SLOTS - 1)] = atMs;
    },
    hasWalked(client, prefixHash, atMs) {
      const key = keyOf(client, prefixHash);
      // Either way round: messages arrive slightly out of order.
      return keys[key & (SLOTS - 1)] === key && Math.abs(atMs - (times[key & (SLOTS - 1)] as number)) <= WALK_MS;
    },
    clear: () => void keys.fill(0),
  };
}
