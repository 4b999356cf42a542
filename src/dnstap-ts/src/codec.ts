import protobuf from 'protobufjs/minimal.js';

import { dnstap } from '../generated/dnstap.js';
import type { Dnstap } from './dnstap-message.js';
import { DnstapView } from './dnstap-view.js';
import { DnstapDecodeError, DnstapError } from './errors.js';

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
const FIRST_BYTES = 1024;
const MAX_KEPT_BYTES = 64 * 1024;

type Uint64 = ReturnType<protobuf.Reader['uint64']>;

/**
 * The generated code stores whatever its reader gives it for a uint64 and hands it to its writer unseen. Here that is a
 * bigint; the types of protobufjs know Long only, hence the casts.
 */
class BigintReader extends protobuf.BufferReader {
  constructor() {
    super(Buffer.alloc(0));
    this.discardUnknown = false;
  }

  /** Points the reader at another frame; one reader serves all frames. */
  read(frame: Buffer): this {
    this.buf = frame;
    this.pos = 0;
    this.len = frame.length;
    return this;
  }

  /** Bytes where they lie. `Buffer.prototype.slice`, which the base class calls, takes a detour to the same. */
  override raw(start: number, end: number): Uint8Array {
    return this.buf.subarray(start, end);
  }

  override uint64(): Uint64 {
    const value = this.len - this.pos < 5 ? undefined : fiveByteVarint(this.buf, this.pos);
    if (value === undefined) return longToBigint(super.uint64());
    this.pos += 5;
    return BigInt(value) as unknown as Uint64;
  }
}

/** A varint of five bytes, which has 35 bits: any second from 1978 until the year 3058. Undefined for other lengths. */
function fiveByteVarint(buffer: Uint8Array, position: number): number | undefined {
  const byte0 = buffer[position] as number; // the caller has seen to it that there are five
  const byte1 = buffer[position + 1] as number;
  const byte2 = buffer[position + 2] as number;
  const byte3 = buffer[position + 3] as number;
  const byte4 = buffer[position + 4] as number;
  if ((byte0 & byte1 & byte2 & byte3) < 0x80 || byte4 >= 0x80) return undefined;
  const low = (byte0 & 0x7f) | ((byte1 & 0x7f) << 7) | ((byte2 & 0x7f) << 14) | ((byte3 & 0x7f) << 21);
  return low + byte4 * 0x10000000;
}

function longToBigint(long: Uint64): Uint64 {
  return ((BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0)) as unknown as Uint64;
}

/** The counterpart of BigintReader, likewise one for all frames: its buffer has grown to their size once. */
class BigintWriter extends protobuf.BufferWriter {
  /** Forgets what was written, also by an encoding that failed halfway. */
  begin(): this {
    this.pos = 0;
    this.states = null;
    if (this.buf.length > MAX_KEPT_BYTES) this.buf = Buffer.alloc(FIRST_BYTES);
    return this;
  }

  override uint64(long: Uint64 | number | string): protobuf.Writer {
    const value = long as unknown; // see BigintReader
    if (typeof value !== 'bigint' || value < 0n || value > MAX_UINT64) {
      throw new DnstapError('DNSTAP_ERR_ENCODE', `expected an unsigned 64-bit bigint, found ${String(value)}`);
    }
    if (value <= 0xffff_ffffn) return this.uint32(Number(value)); // the same bytes
    return super.uint64(value.toString());
  }
}

const reader = new BigintReader();
const writer = new BigintWriter();
const view = new DnstapView();

/**
 * Decodes one frame with every field, also those and those values that this package does not know.
 *
 * The bytes fields of the result lie in `frame`, they are not copies: copy what shall outlive it.
 *
 * @throws DnstapDecodeError `DNSTAP_ERR_TRUNCATED`, `DNSTAP_ERR_VARINT`, `DNSTAP_ERR_WIRE_TYPE`,
 * `DNSTAP_ERR_FIELD_MISSING` or `DNSTAP_ERR_DECODE`, with the error of protobufjs as its cause
 */
export function decodeDnstap(frame: Uint8Array): Dnstap {
  const buffer = Buffer.isBuffer(frame) ? frame : Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  try {
    // Dnstap is the generated class with bigint for Long, which BigintReader sees to.
    return dnstap.Dnstap.decode(reader.read(buffer)) as unknown as Dnstap;
  } catch (cause) {
    // protobufjs tells its reasons apart by message text only; the view, which agrees with it, has codes.
    const code = view.scan(buffer, 0, buffer.length) ? 'DNSTAP_ERR_DECODE' : (view.error ?? 'DNSTAP_ERR_DECODE');
    throw new DnstapDecodeError(code, `not a dnstap frame of ${frame.length} bytes`, { cause });
  }
}

/**
 * Encodes one frame, fields in the order of their numbers, then unknown fields. Absent fields (null, undefined) are left
 * out; empty ones are written.
 *
 * @throws DnstapError `DNSTAP_ERR_ENCODE` when a required `type` is missing or a number does not fit
 */
export function encodeDnstap(message: Dnstap): Uint8Array {
  if (!Number.isInteger(message.type) || (message.message && !Number.isInteger(message.message.type))) {
    throw new DnstapError('DNSTAP_ERR_ENCODE', 'expected a number in the required field type');
  }
  // See decodeDnstap: the types differ in uint64 and readonly only.
  const properties = message as unknown as dnstap.Dnstap.$Properties;
  return dnstap.Dnstap.encode(properties, writer.begin()).finish();
}
