import protobuf from 'protobufjs/minimal.js';

import { dnstap } from '../generated/dnstap.js';
import type { Dnstap } from './dnstap-message.js';
import { DnstapView } from './dnstap-view.js';
import { DnstapDecodeError, DnstapError } from './errors.js';

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

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

  override uint64(): Uint64 {
    return (this.#readFiveBytes() ?? this.#readAny()) as unknown as Uint64;
  }

  // Five bytes hold 35 bits: every second from 1978 until the year 3058.
  #readFiveBytes(): bigint | undefined {
    const { buf, pos } = this;
    if (this.len - pos < 5) return undefined;
    const high = buf[pos + 4] as number; // inside the buffer by the line above, and so the next four
    const low0 = buf[pos] as number;
    const low1 = buf[pos + 1] as number;
    const low2 = buf[pos + 2] as number;
    const low3 = buf[pos + 3] as number;
    if ((low0 & low1 & low2 & low3) < 0x80 || high >= 0x80) return undefined;
    this.pos = pos + 5;
    const low = (low0 & 0x7f) | ((low1 & 0x7f) << 7) | ((low2 & 0x7f) << 14) | ((low3 & 0x7f) << 21);
    return BigInt(low + high * 0x10000000);
  }

  #readAny(): bigint {
    const long = super.uint64();
    return (BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0);
  }
}

/** The counterpart of BigintReader. */
class BigintWriter extends protobuf.BufferWriter {
  override uint64(long: Uint64 | number | string): protobuf.Writer {
    const value = long as unknown; // see BigintReader
    if (typeof value !== 'bigint' || value < 0n || value > MAX_UINT64) {
      throw new DnstapError('DNSTAP_ERR_ENCODE', `expected an unsigned 64-bit bigint, found ${String(value)}`);
    }
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) return super.uint64(value.toString());
    return super.uint64(Number(value));
  }
}

const reader = new BigintReader();
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
  return dnstap.Dnstap.encode(properties, new BigintWriter()).finish();
}
