/**
 * Question names as 32-bit words, for the hot path: no string is made of a name that is known already. Bytes are read
 * through a DataView, which V8 compiles to one load for four octets.
 *
 * ```
 *   wire octets   03 'A' 'P' 'I' | 07 'E' 'x' 'a' | 'm' 'p' 'l' 'e' | 03 'c' 'o' 'm' | 00
 *   words         03 'a' 'p' 'i' | 07 'e' 'x' 'a' | 'm' 'p' 'l' 'e' | 03 'c' 'o' 'm'
 * ```
 * Little-endian, without the root label, ASCII letters folded to lower case (RFC 4343), padded with zeros. Label lengths are below 'A'.
 */

const MAX_NAME_OCTETS = 255; // RFC 1035 section 2.3.4
const MAX_LABEL_OCTETS = 63;

/** Words that hold the longest name, and its hash behind it. */
export const QUESTION_WORDS = (MAX_NAME_OCTETS + 1) / 4 + 1;

/** Where the hash of a folded question name is. */
export const HASH_WORD = QUESTION_WORDS - 1;

/**
 * Folds the name at `start` into `words`, and its hash into `words[HASH_WORD]`, in one pass: up to the first octet that is
 * zero, the root label of every name whose labels have no such octet. Whether it is a name is for {@link isWireName} to
 * say, once for all of the same octets.
 *
 * @returns how many octets it has without the root label; -1 when no zero octet comes, or too late for type and class to follow
 */
// Five parameters and no options object: called for each response.
// oxlint-disable-next-line max-params
export function foldQuestion(data: DataView, start: number, end: number, words: Int32Array, seed: number): number {
  const limit = Math.min(end - 4, start + MAX_NAME_OCTETS);
  let hash = seed;
  let count = 0;
  for (let position = start; position <= limit; position += 4) {
    const word = data.getInt32(position, true);
    const zeros = (word - 0x01010101) & ~word & 0x80808080; // the lowest bit that is set is of the first zero octet
    if (zeros !== 0) {
      const first = zeros & -zeros;
      const tail = foldWord(word & ((first >>> 7) - 1));
      const octets = position - start + ((31 - Math.clz32(first)) >> 3);
      words[count] = tail;
      words[HASH_WORD] = finish(mix(hash, tail) ^ octets);
      return octets;
    }
    const folded = foldWord(word);
    words[count++] = folded;
    hash = mix(hash, folded);
  }
  return -1;
}

/** Whether `[start, end)` is an uncompressed name of whole labels and ends with its root label. */
export function isWireName(data: DataView, start: number, end: number): boolean {
  const limit = Math.min(end, start + MAX_NAME_OCTETS);
  let position = start;
  while (position < limit) {
    const length = data.getUint8(position);
    if (length > MAX_LABEL_OCTETS) return false;
    position += length + 1;
    if (length === 0) return position === end;
  }
  return false;
}

/** Lower-cases the ASCII capitals among the four octets of a word, without a branch. */
function foldWord(word: number): number {
  const low = word & 0x7f7f7f7f;
  const pastZ = (low + 0x25252525) | 0; // high bit set where the octet is above 'Z' (0x5a)
  const fromA = (low + 0x3f3f3f3f) | 0; // high bit set where the octet is 'A' (0x41) or above
  const capital = ~word & 0x80808080 & (fromA ^ pastZ);
  return word | (capital >>> 2);
}

/** Hash of the first `octets` octets of a folded name: the same as of a name that is no longer. */
export function hashPrefix(words: Int32Array, octets: number, seed: number): number {
  const whole = octets >> 2;
  let hash = seed;
  for (let i = 0; i < whole; i++) hash = mix(hash, words[i] as number); // whole is at most the length of the name
  const tail = (words[whole] as number) & ((1 << ((octets & 3) * 8)) - 1);
  return finish(mix(hash, tail) ^ octets);
}

/** One step of a multiplicative hash over words; {@link finish} ends it. */
export function mix(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1); // 2^32 over the golden ratio (Knuth, TAOCP 6.4)
  return product ^ (product >>> 15);
}

/** Spreads every bit over all bits: the tables use the low ones, and names often differ in one character only. */
export function finish(hash: number): number {
  // The last step of MurmurHash3, public domain.
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * Longest run of taken slots that a table looks through. At half load a run of a hundred is not met by chance; somebody
 * who makes names collide on purpose gets a table that starts afresh, not one that takes ever longer.
 */
export const MAX_PROBES = 128;
