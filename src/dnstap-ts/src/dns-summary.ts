/** As much of a DNS message as a line for people needs: its header and first question (RFC 1035 section 4.1). */
export interface DnsSummary {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  /** Of the header alone: the upper bits of an extended rcode are in the additional section. */
  readonly rcode: number;
  /** Flags that are set, of qr aa tc rd ra ad cd. */
  readonly flags: readonly string[];
  /** Questions, answers, authority records, additional records. */
  readonly counts: readonly [number, number, number, number];
  readonly question: { readonly name: string; readonly type: string; readonly class: string } | undefined;
}

const HEADER_BYTES = 12;
const MAX_NAME_OCTETS = 255; // RFC 1035 section 2.3.4

const FLAGS = [
  ['qr', 0x8000],
  ['aa', 0x0400],
  ['tc', 0x0200],
  ['rd', 0x0100],
  ['ra', 0x0080],
  ['ad', 0x0020],
  ['cd', 0x0010],
] as const;

/** Names of the common record types; others are written as RFC 3597 wants them. */
const TYPES: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  13: 'HINFO',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  35: 'NAPTR',
  39: 'DNAME',
  41: 'OPT',
  43: 'DS',
  46: 'RRSIG',
  47: 'NSEC',
  48: 'DNSKEY',
  50: 'NSEC3',
  52: 'TLSA',
  64: 'SVCB',
  65: 'HTTPS',
  249: 'TKEY',
  250: 'TSIG',
  251: 'IXFR',
  252: 'AXFR',
  255: 'ANY',
  257: 'CAA',
};

const CLASSES: Readonly<Record<number, string>> = { 1: 'IN', 3: 'CH', 4: 'HS', 254: 'NONE', 255: 'ANY' };

const RCODES: readonly string[] = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
];

/** The name of an rcode of the header. */
export function rcodeName(rcode: number): string {
  return RCODES[rcode] ?? `RCODE${rcode}`;
}

/** Reads the header and first question; undefined for what is no DNS message: producers send such, too. */
export function summarizeDns(message: Uint8Array): DnsSummary | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const bits = view.getUint16(2);
  return {
    id: view.getUint16(0),
    response: (bits & 0x8000) !== 0,
    opcode: (bits >> 11) & 0x0f,
    rcode: bits & 0x0f,
    flags: FLAGS.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name),
    counts: [view.getUint16(4), view.getUint16(6), view.getUint16(8), view.getUint16(10)],
    question: view.getUint16(4) === 0 ? undefined : readQuestion(message, view),
  };
}

function readQuestion(message: Uint8Array, view: DataView): DnsSummary['question'] {
  const name = readName(message, HEADER_BYTES);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  const type = view.getUint16(name.end);
  const dnsClass = view.getUint16(name.end + 2);
  return { name: name.text, type: TYPES[type] ?? `TYPE${type}`, class: CLASSES[dnsClass] ?? `CLASS${dnsClass}` };
}

/** A name in wire format as text with a final dot. Names in a first question cannot be compressed: nothing precedes them. */
export function readName(
  message: Uint8Array,
  start: number,
): { readonly text: string; readonly end: number } | undefined {
  let text = '';
  let position = start;
  while (position < message.length && position - start < MAX_NAME_OCTETS) {
    const length = message[position++] as number; // inside by the loop's condition
    if (length === 0) return { text: text === '' ? '.' : text, end: position };
    if (length > 63 || position + length > message.length) return undefined;
    text += `${escapeLabel(message.subarray(position, position + length))}.`;
    position += length;
  }
  return undefined;
}

// RFC 1035 section 5.1: characters with a meaning in master files get a backslash, unprintable octets three digits.
function escapeLabel(label: Uint8Array): string {
  let text = '';
  for (const octet of label) {
    const character = String.fromCharCode(octet);
    if (octet <= 0x20 || octet >= 0x7f) text += `\\${String(octet).padStart(3, '0')}`;
    else text += '".;\\@$()'.includes(character) ? `\\${character}` : character;
  }
  return text;
}
