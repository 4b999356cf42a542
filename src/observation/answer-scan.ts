import { RecordType } from '../dns/record-types.js';
import { finish, mix } from './wire-name.js';

const POINTER_BITS = 0xc0; // RFC 1035 section 4.1.4
const FIXED_RECORD_OCTETS = 10; // type, class, TTL, RDLENGTH

/**
 * One pass over the answer section without creating anything. Its result is read from the fields until the next scan.
 *
 * `signature` is a sum over the records, so the order of addresses, which servers rotate, does not matter. Whoever has
 * decoded one answer to a name need not decode another with the same signature. TTLs are not part of it.
 */
export class AnswerScan {
  signature = 0;
  addresses = 0;
  minTtlSeconds = 0;
  maxTtlSeconds = 0;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Scans `count` records from `start`; stops quietly where the message is cut. */
  scan(bytes: Uint8Array, start: number, end: number, count: number): void {
    let signature = 0;
    let addresses = 0;
    let minTtl = 0x7fffffff;
    let maxTtl = 0;
    let position = start;
    for (let i = 0; i < count; i++) {
      const ownerEnd = endOfName(bytes, position, end);
      if (ownerEnd < 0 || ownerEnd + FIXED_RECORD_OCTETS > end) break;
      const type = uint16(bytes, ownerEnd);
      const data = ownerEnd + FIXED_RECORD_OCTETS;
      const recordEnd = data + uint16(bytes, ownerEnd + 8);
      if (recordEnd > end) break;
      let hash = hashOctets(bytes, position, ownerEnd, this.#seed ^ type);
      if (type === RecordType.A || type === RecordType.AAAA) {
        addresses++;
        // RFC 2181 section 8: a TTL with the top bit set counts as zero.
        const ttl = (bytes[ownerEnd + 4] as number) > 0x7f ? 0 : uint32(bytes, ownerEnd + 4);
        if (ttl < minTtl) minTtl = ttl;
        if (ttl > maxTtl) maxTtl = ttl;
      }
      hash = hashOctets(bytes, data, recordEnd, hash);
      signature = (signature + finish(hash)) | 0;
      position = recordEnd;
    }
    this.signature = signature;
    this.addresses = addresses;
    this.minTtlSeconds = minTtl;
    this.maxTtlSeconds = maxTtl;
  }
}

function endOfName(bytes: Uint8Array, start: number, end: number): number {
  let position = start;
  while (position < end) {
    const length = bytes[position] as number; // position < end
    if (length >= POINTER_BITS) return position + 2;
    if (length === 0) return position + 1;
    position += length + 1;
  }
  return -1;
}

function hashOctets(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed;
  let position = start;
  // Inside the message: the caller has checked the range.
  for (; position + 4 <= end; position += 4) {
    hash = mix(
      hash,
      (bytes[position] as number) |
        ((bytes[position + 1] as number) << 8) |
        ((bytes[position + 2] as number) << 16) |
        ((bytes[position + 3] as number) << 24),
    );
  }
  if (position + 2 <= end) {
    hash = mix(hash, uint16(bytes, position)); // a compression pointer is this alone
    position += 2;
  }
  return position < end ? mix(hash, bytes[position] as number) : hash;
}

function uint32(bytes: Uint8Array, at: number): number {
  return (uint16(bytes, at) << 16) | uint16(bytes, at + 2);
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
