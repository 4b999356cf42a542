/** Bytes that have broken parsers: ends of ranges, continuation bits, lengths and tags of wire types that nest. */
const EVIL = [0x00, 0x01, 0x02, 0x03, 0x0b, 0x0c, 0x72, 0x7f, 0x80, 0x81, 0xf2, 0xfe, 0xff];
const MAX_GROWTH = 64;

/** Makes broken inputs out of good ones; the same ones from the same seed. */
export class Mutator {
  /** The input made last. */
  last: Buffer = Buffer.alloc(0);
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** A number from 0 up to `limit`, exclusive. */
  below(limit: number): number {
    // xorshift32: fast, and good enough to pick bytes
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  /** One of the seeds with one to four changes. */
  mutate(seeds: readonly Buffer[]): Buffer {
    const seed = this.#pick(seeds);
    const buffer = Buffer.alloc(seed.length + MAX_GROWTH);
    let length = seed.copy(buffer);
    for (let changes = 1 + this.below(4); changes > 0; changes--) length = this.#change(buffer, length, seeds);
    this.last = buffer.subarray(0, length);
    return this.last;
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T; // never asked of an empty list
  }

  /** @returns the new length */
  #change(buffer: Buffer, length: number, seeds: readonly Buffer[]): number {
    const position = this.below(length + 1);
    switch (this.below(8)) {
      case 0: // cut off
        return position;
      case 1: // leave out a piece
        return length - this.#removed(buffer, position, length);
      case 2: // a piece of another input in between
        return this.#insert(buffer, position, length, this.#piece(seeds));
      case 3: // a byte in between
        return this.#insert(buffer, position, length, Buffer.from([this.#pick(EVIL)]));
      case 4: // a bit flips
        buffer[position] = (buffer[position] ?? 0) ^ (1 << this.below(8));
        return length;
      case 5: // a length of 0xffffffff
        buffer.fill(0xff, position, Math.min(length, position + 4));
        return length;
      case 6:
        buffer[position] = this.below(256);
        return length;
      default:
        buffer[position] = this.#pick(EVIL);
        return length;
    }
  }

  #removed(buffer: Buffer, position: number, length: number): number {
    const count = Math.min(length - position, 1 + this.below(8));
    buffer.copyWithin(position, position + count, length);
    return count;
  }

  #piece(seeds: readonly Buffer[]): Buffer {
    const seed = this.#pick(seeds);
    const start = this.below(seed.length + 1);
    return seed.subarray(start, start + this.below(16));
  }

  #insert(buffer: Buffer, position: number, length: number, piece: Buffer): number {
    if (length + piece.length > buffer.length) return length;
    buffer.copyWithin(position + piece.length, position, length);
    piece.copy(buffer, position);
    return length + piece.length;
  }
}
