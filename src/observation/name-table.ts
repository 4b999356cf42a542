import { MAX_PROBES } from './wire-name.js';

/**
 * Question names as small numbers.
 *
 * ```
 *   slots    [ . | 7 | . | 2 | … ]         open addressing, twice as many as names; holds id + 1
 *   rows     [ hash octets offset . | … ]  per name: hash, length of the wire form, first word in the arena
 *   arena    [ w w w | w w | w w w w | … ] folded names, back to back (see wire-name.ts)
 * ```
 */
export interface NameTable {
  /** Id of a folded name; a new one has `id === size before`. -1 when the table or the arena is full. */
  idOf(words: Int32Array, octets: number, hash: number): number;
  size(): number;
  clear(): void;
}

const ROW = 4; // a quarter of a cache line
const [HASH, OCTETS, OFFSET] = [0, 1, 2] as const;
const MEAN_NAME_WORDS = 12; // room in the arena; names of pods' look-ups average 30 to 45 octets

export function createNameTable(maxNames: number): NameTable {
  const mask = 2 ** Math.ceil(Math.log2(maxNames * 2)) - 1;
  const slots = new Int32Array(mask + 1);
  const rows = new Int32Array(maxNames * ROW);
  const arena = new Int32Array(maxNames * MEAN_NAME_WORDS);
  let count = 0;
  let used = 0;

  function isSame(id: number, words: Int32Array, octets: number): boolean {
    if (rows[id * ROW + OCTETS] !== octets) return false;
    const offset = rows[id * ROW + OFFSET] as number; // id is below count
    for (let i = 0, n = (octets + 3) >> 2; i < n; i++) {
      if (arena[offset + i] !== words[i]) return false;
    }
    return true;
  }

  return {
    idOf(words, octets, hash) {
      let slot = hash & mask;
      for (let probes = 0; ; probes++) {
        if (probes === MAX_PROBES) return -1;
        const id = (slots[slot] as number) - 1; // slot is masked
        if (id < 0) break;
        if (rows[id * ROW + HASH] === hash && isSame(id, words, octets)) return id;
        slot = (slot + 1) & mask;
      }
      const n = (octets + 3) >> 2;
      if (count === maxNames || used + n > arena.length) return -1;
      slots[slot] = count + 1;
      rows.set([hash, octets, used], count * ROW);
      for (let i = 0; i < n; i++) arena[used++] = words[i] as number;
      return count++;
    },
    size: () => count,
    clear() {
      slots.fill(0);
      count = 0;
      used = 0;
    },
  };
}
