import { formatAddress } from '../dns/message-reader.js';
import { finish, MAX_PROBES, mix } from './wire-name.js';

/**
 * Client addresses as small numbers.
 *
 * ```
 *   slots   [ . | 3 | . | 1 | … ]        open addressing, twice as many as clients; holds id + 1
 *   words   [ w0 w1 w2 w3 | w0 … ]       four per client; an IPv4 address is 0, 0, 0xffff0000, address
 * ```
 */
export interface ClientTable {
  /** Id of the address at `[start, start + length)`; -1 when the table is full. Not 4 or 16 octets: 0.0.0.0. */
  idOf(data: DataView, start: number, length: number): number;
  text(id: number): string;
  clear(): void;
}

const IPV4_MAPPED = 0xffff0000 | 0; // ::ffff:0:0/96, octets 8 to 11, little-endian (RFC 4291 section 2.5.5.2)

export function createClientTable(maxClients: number, seed: number): ClientTable {
  const mask = 2 ** Math.ceil(Math.log2(maxClients * 2)) - 1;
  const slots = new Int32Array(mask + 1);
  const words = new Int32Array(maxClients * 4);
  const texts: string[] = [];
  let count = 0;

  function find(w0: number, w1: number, w2: number, w3: number): number {
    const high = w0 === 0 && w1 === 0 ? seed : mix(mix(seed, w0), w1); // an IPv4 address is told by its last word
    let slot = finish(mix(high ^ w2, w3)) & mask;
    for (let probes = 0; ; probes++) {
      if (probes === MAX_PROBES) return -1;
      const id = (slots[slot] as number) - 1; // slot is masked
      if (id < 0) break;
      const at = id * 4;
      if (words[at + 3] === w3 && words[at + 2] === w2 && words[at + 1] === w1 && words[at] === w0) return id;
      slot = (slot + 1) & mask;
    }
    if (count === maxClients) return -1;
    slots[slot] = count + 1;
    words.set([w0, w1, w2, w3], count * 4);
    return count++;
  }

  return {
    idOf(data, start, length) {
      // Decided by length, not by socket_family: CoreDNS before 1.14.5 sends IPv4 as 16 octets with INET.
      if (length === 4) return find(0, 0, IPV4_MAPPED, data.getInt32(start, true));
      if (length !== 16) return find(0, 0, IPV4_MAPPED, 0);
      return find(
        data.getInt32(start, true),
        data.getInt32(start + 4, true),
        data.getInt32(start + 8, true),
        data.getInt32(start + 12, true),
      );
    },
    text(id) {
      const octets = new Uint8Array(words.buffer, id * 16, 16);
      return (texts[id] ??= formatAddress(octets, 0, 16) ?? '');
    },
    clear() {
      slots.fill(0);
      texts.length = 0;
      count = 0;
    },
  };
}
