import type { DnstapErrorCode } from './errors.js';
import {
  failureCode,
  lengthValue,
  skipField,
  tagValue,
  TRUNCATED,
  uint32Value,
  varintEnd,
  varintValue,
  WireType,
} from './protobuf-wire.js';

/**
 * Where the view keeps what it finds: bytes fields as start and length, the others as a number.
 *
 * ```
 * slot      1 .. 14                       16 + 1 .. 16 + 3             16 + 14          16 + 15
 * field     of Message, its own number    identity, version, extra     the Message      Dnstap.type
 * ```
 */
const SLOTS = 32;
const DNSTAP_SLOT = 16;

const Slot = {
  TYPE: 1,
  SOCKET_FAMILY: 2,
  SOCKET_PROTOCOL: 3,
  QUERY_ADDRESS: 4,
  RESPONSE_ADDRESS: 5,
  QUERY_PORT: 6,
  RESPONSE_PORT: 7,
  QUERY_TIME_SEC: 8,
  QUERY_TIME_NSEC: 9,
  QUERY_MESSAGE: 10,
  QUERY_ZONE: 11,
  RESPONSE_TIME_SEC: 12,
  RESPONSE_TIME_NSEC: 13,
  RESPONSE_MESSAGE: 14,
  IDENTITY: DNSTAP_SLOT + 1,
  VERSION: DNSTAP_SLOT + 2,
  EXTRA: DNSTAP_SLOT + 3,
  MESSAGE: DNSTAP_SLOT + 14,
  DNSTAP_TYPE: DNSTAP_SLOT + 15,
} as const;

const TAG_MESSAGE = tagOf(Slot.MESSAGE, WireType.DELIMITED);
const TAG_TYPE = tagOf(Slot.TYPE, WireType.VARINT);

const SKIPPED_TAG = 0xff;

// What to do about a tag. All tags of interest are single bytes.
const SKIP = 0;
const BYTES = 1;
const UINT32 = 2;
const UINT64 = 3;
const FIXED32 = 4;

const WIRE_TYPES = {
  [BYTES]: WireType.DELIMITED,
  [UINT32]: WireType.VARINT,
  [UINT64]: WireType.VARINT,
  [FIXED32]: WireType.FIXED32,
} as const;

const DNSTAP_ACTIONS = actionTable({
  [BYTES]: [Slot.IDENTITY, Slot.VERSION, Slot.EXTRA],
  [UINT32]: [Slot.DNSTAP_TYPE],
  [UINT64]: [],
  [FIXED32]: [],
});

const MESSAGE_ACTIONS = actionTable({
  [BYTES]: [Slot.QUERY_ADDRESS, Slot.RESPONSE_ADDRESS, Slot.QUERY_MESSAGE, Slot.QUERY_ZONE, Slot.RESPONSE_MESSAGE],
  [UINT32]: [Slot.TYPE, Slot.SOCKET_FAMILY, Slot.SOCKET_PROTOCOL, Slot.QUERY_PORT, Slot.RESPONSE_PORT],
  [UINT64]: [Slot.QUERY_TIME_SEC, Slot.RESPONSE_TIME_SEC],
  [FIXED32]: [Slot.QUERY_TIME_NSEC, Slot.RESPONSE_TIME_NSEC],
});

function tagOf(slot: number, wireType: number): number {
  return ((slot % DNSTAP_SLOT) << 3) | wireType;
}

function actionTable(slots: Readonly<Record<keyof typeof WIRE_TYPES, readonly number[]>>): Uint8Array {
  const table = new Uint8Array(256).fill(SKIP);
  for (const action of [BYTES, UINT32, UINT64, FIXED32] as const) {
    for (const slot of slots[action]) table[tagOf(slot, WIRE_TYPES[action])] = action;
  }
  return table;
}

const STOPPED = -4; // the message is of another type than `only`; negative like the failures
/** More than what fields of fixed size can take between two of bytes, together with the start of the second. */
const MAX_FIXED_OCTETS = 40;
const DNSTAP_TYPE_OCTETS = 2;
const CONTINUATION_BITS = 0x80808080 | 0; // of a varint's first four octets

const EMPTY: Uint8Array = Buffer.alloc(0);

/** Where the value that was read last ends. Reading is synchronous and calls nothing back, so one is enough. */
let valueEnd = 0;

function byteAt(buffer: Uint8Array, position: number): number {
  return buffer[position] as number; // callers have compared position with an end inside the buffer
}

/** A varint of 64 bits; times have five bytes until the year 3058. */
function readUint64(buffer: Uint8Array, position: number, end: number): number {
  if (end - position < 5) return readUint64Slowly(buffer, position, end);
  const byte0 = byteAt(buffer, position);
  const byte1 = byteAt(buffer, position + 1);
  const byte2 = byteAt(buffer, position + 2);
  const byte3 = byteAt(buffer, position + 3);
  const byte4 = byteAt(buffer, position + 4);
  if ((byte0 & byte1 & byte2 & byte3) < 0x80 || byte4 >= 0x80) return readUint64Slowly(buffer, position, end);
  valueEnd = position + 5;
  return (
    ((byte0 & 0x7f) | ((byte1 & 0x7f) << 7) | ((byte2 & 0x7f) << 14) | ((byte3 & 0x7f) << 21)) + byte4 * 0x10000000
  );
}

function readUint64Slowly(buffer: Uint8Array, position: number, end: number): number {
  valueEnd = varintEnd(buffer, position, end);
  return valueEnd < 0 ? valueEnd : varintValue(buffer, position, valueEnd);
}

/** A varint of which 32 bits count; ports have up to three bytes. */
function readUint32(buffer: Uint8Array, position: number, end: number): number {
  if (end - position < 3) return readUint32Slowly(buffer, position, end);
  let byte = byteAt(buffer, position);
  let value = byte & 0x7f;
  valueEnd = position + 1;
  if (byte < 0x80) return value;
  byte = byteAt(buffer, position + 1);
  value |= (byte & 0x7f) << 7;
  valueEnd = position + 2;
  if (byte < 0x80) return value;
  byte = byteAt(buffer, position + 2);
  valueEnd = position + 3;
  return byte < 0x80 ? value | (byte << 14) : readUint32Slowly(buffer, position, end);
}

function readUint32Slowly(buffer: Uint8Array, position: number, end: number): number {
  valueEnd = varintEnd(buffer, position, end);
  return valueEnd < 0 ? valueEnd : uint32Value(buffer, position, valueEnd);
}

/** The length of a delimited field that ends before `end`; one byte or two unless it holds a long message. */
function readLength(buffer: Uint8Array, position: number, end: number): number {
  if (end - position < 2) return readLengthSlowly(buffer, position, end);
  let length = byteAt(buffer, position);
  valueEnd = position + 1;
  if (length >= 0x80) {
    const second = byteAt(buffer, position + 1);
    if (second >= 0x80) return readLengthSlowly(buffer, position, end);
    length = (length & 0x7f) | (second << 7);
    valueEnd = position + 2;
  }
  return length <= end - valueEnd ? length : TRUNCATED;
}

function readLengthSlowly(buffer: Uint8Array, position: number, end: number): number {
  valueEnd = varintEnd(buffer, position, end);
  if (valueEnd < 0) return valueEnd;
  const length = lengthValue(buffer, position, valueEnd);
  return length <= end - valueEnd ? length : TRUNCATED;
}

/**
 * A tag of more than one byte: of a field that is skipped, or one of ours written longer than need be, which protobuf
 * allows. Leaves the position behind it in `valueEnd`. What is no tag at all is for skipField to say.
 */
function longTag(buffer: Uint8Array, position: number, end: number): number {
  const tagEnd = varintEnd(buffer, position, end);
  const tag = tagEnd < 0 ? tagEnd : tagValue(buffer, position, tagEnd);
  valueEnd = tagEnd;
  return tag >= 0 && tag < 0x80 ? tag : SKIPPED_TAG;
}

function fixed32At(buffer: Uint8Array, position: number): number {
  return (
    (byteAt(buffer, position) |
      (byteAt(buffer, position + 1) << 8) |
      (byteAt(buffer, position + 2) << 16) |
      (byteAt(buffer, position + 3) << 24)) >>>
    0
  );
}

/**
 * A view of one dnstap frame where it lies: no object, string or copy per frame. One instance serves all frames.
 *
 * `scan` reads the protobuf envelope once and leaves numbers: values, and for every bytes field its start in `buffer` and
 * its length. They describe the bytes of the last scan and hold until the next scan, or until the owner of the buffer uses
 * it again (with `Receiver`: until the frame handler returns). Whoever wants to keep bytes copies them.
 *
 * A field that occurs twice has its last value, as in every protobuf decoder. Unknown fields are skipped, unknown values
 * kept as numbers. The DNS message itself is not read.
 */
export class DnstapView {
  readonly #only: number;
  // Reading and writing elements of typed arrays is what V8 does best: twice as fast as a property per field.
  readonly #numbers = new Float64Array(SLOTS);
  readonly #starts = new Int32Array(SLOTS);
  readonly #lengths = new Int32Array(SLOTS);
  /** A bit for every slot that the last scan has filled; saves emptying the others. */
  #present = 0;
  #buffer: Uint8Array = EMPTY;
  #data = new DataView(EMPTY.buffer, 0, 0);
  #error: DnstapErrorCode | undefined;

  /**
   * @param options.only Stop as soon as the message is known to be of another `Message.Type`. Then `scan` returns true,
   * `type` is that other type, and of the other fields only those in front of it are set.
   */
  constructor(options: { readonly only?: number } = {}) {
    this.#only = options.only ?? 0;
  }

  /** The buffer of the last scan. */
  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** Why the last scan returned false. */
  get error(): DnstapErrorCode | undefined {
    return this.#error;
  }

  /** `Message.Type`; 0 when the frame has no message. */
  get type(): number {
    return this.#numberOr(0, Slot.TYPE);
  }

  /** `SocketFamily`; 0 when absent. */
  get socketFamily(): number {
    return this.#numberOr(0, Slot.SOCKET_FAMILY);
  }

  /** `SocketProtocol`; 0 when absent. */
  get socketProtocol(): number {
    return this.#numberOr(0, Slot.SOCKET_PROTOCOL);
  }

  get queryAddressStart(): number {
    return this.#start(Slot.QUERY_ADDRESS);
  }

  /** In octets; 0 when absent. Decides IPv4 or IPv6: producers exist that write IPv4 in 16 octets beside INET. */
  get queryAddressLength(): number {
    return this.#length(Slot.QUERY_ADDRESS);
  }

  get responseAddressStart(): number {
    return this.#start(Slot.RESPONSE_ADDRESS);
  }

  get responseAddressLength(): number {
    return this.#length(Slot.RESPONSE_ADDRESS);
  }

  /** 0 when absent. */
  get queryPort(): number {
    return this.#numberOr(0, Slot.QUERY_PORT);
  }

  /** 0 when absent. */
  get responsePort(): number {
    return this.#numberOr(0, Slot.RESPONSE_PORT);
  }

  /** Unix time in whole seconds; -1 when absent. Values over 2^53 lose precision. */
  get queryTimeSec(): number {
    return this.#numberOr(-1, Slot.QUERY_TIME_SEC);
  }

  /** Nanoseconds within the second; -1 when absent. */
  get queryTimeNsec(): number {
    return this.#numberOr(-1, Slot.QUERY_TIME_NSEC);
  }

  /** Unix time in whole seconds; -1 when absent. */
  get responseTimeSec(): number {
    return this.#numberOr(-1, Slot.RESPONSE_TIME_SEC);
  }

  /** Nanoseconds within the second; -1 when absent. */
  get responseTimeNsec(): number {
    return this.#numberOr(-1, Slot.RESPONSE_TIME_NSEC);
  }

  get queryMessageStart(): number {
    return this.#start(Slot.QUERY_MESSAGE);
  }

  /** 0 when absent or empty. */
  get queryMessageLength(): number {
    return this.#length(Slot.QUERY_MESSAGE);
  }

  get responseMessageStart(): number {
    return this.#start(Slot.RESPONSE_MESSAGE);
  }

  /** 0 when absent or empty. */
  get responseMessageLength(): number {
    return this.#length(Slot.RESPONSE_MESSAGE);
  }

  get queryZoneStart(): number {
    return this.#start(Slot.QUERY_ZONE);
  }

  get queryZoneLength(): number {
    return this.#length(Slot.QUERY_ZONE);
  }

  get identityStart(): number {
    return this.#start(Slot.IDENTITY);
  }

  get identityLength(): number {
    return this.#length(Slot.IDENTITY);
  }

  get versionStart(): number {
    return this.#start(Slot.VERSION);
  }

  get versionLength(): number {
    return this.#length(Slot.VERSION);
  }

  get extraStart(): number {
    return this.#start(Slot.EXTRA);
  }

  get extraLength(): number {
    return this.#length(Slot.EXTRA);
  }

  /**
   * Reads the frame in `buffer` from `start` up to `end`. Never throws; reads nothing outside the range.
   *
   * @returns false when the bytes are not a dnstap frame; then `error` is one of `DNSTAP_ERR_TRUNCATED`,
   * `DNSTAP_ERR_VARINT`, `DNSTAP_ERR_WIRE_TYPE`, `DNSTAP_ERR_FIELD_MISSING`, and no other field means anything.
   */
  scan(buffer: Uint8Array, start: number, end: number): boolean {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#data = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    }
    this.#error = undefined;
    this.#present = 0;
    if (start < 0 || end > buffer.length) return this.#fail('DNSTAP_ERR_TRUNCATED');
    if (this.#scanInOrder(start, end)) return true;
    this.#present = 0;
    const position = this.#scanDnstap(start, end);
    if (position < 0) return position === STOPPED || this.#fail(failureCode(position));
    return this.#hasRequiredFields() || this.#fail('DNSTAP_ERR_FIELD_MISSING');
  }

  /**
   * Reads a frame as producers write it: fields in the order of their numbers, values of the usual size. Each field is
   * looked for once, where the one before it ends. One that is there and unusual is not taken, hence none after it, and the
   * end is not reached. Straight on takes less than half the time of the loops below.
   *
   * @returns false when the frame is one for the loops
   */
  #scanInOrder(start: number, end: number): boolean {
    const limit = end - MAX_FIXED_OCTETS; // as long as no field ends behind it, the next ones can be looked at
    if (start > limit) return false;
    let at = this.#takeBytes(start, Slot.IDENTITY, limit);
    at = this.#takeBytes(at, Slot.VERSION, limit);
    at = this.#takeBytes(at, Slot.EXTRA, limit);
    const message = this.#takeBytes(at, Slot.MESSAGE, end);
    if (message === at) return false;
    at = this.#starts[Slot.MESSAGE] as number;
    at = this.#takeDigit(at, Slot.TYPE);
    if (this.#only !== 0 && this.#has(Slot.TYPE) && this.#numbers[Slot.TYPE] !== this.#only) return true;
    at = this.#takeDigit(at, Slot.SOCKET_FAMILY);
    at = this.#takeDigit(at, Slot.SOCKET_PROTOCOL);
    at = this.#takeBytes(at, Slot.QUERY_ADDRESS, limit);
    at = this.#takeBytes(at, Slot.RESPONSE_ADDRESS, limit);
    at = this.#takePort(at, Slot.QUERY_PORT);
    at = this.#takePort(at, Slot.RESPONSE_PORT);
    at = this.#takeSeconds(at, Slot.QUERY_TIME_SEC);
    at = this.#takeNanoseconds(at, Slot.QUERY_TIME_NSEC);
    at = this.#takeBytes(at, Slot.QUERY_MESSAGE, limit);
    at = this.#takeBytes(at, Slot.QUERY_ZONE, limit);
    at = this.#takeSeconds(at, Slot.RESPONSE_TIME_SEC);
    at = this.#takeNanoseconds(at, Slot.RESPONSE_TIME_NSEC);
    at = this.#takeBytes(at, Slot.RESPONSE_MESSAGE, end - DNSTAP_TYPE_OCTETS);
    if (at !== message || at + DNSTAP_TYPE_OCTETS !== end) return false;
    return this.#takeDigit(at, Slot.DNSTAP_TYPE) === end && this.#has(Slot.TYPE);
  }

  // Each of these takes the field of a slot if it begins at `at`, and returns where the next one begins: `at`, if not taken.

  /** Bytes with a length of one or two octets that end at `limit` or before. */
  #takeBytes(at: number, slot: number, limit: number): number {
    const data = this.#data;
    if (data.getUint8(at) !== tagOf(slot, WireType.DELIMITED)) return at;
    let length = data.getUint8(at + 1);
    let start = at + 2;
    if (length >= 0x80) {
      const second = data.getUint8(at + 2);
      if (second >= 0x80) return at;
      length = (length & 0x7f) | (second << 7);
      start = at + 3;
    }
    if (start + length > limit) return at;
    this.#starts[slot] = start;
    this.#lengths[slot] = length;
    this.#present |= 1 << slot;
    return start + length;
  }

  /** A varint of one octet. */
  #takeDigit(at: number, slot: number): number {
    const data = this.#data;
    if (data.getUint8(at) !== tagOf(slot, WireType.VARINT)) return at;
    const value = data.getUint8(at + 1);
    if (value >= 0x80) return at;
    this.#numbers[slot] = value;
    this.#present |= 1 << slot;
    return at + 2;
  }

  /** A varint of up to three octets. */
  #takePort(at: number, slot: number): number {
    const octets = this.#data.getInt32(at, true);
    if ((octets & 0xff) !== tagOf(slot, WireType.VARINT)) return at;
    if ((octets & 0x8000) === 0) return this.#takeDigit(at, slot);
    const isShort = (octets & 0x80_0000) === 0;
    if (!isShort && octets < 0) return at;
    const high = isShort ? 0 : (octets >> 10) & 0x1f_c000;
    this.#numbers[slot] = ((octets >> 8) & 0x7f) | ((octets >> 9) & 0x3f80) | high;
    this.#present |= 1 << slot;
    return isShort ? at + 3 : at + 4;
  }

  /** A varint of five octets: Unix seconds from 1978 to 3058. */
  #takeSeconds(at: number, slot: number): number {
    const data = this.#data;
    if (data.getUint8(at) !== tagOf(slot, WireType.VARINT)) return at;
    const low = data.getInt32(at + 1, true);
    const high = data.getUint8(at + 5);
    if ((low & CONTINUATION_BITS) !== CONTINUATION_BITS || high >= 0x80) return at;
    this.#numbers[slot] =
      ((low & 0x7f) | ((low >> 1) & 0x3f80) | ((low >> 2) & 0x1f_c000) | ((low >> 3) & 0xfe0_0000)) +
      high * 0x1000_0000;
    this.#present |= 1 << slot;
    return at + 6;
  }

  #takeNanoseconds(at: number, slot: number): number {
    const data = this.#data;
    if (data.getUint8(at) !== tagOf(slot, WireType.FIXED32)) return at;
    this.#numbers[slot] = data.getUint32(at + 1, true);
    this.#present |= 1 << slot;
    return at + 5;
  }

  #scanDnstap(start: number, end: number): number {
    const buffer = this.#buffer;
    let position = start;
    while (position < end) {
      let tag = byteAt(buffer, position);
      valueEnd = position + 1;
      if (tag >= 0x80) tag = longTag(buffer, position, end);
      if (tag === TAG_MESSAGE) position = this.#scanMessage(valueEnd, end);
      else position = this.#scanDnstapField(tag, position, end);
      if (position < 0) return position;
    }
    return position;
  }

  #scanDnstapField(tag: number, position: number, end: number): number {
    const slot = DNSTAP_SLOT + (tag >> 3);
    switch (byteAt(DNSTAP_ACTIONS, tag)) {
      case BYTES: {
        const length = readLength(this.#buffer, valueEnd, end);
        if (length < 0) return length;
        this.#starts[slot] = valueEnd;
        this.#lengths[slot] = length;
        this.#present |= 1 << slot;
        return valueEnd + length;
      }
      case UINT32: {
        const value = readUint32(this.#buffer, valueEnd, end);
        this.#present |= 1 << slot;
        return value < 0 ? value : valueEnd;
      }
      default:
        return skipField(this.#buffer, position, end);
    }
  }

  // The loop that everything hangs on: one jump by tag, one store by field number, no call that V8 does not inline.
  // oxlint-disable-next-line complexity -- a function per case would cost a third of the speed
  #scanMessage(lengthPosition: number, outerEnd: number): number {
    const buffer = this.#buffer;
    const only = this.#only;
    const numbers = this.#numbers;
    const starts = this.#starts;
    const lengths = this.#lengths;
    const messageLength = readLength(buffer, lengthPosition, outerEnd);
    if (messageLength < 0) return messageLength;
    let position = valueEnd;
    const end = position + messageLength;
    let present = this.#present | (1 << Slot.MESSAGE);
    while (position < end) {
      let tag = byteAt(buffer, position);
      valueEnd = position + 1;
      if (tag >= 0x80) tag = longTag(buffer, position, end);
      const slot = tag >> 3;
      switch (byteAt(MESSAGE_ACTIONS, tag)) {
        case BYTES: {
          const length = readLength(buffer, valueEnd, end);
          if (length < 0) return length;
          starts[slot] = valueEnd;
          lengths[slot] = length;
          position = valueEnd + length;
          break;
        }
        case UINT32: {
          const value = readUint32(buffer, valueEnd, end);
          if (value < 0) return value;
          numbers[slot] = value;
          position = valueEnd;
          break;
        }
        case UINT64: {
          const value = readUint64(buffer, valueEnd, end);
          if (value < 0) return value;
          numbers[slot] = value;
          position = valueEnd;
          break;
        }
        case FIXED32: {
          if (end - valueEnd < 4) return TRUNCATED;
          numbers[slot] = fixed32At(buffer, valueEnd);
          position = valueEnd + 4;
          break;
        }
        default:
          position = skipField(buffer, position, end);
          if (position < 0) return position;
          continue;
      }
      present |= 1 << slot;
      if (tag === TAG_TYPE && only !== 0 && numbers[Slot.TYPE] !== only) break;
    }
    this.#present = present;
    return position < end ? STOPPED : position;
  }

  #hasRequiredFields(): boolean {
    if (!this.#has(Slot.DNSTAP_TYPE)) return false;
    return this.#has(Slot.TYPE) || !this.#has(Slot.MESSAGE);
  }

  #has(slot: number): boolean {
    return (this.#present & (1 << slot)) !== 0;
  }

  #numberOr(absent: number, slot: number): number {
    return this.#has(slot) ? (this.#numbers[slot] as number) : absent; // slots are constants below SLOTS, here and below
  }

  #start(slot: number): number {
    return this.#starts[slot] as number;
  }

  #length(slot: number): number {
    return this.#has(slot) ? (this.#lengths[slot] as number) : 0;
  }

  #fail(code: DnstapErrorCode): false {
    this.#error = code;
    return false;
  }
}
