import type { DnstapErrorCode } from './errors.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

// A protobuf tag is field number * 8 + wire type; all but the last of these fit into one byte.
const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED32 = 5;

// message Dnstap
const TAG_IDENTITY = (1 << 3) | DELIMITED;
const TAG_VERSION = (2 << 3) | DELIMITED;
const TAG_EXTRA = (3 << 3) | DELIMITED;
const TAG_MESSAGE = (14 << 3) | DELIMITED;
const TAG_DNSTAP_TYPE = (15 << 3) | VARINT;

// message Message
const TAG_TYPE = (1 << 3) | VARINT;
const TAG_SOCKET_FAMILY = (2 << 3) | VARINT;
const TAG_SOCKET_PROTOCOL = (3 << 3) | VARINT;
const TAG_QUERY_ADDRESS = (4 << 3) | DELIMITED;
const TAG_RESPONSE_ADDRESS = (5 << 3) | DELIMITED;
const TAG_QUERY_PORT = (6 << 3) | VARINT;
const TAG_RESPONSE_PORT = (7 << 3) | VARINT;
const TAG_QUERY_TIME_SEC = (8 << 3) | VARINT;
const TAG_QUERY_TIME_NSEC = (9 << 3) | FIXED32;
const TAG_QUERY_MESSAGE = (10 << 3) | DELIMITED;
const TAG_QUERY_ZONE = (11 << 3) | DELIMITED;
const TAG_RESPONSE_TIME_SEC = (12 << 3) | VARINT;
const TAG_RESPONSE_TIME_NSEC = (13 << 3) | FIXED32;
const TAG_RESPONSE_MESSAGE = (14 << 3) | DELIMITED;

const MAX_GROUP_DEPTH = 100; // the recursion limit that protobuf implementations share
const FAILED = -1;
const EMPTY: Uint8Array = Buffer.alloc(0);

/** Its own fields are read-only to everybody but the view itself. */
function writable(view: DnstapView): Mutable<DnstapView> {
  return view;
}

function byteAt(buffer: Uint8Array, position: number): number {
  return buffer[position] as number; // callers have compared position with an end inside the buffer
}

/**
 * A view of one dnstap frame where it lies: no object, string or copy per frame. One instance serves all frames.
 *
 * `scan` reads the protobuf envelope once and leaves numbers: values, and for every bytes field its start in `buffer` and
 * its length. They describe the bytes of the last scan and hold until the next scan, or until the owner of the buffer uses
 * it again (with `Receiver`: until the frame handler returns). Whoever wants to keep bytes copies them.
 *
 * A field that occurs twice has its last value, as in every protobuf decoder. Unknown fields and values are skipped or
 * kept as numbers. The DNS message itself is not read.
 */
export class DnstapView {
  /** The buffer of the last scan. */
  readonly buffer: Uint8Array = EMPTY;
  /** Why the last scan returned false; undefined when it returned true. */
  readonly error: DnstapErrorCode | undefined = undefined;
  /** `Message.Type`; 0 when the frame has no message. */
  readonly type: number = 0;
  /** `SocketFamily`; 0 when absent. */
  readonly socketFamily: number = 0;
  /** `SocketProtocol`; 0 when absent. */
  readonly socketProtocol: number = 0;
  readonly queryAddressStart: number = 0;
  /** In octets; 0 when absent. Decides IPv4 or IPv6: producers exist that write IPv4 in 16 octets beside INET. */
  readonly queryAddressLength: number = 0;
  readonly responseAddressStart: number = 0;
  readonly responseAddressLength: number = 0;
  /** 0 when absent. */
  readonly queryPort: number = 0;
  readonly responsePort: number = 0;
  /** Unix time in whole seconds; -1 when absent. Values over 2^53 lose precision. */
  readonly queryTimeSec: number = -1;
  /** Nanoseconds within the second; -1 when absent. */
  readonly queryTimeNsec: number = -1;
  readonly responseTimeSec: number = -1;
  readonly responseTimeNsec: number = -1;
  readonly queryMessageStart: number = 0;
  /** 0 when absent or empty. */
  readonly queryMessageLength: number = 0;
  readonly responseMessageStart: number = 0;
  readonly responseMessageLength: number = 0;
  readonly queryZoneStart: number = 0;
  readonly queryZoneLength: number = 0;
  readonly identityStart: number = 0;
  readonly identityLength: number = 0;
  readonly versionStart: number = 0;
  readonly versionLength: number = 0;
  readonly extraStart: number = 0;
  readonly extraLength: number = 0;

  readonly #only: number;
  #position = 0;
  #hasMessage = false;
  #hasDnstapType = false;

  /**
   * @param options.only Stop as soon as the message is known to be of another `Message.Type`. Then `scan` returns true,
   * `type` is that other type, and of the other fields only those in front of it are set.
   */
  constructor(options: { readonly only?: number } = {}) {
    this.#only = options.only ?? 0;
  }

  /**
   * Reads the frame in `buffer` from `start` up to `end`. Never throws; reads nothing outside the range.
   *
   * @returns false when the bytes are not a dnstap frame; then `error` is one of `DNSTAP_ERR_TRUNCATED`,
   * `DNSTAP_ERR_VARINT`, `DNSTAP_ERR_WIRE_TYPE`, `DNSTAP_ERR_FIELD_MISSING`, and no other field means anything.
   */
  scan(buffer: Uint8Array, start: number, end: number): boolean {
    this.#clear(buffer);
    this.#position = start;
    if (start < 0 || end > buffer.length) return this.#fail('DNSTAP_ERR_TRUNCATED');
    while (this.#position < end) {
      const tag = this.#readTag(end);
      if (tag === FAILED || !this.#scanDnstapField(tag, end)) return false;
      if (this.#isOther()) return true;
    }
    if (!this.#hasDnstapType || (this.#hasMessage && this.type === 0)) return this.#fail('DNSTAP_ERR_FIELD_MISSING');
    return true;
  }

  #isOther(): boolean {
    return this.#only !== 0 && this.type !== 0 && this.type !== this.#only;
  }

  #scanDnstapField(tag: number, end: number): boolean {
    const view = writable(this);
    switch (tag) {
      case TAG_IDENTITY:
        view.identityLength = this.#readLength(end);
        view.identityStart = this.#takeBytes(this.identityLength);
        return this.identityLength !== FAILED;
      case TAG_VERSION:
        view.versionLength = this.#readLength(end);
        view.versionStart = this.#takeBytes(this.versionLength);
        return this.versionLength !== FAILED;
      case TAG_EXTRA:
        view.extraLength = this.#readLength(end);
        view.extraStart = this.#takeBytes(this.extraLength);
        return this.extraLength !== FAILED;
      case TAG_MESSAGE: {
        const length = this.#readLength(end);
        return length !== FAILED && this.#scanMessage(this.#position + length);
      }
      case TAG_DNSTAP_TYPE:
        this.#hasDnstapType = true;
        return this.#readVarint(end) !== FAILED;
      default:
        return this.#skip(tag, end, 0);
    }
  }

  #scanMessage(end: number): boolean {
    this.#hasMessage = true;
    while (this.#position < end) {
      const tag = this.#readTag(end);
      if (tag === FAILED || !this.#scanMessageField(tag, end)) return false;
      if (tag === TAG_TYPE && this.#isOther()) return true;
    }
    return true;
  }

  #scanMessageField(tag: number, end: number): boolean {
    const view = writable(this);
    switch (tag) {
      case TAG_QUERY_ADDRESS:
        view.queryAddressLength = this.#readLength(end);
        view.queryAddressStart = this.#takeBytes(this.queryAddressLength);
        return this.queryAddressLength !== FAILED;
      case TAG_RESPONSE_ADDRESS:
        view.responseAddressLength = this.#readLength(end);
        view.responseAddressStart = this.#takeBytes(this.responseAddressLength);
        return this.responseAddressLength !== FAILED;
      case TAG_QUERY_MESSAGE:
        view.queryMessageLength = this.#readLength(end);
        view.queryMessageStart = this.#takeBytes(this.queryMessageLength);
        return this.queryMessageLength !== FAILED;
      case TAG_QUERY_ZONE:
        view.queryZoneLength = this.#readLength(end);
        view.queryZoneStart = this.#takeBytes(this.queryZoneLength);
        return this.queryZoneLength !== FAILED;
      case TAG_RESPONSE_MESSAGE:
        view.responseMessageLength = this.#readLength(end);
        view.responseMessageStart = this.#takeBytes(this.responseMessageLength);
        return this.responseMessageLength !== FAILED;
      default:
        return this.#scanMessageNumber(tag, end);
    }
  }

  #scanMessageNumber(tag: number, end: number): boolean {
    const view = writable(this);
    switch (tag) {
      case TAG_TYPE:
        view.type = this.#readUint32(end);
        return this.type !== FAILED;
      case TAG_SOCKET_FAMILY:
        view.socketFamily = this.#readUint32(end);
        return this.socketFamily !== FAILED;
      case TAG_SOCKET_PROTOCOL:
        view.socketProtocol = this.#readUint32(end);
        return this.socketProtocol !== FAILED;
      case TAG_QUERY_PORT:
        view.queryPort = this.#readUint32(end);
        return this.queryPort !== FAILED;
      case TAG_RESPONSE_PORT:
        view.responsePort = this.#readUint32(end);
        return this.responsePort !== FAILED;
      case TAG_QUERY_TIME_SEC:
        view.queryTimeSec = this.#readVarint(end);
        return this.queryTimeSec !== FAILED;
      case TAG_QUERY_TIME_NSEC:
        view.queryTimeNsec = this.#readFixed32(end);
        return this.queryTimeNsec !== FAILED;
      case TAG_RESPONSE_TIME_SEC:
        view.responseTimeSec = this.#readVarint(end);
        return this.responseTimeSec !== FAILED;
      case TAG_RESPONSE_TIME_NSEC:
        view.responseTimeNsec = this.#readFixed32(end);
        return this.responseTimeNsec !== FAILED;
      default:
        return this.#skip(tag, end, 0);
    }
  }

  /** Moves past a field that is not ours, by its wire type alone. */
  #skip(tag: number, end: number, depth: number): boolean {
    if (tag < 8) return this.#fail('DNSTAP_ERR_VARINT'); // field number 0 does not exist
    switch (tag & 7) {
      case VARINT:
        return this.#skipVarint(end);
      case FIXED64:
        return this.#skipBytes(8, end);
      case DELIMITED:
        return this.#takeBytes(this.#readLength(end)) !== FAILED;
      case GROUP_START:
        return this.#skipGroup(tag >>> 3, end, depth + 1);
      case FIXED32:
        return this.#skipBytes(4, end);
      default:
        return this.#fail('DNSTAP_ERR_WIRE_TYPE');
    }
  }

  #skipGroup(field: number, end: number, depth: number): boolean {
    if (depth > MAX_GROUP_DEPTH) return this.#fail('DNSTAP_ERR_WIRE_TYPE');
    while (true) {
      const tag = this.#readTag(end);
      if (tag === FAILED) return false;
      if ((tag & 7) === GROUP_END) return tag >>> 3 === field || this.#fail('DNSTAP_ERR_WIRE_TYPE');
      if (!this.#skip(tag, end, depth)) return false;
    }
  }

  #skipBytes(count: number, end: number): boolean {
    if (count > end - this.#position) return this.#fail('DNSTAP_ERR_TRUNCATED');
    this.#position += count;
    return true;
  }

  // Unlike a varint that is read, one that is skipped may be of any length, as in protobufjs: the frame bounds it.
  #skipVarint(end: number): boolean {
    while (this.#position < end) {
      if (byteAt(this.buffer, this.#position++) < 0x80) return true;
    }
    return this.#fail('DNSTAP_ERR_TRUNCATED');
  }

  /** Moves past `length` bytes that readLength has found to be there, and returns where they start. */
  #takeBytes(length: number): number {
    if (length === FAILED) return FAILED;
    const start = this.#position;
    this.#position = start + length;
    return start;
  }

  #readTag(end: number): number {
    const position = this.#position;
    if (position >= end) return this.#failNumber('DNSTAP_ERR_TRUNCATED');
    const tag = byteAt(this.buffer, position);
    if (tag >= 0x80) return this.#readShortVarint(end, 0x0f);
    this.#position = position + 1;
    return tag;
  }

  /** The length of a bytes field; FAILED when the field does not end before `end`. */
  #readLength(end: number): number {
    const position = this.#position;
    if (position >= end) return this.#failNumber('DNSTAP_ERR_TRUNCATED');
    let length = byteAt(this.buffer, position);
    if (length < 0x80) this.#position = position + 1;
    else length = this.#readShortVarint(end, 0x07);
    if (length > end - this.#position) return this.#failNumber('DNSTAP_ERR_TRUNCATED');
    return length;
  }

  /** Up to five bytes; the fifth may hold no more than `maxFifthByte`. Tags are 32 bits, lengths 31. */
  #readShortVarint(end: number, maxFifthByte: number): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 5; count++) {
      if (this.#position >= end) return this.#failNumber('DNSTAP_ERR_TRUNCATED');
      const byte = byteAt(this.buffer, this.#position++);
      if (count === 4 && byte > maxFifthByte) break;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    return this.#failNumber('DNSTAP_ERR_VARINT');
  }

  /** The low 32 bits of a varint: protobuf truncates longer ones in 32-bit fields. */
  #readUint32(end: number): number {
    const position = this.#position;
    if (position < end) {
      const value = byteAt(this.buffer, position);
      if (value < 0x80) {
        this.#position = position + 1;
        return value;
      }
    }
    return this.#readLongVarint(end, true);
  }

  #readVarint(end: number): number {
    return this.#readLongVarint(end, false);
  }

  #readLongVarint(end: number, lowWordOnly: boolean): number {
    let low = 0;
    let high = 0; // what does not fit into 28 bits
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const position = this.#position;
      if (position >= end) return this.#failNumber('DNSTAP_ERR_TRUNCATED');
      this.#position = position + 1;
      const byte = byteAt(this.buffer, position);
      if (count < 4) {
        low |= (byte & 0x7f) << (7 * count);
      } else {
        high += (byte & (count === 9 ? 0x01 : 0x7f)) * scale;
        scale *= 128;
      }
      if (byte < 0x80) return lowWordOnly ? ((high % 16) * 0x10000000 + low) >>> 0 : high * 0x10000000 + low;
    }
    return this.#failNumber('DNSTAP_ERR_VARINT');
  }

  #readFixed32(end: number): number {
    const position = this.#position;
    if (end - position < 4) return this.#failNumber('DNSTAP_ERR_TRUNCATED');
    this.#position = position + 4;
    const buffer = this.buffer;
    return (
      (byteAt(buffer, position) |
        (byteAt(buffer, position + 1) << 8) |
        (byteAt(buffer, position + 2) << 16) |
        (byteAt(buffer, position + 3) << 24)) >>>
      0
    );
  }

  #failNumber(code: DnstapErrorCode): number {
    this.#fail(code);
    return FAILED;
  }

  #fail(code: DnstapErrorCode): false {
    const view = writable(this);
    view.error = code;
    return false;
  }

  #clear(buffer: Uint8Array): void {
    const view = writable(this);
    view.buffer = buffer;
    view.error = undefined;
    view.type = 0;
    view.socketFamily = 0;
    view.socketProtocol = 0;
    view.queryAddressLength = 0;
    view.responseAddressLength = 0;
    view.queryPort = 0;
    view.responsePort = 0;
    view.queryTimeSec = -1;
    view.queryTimeNsec = -1;
    view.responseTimeSec = -1;
    view.responseTimeNsec = -1;
    view.queryMessageLength = 0;
    view.responseMessageLength = 0;
    view.queryZoneLength = 0;
    view.identityLength = 0;
    view.versionLength = 0;
    view.extraLength = 0;
    this.#hasMessage = false;
    this.#hasDnstapType = false;
  }
}
