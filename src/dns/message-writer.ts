import { isIPv4, isIPv6 } from 'node:net';
import { RecordType } from './record-types.js';

const HEADER_OCTETS = 12; // RFC 1035 section 4.1.1
const MAX_NAME_OCTETS = 255; // RFC 1035 section 2.3.4
const MAX_LABEL_OCTETS = 63;
const MAX_MESSAGE_OCTETS = 65_535; // RFC 1035 section 4.2.2: the length before a message over TCP has 16 bits
const MAX_POINTER_OFFSET = 0x3fff; // RFC 1035 section 4.1.4
const POINTER = 0xc000;

/** Why a message cannot be written. */
export const MESSAGE_WRITE_ERROR_CODES = ['DNS_ERR_NAME', 'DNS_ERR_ADDRESS', 'DNS_ERR_TOO_LONG'] as const;
export type MessageWriteErrorCode = (typeof MESSAGE_WRITE_ERROR_CODES)[number];

export class MessageWriteError extends Error {
  readonly code: MessageWriteErrorCode;

  constructor(code: MessageWriteErrorCode, message: string) {
    super(message);
    this.name = 'MessageWriteError';
    this.code = code;
  }
}

export interface WritableQuestion {
  /** Presentation form (RFC 1035 section 5.1), with or without the trailing dot; `.` is the root. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface WritableRecord extends WritableQuestion {
  readonly ttlSeconds: number;
  /** A and AAAA. */
  readonly address?: string;
  /** CNAME, DNAME, NS and PTR. */
  readonly target?: string;
  /** Everything else, as it goes over the wire. */
  readonly rdata?: Uint8Array;
}

export interface WritableMessage {
  readonly id: number;
  /** The 16 bits after the ID: QR, opcode, AA, TC, RD, RA, Z, AD, CD, rcode. */
  readonly flags: number;
  readonly questions: readonly WritableQuestion[];
  readonly answers?: readonly WritableRecord[];
}

/**
 * Encodes a message. Names are compressed against earlier ones (RFC 1035 section 4.1.4), with their case kept.
 *
 * @throws MessageWriteError DNS_ERR_NAME, DNS_ERR_ADDRESS, DNS_ERR_TOO_LONG
 */
export function encodeMessage({ id, flags, questions, answers = [] }: WritableMessage): Buffer {
  const writer = new Writer();
  for (const field of [id, flags, questions.length, answers.length, 0, 0]) writer.uint16(field);
  for (const question of questions) writer.question(question);
  for (const record of answers) writer.record(record);
  return writer.message();
}

/** Labels of a name in presentation form, each as its octets. */
function parseLabels(name: string): readonly Buffer[] {
  if (name === '.' || name === '') return [];
  const labels = splitLabels(name).map((label) => Buffer.from(label));
  if (labels.at(-1)?.length === 0) labels.pop(); // the trailing dot
  const octets = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  if (labels.some((label) => label.length === 0)) throw nameError(name, 'has an empty label');
  if (labels.some((label) => label.length > MAX_LABEL_OCTETS)) throw nameError(name, 'has a label of over 63 octets');
  if (octets > MAX_NAME_OCTETS) throw nameError(name, `has ${octets} octets, more than ${MAX_NAME_OCTETS}`);
  return labels;
}

function splitLabels(name: string): readonly (readonly number[])[] {
  const labels: number[][] = [[]];
  for (const [, decimal, escaped, plain] of name.matchAll(/\\(\d{3})|\\([\s\S])|([\s\S])/g)) {
    const octet = octetOf(decimal, escaped ?? plain ?? '');
    if (octet === undefined) throw nameError(name, 'has a character above octet 255');
    if (plain === '.') labels.push([]);
    else labels.at(-1)?.push(octet);
  }
  return labels;
}

function nameError(name: string, problem: string): MessageWriteError {
  return new MessageWriteError('DNS_ERR_NAME', `name ${JSON.stringify(name)} ${problem}`);
}

function octetOf(decimal: string | undefined, character: string): number | undefined {
  const octet = decimal === undefined ? character.charCodeAt(0) : Number(decimal);
  return octet <= 0xff ? octet : undefined;
}

function encodeAddress(type: number, address: string): Buffer {
  if (type === RecordType.A && isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (type === RecordType.AAAA && isIPv6(address)) return encodeIpv6(address);
  throw new MessageWriteError('DNS_ERR_ADDRESS', `${JSON.stringify(address)} is no address for record type ${type}`);
}

/** The URL parser writes every IPv6 address in hexadecimal groups, whatever form it was given in. */
function encodeIpv6(address: string): Buffer {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): string[] => text.split(':').filter((group) => group !== '');
  const [first, last] = [groups(head), groups(tail ?? '')];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

class Writer {
  readonly #pieces: Buffer[] = [];
  #length = 0;
  /** Where a name (the rest of its labels) was written, by its octets. */
  readonly #names = new Map<string, number>();

  message(): Buffer {
    if (this.#length > MAX_MESSAGE_OCTETS) {
      throw new MessageWriteError(
        'DNS_ERR_TOO_LONG',
        `message has ${this.#length} octets, at most ${MAX_MESSAGE_OCTETS}`,
      );
    }
    return Buffer.concat(this.#pieces, this.#length);
  }

  question({ name, type, class: questionClass }: WritableQuestion): void {
    this.#name(name);
    this.uint16(type);
    this.uint16(questionClass);
  }

  record(record: WritableRecord): void {
    this.question(record);
    this.uint16(record.ttlSeconds >>> 16);
    this.uint16(record.ttlSeconds & 0xffff);
    const length = Buffer.alloc(2);
    this.#append(length);
    const start = this.#length;
    if (record.target !== undefined) this.#name(record.target);
    else if (record.address !== undefined) this.#append(encodeAddress(record.type, record.address));
    else this.#append(Buffer.from(record.rdata ?? []));
    length.writeUInt16BE(this.#length - start);
  }

  uint16(value: number): void {
    this.#append(Buffer.from([(value >>> 8) & 0xff, value & 0xff]));
  }

  #name(name: string): void {
    const labels = parseLabels(name);
    for (let i = 0; i < labels.length; i++) {
      const rest = Buffer.concat(labels.slice(i).flatMap((label) => [Buffer.from([label.length]), label])).toString(
        'latin1',
      );
      const known = this.#names.get(rest);
      if (known !== undefined) return this.uint16(POINTER | known);
      if (this.#length >= HEADER_OCTETS && this.#length <= MAX_POINTER_OFFSET) this.#names.set(rest, this.#length);
      const label = labels[i] ?? Buffer.alloc(0); // i is below the length
      this.#append(Buffer.concat([Buffer.from([label.length]), label]));
    }
    this.#append(Buffer.alloc(1));
  }

  #append(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#length += bytes.length;
  }
}
