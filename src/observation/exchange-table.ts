import { finish, mix } from './wire-name.js';

/**
 * What the last positive answer of each exchange (a client's port and message ID) was counted as.
 *
 * CoreDNS follows a CNAME that it serves itself (a zone file, a template, a Service of type ExternalName) by a look-up
 * through its own plugins. Its dnstap plugin shows that as one more CLIENT_RESPONSE of the client, with the same port and
 * ID, right before the answer:
 *
 * ```
 *  CLIENT_RESPONSE 10.244.0.7:38621 id 9  edge.example.net   A 192.0.2.1                 the client never asked for this
 *  CLIENT_RESPONSE 10.244.0.7:38621 id 9  alias.example.com  CNAME edge.example.net ...  but for this
 * ```
 *
 * A direct-mapped table: a newer exchange overwrites an older one in the same slot.
 *
 * @see coredns/coredns plugin/pkg/upstream
 */
export interface ExchangeTable {
  /** The key of an exchange; 0 where nothing tells exchanges of the client apart. */
  keyOf(client: number, port: number, id: number): number;
  /** Sets `row`, `name` and `counted` to those of the answer before; false when there was none. */
  find(key: number): boolean;
  row: number;
  name: number;
  /** How it was counted, in the table's own words. */
  counted: number;
  /** Notes what is in `row`, `name` and `counted`. */
  note(key: number): void;
  clear(): void;
}

const SLOTS = 4_096;
const SLOT = 4; // int32 of a slot
/** CoreDNS answers within its own limit of 5 s for an upstream (plugin/forward). */
const EXCHANGE_MS = 5_000;

/** @param clock its first cell is the time of the response at hand; as an argument it would be allocated for each */
export function createExchangeTable(seed: number, clock: Float64Array): ExchangeTable {
  const slots = new Int32Array(SLOTS * SLOT); // key, row, name, counted
  const times = new Float64Array(SLOTS);
  const table: ExchangeTable = {
    row: 0,
    name: 0,
    counted: 0,
    // Over HTTPS the ID is always 0 (RFC 8484 section 4.1), and some servers do not say the port.
    keyOf: (client, port, id) => (port === 0 || id === 0 ? 0 : finish(mix(mix(seed, client), (port << 16) | id)) | 1),
    find(key) {
      const slot = (key >>> 1) & (SLOTS - 1);
      if (slots[slot * SLOT] !== key || Math.abs((clock[0] as number) - (times[slot] as number)) > EXCHANGE_MS)
        return false;
      table.row = slots[slot * SLOT + 1] as number;
      table.name = slots[slot * SLOT + 2] as number;
      table.counted = slots[slot * SLOT + 3] as number;
      return true;
    },
    note(key) {
      const slot = (key >>> 1) & (SLOTS - 1);
      slots[slot * SLOT] = key;
      slots[slot * SLOT + 1] = table.row;
      slots[slot * SLOT + 2] = table.name;
      slots[slot * SLOT + 3] = table.counted;
      times[slot] = clock[0] as number;
    },
    clear: () => void slots.fill(0),
  };
  return table;
}
