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

const HEADER_OCTETS = 12; // RFC 1035 section 4.1.1
const MAX_NAME_OCTETS = 255; // RFC 1035 section 2.3.4
const MAX_LABEL_OCTETS = 63;

/** Words that hold the longest name. */
export const MAX_NAME_WORDS = (MAX_NAME_OCTETS + 1) / 4;

/** Offset just after the question name that starts right behind the header; -1 when it is no uncompressed name. */
export function endOfQuestionName(data: DataView, start: number, end: number): number {
  const limit = Math.min(end, start + HEADER_OCTETS + MAX_NAME_OCTETS);
  let position = start + HEADER_OCTETS;
  while (position < limit) {
    const length = data.getUint8(position);
    if (length === 0) return position + 1;
    if (length > MAX_LABEL_OCTETS) return -1;
    position += length + 1;
  }
  return -1;
}

/**
 * Folds `[start, end)`, a name without its root label, into `words` and returns its hash, in one pass. A name has the same
 * hash as it has as a prefix of another; see {@link hashPrefix}.
 */
// Five parameters and no options object: called for each response.
// oxlint-disable-next-line max-params
export function foldAndHash(data: DataView, start: number, end: number, words: Int32Array, seed: number): number {
  let hash = seed ^ (end - start);
  let count = 0;
  let position = start;
  for (; position + 4 <= end; position += 4) {
    const word = foldWord(data.getInt32(position, true));
    words[count++] = word;
    hash = mix(hash, word);
  }
  if (position < end) {
    let tail = data.getUint8(position);
    if (position + 1 < end) tail |= data.getUint8(position + 1) << 8;
    if (position + 2 < end) tail |= data.getUint8(position + 2) << 16;
    tail = foldWord(tail);
    words[count] = tail;
    hash = mix(hash, tail);
  }
  return finish(hash);
}

/** Lower-cases the ASCII capitals among the four octets of a word, without a branch. */
function foldWord(word: number): number {
  const low = word & 0x7f7f7f7f;
  const pastZ = (low + 0x25252525) | 0; // high bit set where the octet is above 'Z' (0x5a)
  const fromA = (low + 0x3f3f3f3f) | 0; // high bit set where the octet is 'A' (0x41) or above
  const capital = ~word & 0x80808080 & (fromA ^ pastZ);
  return word | (capital >>> 2);
}

/** Hash of the first `octets` octets of a folded name. */
export function hashPrefix(words: Int32Array, octets: number, seed: number): number {
  let hash = seed ^ octets;
  const whole = octets >> 2;
  for (let i = 0; i < whole; i++) hash = mix(hash, words[i] as number); // whole is at most the length of the name
  const rest = octets & 3;
  if (rest !== 0) hash = mix(hash, (words[whole] as number) & ((1 << (rest * 8)) - 1));
  return finish(hash);
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
