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
  scan(data: DataView, start: number, end: number, count: number): void {
    let signature = 0;
    let addresses = 0;
    let minTtl = 0x7fffffff;
    let maxTtl = 0;
    let position = start;
    for (let i = 0; i < count; i++) {
      const ownerEnd = endOfName(data, position, end);
      if (ownerEnd < 0 || ownerEnd + FIXED_RECORD_OCTETS > end) break;
      const type = data.getUint16(ownerEnd);
      const rdata = ownerEnd + FIXED_RECORD_OCTETS;
      const recordEnd = rdata + data.getUint16(ownerEnd + 8);
      if (recordEnd > end) break;
      let hash = hashOctets(data, position, ownerEnd, this.#seed ^ type);
      if (type === RecordType.A || type === RecordType.AAAA) {
        addresses++;
        // RFC 2181 section 8: a TTL with the top bit set counts as zero.
        const ttl = Math.max(0, data.getInt32(ownerEnd + 4));
        if (ttl < minTtl) minTtl = ttl;
        if (ttl > maxTtl) maxTtl = ttl;
      }
      hash = hashOctets(data, rdata, recordEnd, hash);
      signature = (signature + finish(hash)) | 0;
      position = recordEnd;
    }
    this.signature = signature;
    this.addresses = addresses;
    this.minTtlSeconds = minTtl;
    this.maxTtlSeconds = maxTtl;
  }
}

function endOfName(data: DataView, start: number, end: number): number {
  let position = start;
  while (position < end) {
    const length = data.getUint8(position);
    if (length >= POINTER_BITS) return position + 2;
    if (length === 0) return position + 1;
    position += length + 1;
  }
  return -1;
}

function hashOctets(data: DataView, start: number, end: number, seed: number): number {
  let hash = seed;
  let position = start;
  for (; position + 4 <= end; position += 4) hash = mix(hash, data.getInt32(position));
  if (position + 2 <= end) {
    hash = mix(hash, data.getUint16(position)); // a compression pointer is this alone
    position += 2;
  }
  return position < end ? mix(hash, data.getUint8(position)) : hash;
}
