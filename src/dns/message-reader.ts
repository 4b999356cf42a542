import { RecordType } from './record-types.js';
import { readServiceBinding, type ServiceBinding } from './service-binding.js';

const HEADER_OCTETS = 12; // RFC 1035 section 4.1.1
const MAX_NAME_OCTETS = 255; // RFC 1035 section 2.3.4
const MAX_LABEL_OCTETS = 63;
const POINTER_BITS = 0xc0; // RFC 1035 section 4.1.4

/** Most records read from one section: what is beyond is ignored, so that a message cannot cost more than its size. */
const MAX_RECORDS = 4096;

/** Why a message cannot be read. */
export const MESSAGE_FAULTS = [
  'short-header',
  'short-question',
  'short-record',
  'bad-label',
  'bad-pointer',
  'name-too-long',
] as const;
export type MessageFault = (typeof MESSAGE_FAULTS)[number];

export interface Question {
  /** Presentation form, case as sent, without the trailing dot (`.` for the root). */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord extends Question {
  readonly ttlSeconds: number;
  /** A and AAAA: the address as text. CNAME, DNAME, NS and PTR: the target. Otherwise absent. */
  readonly address?: string;
  readonly target?: string;
  /** SVCB and HTTPS. */
  readonly serviceBinding?: ServiceBinding;
}

/**
 * ```
 *  0   2      4        6        8        10       12
 *  +---+------+--------+--------+--------+--------+
 *  |ID |flags |QDCOUNT |ANCOUNT |NSCOUNT |ARCOUNT |   flags: QR opcode(4) AA TC RD | RA Z AD CD rcode(4)
 *  +---+------+--------+--------+--------+--------+
 * ```
 * @see RFC 1035 section 4.1
 */
export interface DnsMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly isTruncated: boolean;
  /** With the upper bits from an OPT record's TTL where there is one (RFC 6891 section 6.1.3). */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  /** The answer section ended early: records before the fault are there. Usual where a message was cut. */
  readonly cut?: MessageFault;
}

/**
 * Reads header, questions and answers of a DNS message at `[start, end)`. Never throws: a message that cannot be read at
 * all is a `fault`. Authority and additional sections are read only for the OPT record.
 */
export function readMessage(
  bytes: Uint8Array,
  start: number,
  end: number,
): DnsMessage | { readonly fault: MessageFault } {
  if (end - start < HEADER_OCTETS) return { fault: 'short-header' };
  const reader = new Reader(bytes, start, end);
  const id = reader.uint16();
  const flags = reader.uint16();
  const [questionCount, answerCount, authorityCount, additionalCount] = [
    reader.uint16(),
    reader.uint16(),
    reader.uint16(),
    reader.uint16(),
  ];
  const questions: Question[] = [];
  for (let i = 0; i < Math.min(questionCount, MAX_RECORDS); i++) {
    const question = reader.question();
    if (question === undefined) return { fault: reader.fault ?? 'short-question' };
    questions.push(question);
  }
  const answers = reader.records(answerCount);
  const cut = reader.fault;
  const rest = cut === undefined ? reader.records(authorityCount + additionalCount) : [];
  const opt = rest.find(({ type }) => type === RecordType.OPT);
  return {
    id,
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    isTruncated: (flags & 0x0200) !== 0,
    rcode: (flags & 0xf) | (opt === undefined ? 0 : ((opt.ttlSeconds >>> 24) & 0xff) << 4),
    questions,
    answers,
    ...(cut === undefined ? {} : { cut }),
  };
}

/**
 * Formats the name at `offset` and says where the next field starts; undefined when it cannot be read.
 *
 * Special characters are escaped as in RFC 1035 section 5.1 (`\.`, `\032`), so a label that contains a dot is told from
 * two labels.
 */
export function formatName(
  bytes: Uint8Array,
  start: number,
  offset: number,
  end: number,
): { readonly name: string; readonly next: number } | { readonly fault: MessageFault } {
  const labels: string[] = [];
  let position = offset;
  let next = -1; // set by the first pointer: the field ends there
  let octets = 1; // the root label
  while (position < end) {
    const length = bytes[position] ?? 0; // position is inside the message
    if (length >= POINTER_BITS) {
      const target = pointerTarget(bytes, start, position, end);
      if (typeof target !== 'number') return target;
      if (next < 0) next = position + 2;
      position = target;
      continue;
    }
    if (length > MAX_LABEL_OCTETS) return { fault: 'bad-label' }; // RFC 6891 section 5: no such label type in use
    position += 1 + length;
    if (length === 0) return { name: labels.join('.') || '.', next: next < 0 ? position : next };
    octets += 1 + length;
    if (octets > MAX_NAME_OCTETS) return { fault: 'name-too-long' };
    if (position > end) break;
    labels.push(formatLabel(bytes, position - length, length));
  }
  return { fault: 'short-record' };
}

/** Only to earlier data (RFC 1035 section 4.1.4: "a prior occurrence"), so every chain of pointers ends. */
function pointerTarget(
  bytes: Uint8Array,
  start: number,
  position: number,
  end: number,
): number | { readonly fault: MessageFault } {
  if (position + 1 >= end) return { fault: 'short-record' };
  const target = start + ((((bytes[position] ?? 0) & 0x3f) << 8) | (bytes[position + 1] ?? 0));
  return target >= position || target < start + HEADER_OCTETS ? { fault: 'bad-pointer' } : target;
}

const PLAIN = /^[A-Za-z0-9_-]*$/;
const ESCAPED = /[\\."();@$]/; // RFC 1035 section 5.1

function formatLabel(bytes: Uint8Array, start: number, length: number): string {
  let text = '';
  for (let i = start; i < start + length; i++) text += String.fromCharCode(bytes[i] ?? 0);
  if (PLAIN.test(text)) return text;
  return Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    if (code <= 0x20 || code >= 0x7f) return `\\${String(code).padStart(3, '0')}`;
    return ESCAPED.test(character) ? `\\${character}` : character;
  }).join('');
}

const IPV4_OCTETS = 4;
const IPV6_OCTETS = 16;

/** IPv4 as dotted decimal, IPv6 in the form of RFC 5952; an IPv4-mapped IPv6 address (`::ffff:0:0/96`) as IPv4. */
export function formatAddress(bytes: Uint8Array, start: number, length: number): string | undefined {
  if (length === IPV4_OCTETS) return Array.from(bytes.subarray(start, start + IPV4_OCTETS)).join('.');
  if (length !== IPV6_OCTETS) return undefined;
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[start + 2 * i] ?? 0) << 8) | (bytes[start + 2 * i + 1] ?? 0),
  );
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return formatAddress(bytes, start + IPV6_OCTETS - IPV4_OCTETS, IPV4_OCTETS);
  }
  return formatGroups(groups);
}

/** RFC 5952 section 4: the longest run of two or more zero groups becomes `::`, the first one of equal length. */
function formatGroups(groups: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let i = 0; i < groups.length; i++) {
    let length = 0;
    while (groups[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
    i += length;
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}

/** A cursor over one message. After a fault it stays where it is. */
class Reader {
  fault: MessageFault | undefined;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #position: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#position = start;
  }

  uint16(): number {
    const value = ((this.#bytes[this.#position] ?? 0) << 8) | (this.#bytes[this.#position + 1] ?? 0);
    this.#position += 2;
    return value;
  }

  question(): Question | undefined {
    const name = this.#name();
    if (name === undefined || !this.#has(4)) return undefined;
    return { name, type: this.uint16(), class: this.uint16() };
  }

  records(count: number): ResourceRecord[] {
    const records: ResourceRecord[] = [];
    for (let i = 0; i < Math.min(count, MAX_RECORDS); i++) {
      const record = this.#record();
      if (record === undefined) break;
      records.push(record);
    }
    return records;
  }

  #record(): ResourceRecord | undefined {
    const name = this.#name();
    if (name === undefined || !this.#has(10)) return this.#fail('short-record');
    const type = this.uint16();
    const recordClass = this.uint16();
    const ttlSeconds = ((this.uint16() << 16) | this.uint16()) >>> 0;
    const length = this.uint16();
    if (!this.#has(length)) return this.#fail('short-record');
    const dataStart = this.#position;
    this.#position += length; // RDLENGTH rules, whatever the data says
    return { name, type, class: recordClass, ttlSeconds, ...this.#data(type, dataStart, length) };
  }

  #data(type: number, start: number, length: number): Pick<ResourceRecord, 'address' | 'target' | 'serviceBinding'> {
    if (type === RecordType.A || type === RecordType.AAAA) {
      const expected = type === RecordType.A ? IPV4_OCTETS : IPV6_OCTETS;
      const address = length === expected ? formatAddress(this.#bytes, start, length) : undefined;
      return address === undefined ? {} : { address };
    }
    if (type === RecordType.SVCB || type === RecordType.HTTPS) return this.#binding(start, start + length);
    if (!HAS_TARGET.has(type)) return {};
    const target = formatName(this.#bytes, this.#start, start, this.#end);
    return 'fault' in target ? {} : { target: target.name };
  }

  #binding(start: number, end: number): Pick<ResourceRecord, 'serviceBinding'> {
    if (start + 2 > end) return {};
    const priority = ((this.#bytes[start] ?? 0) << 8) | (this.#bytes[start + 1] ?? 0);
    const target = formatName(this.#bytes, this.#start, start + 2, end);
    if ('fault' in target) return {};
    const serviceBinding = readServiceBinding(this.#bytes, { priority, start: target.next, end });
    return serviceBinding === undefined ? {} : { serviceBinding };
  }

  #name(): string | undefined {
    if (this.fault !== undefined) return undefined;
    const result = formatName(this.#bytes, this.#start, this.#position, this.#end);
    if ('fault' in result) return this.#fail(result.fault);
    this.#position = result.next;
    return result.name;
  }

  #has(octets: number): boolean {
    return this.#position + octets <= this.#end;
  }

  #fail(fault: MessageFault): undefined {
    this.fault ??= fault;
    return undefined;
  }
}

const HAS_TARGET: ReadonlySet<number> = new Set([RecordType.CNAME, RecordType.DNAME, RecordType.NS, RecordType.PTR]);
