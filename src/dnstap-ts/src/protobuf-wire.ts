import type { DnstapErrorCode } from './errors.js';

/** Wire types, https://protobuf.dev/programming-guides/encoding/#structure */
export const WireType = { VARINT: 0, FIXED64: 1, DELIMITED: 2, GROUP_START: 3, GROUP_END: 4, FIXED32: 5 } as const;

// Values, lengths and positions are never negative, so failures can travel in their place: nothing is allocated or thrown.
export const TRUNCATED = -1;
export const BAD_VARINT = -2;
export const BAD_WIRE_TYPE = -3;

const MAX_GROUP_DEPTH = 100; // the recursion limit that protobuf implementations share
const MAX_VARINT_BYTES = 10;
const MAX_TAG_FIFTH_BYTE = 0x0f; // tags are 32 bits
const MAX_LENGTH_FIFTH_BYTE = 0x07; // lengths are 31 bits

/** The error code of a negative result. */
export function failureCode(failure: number): DnstapErrorCode {
  if (failure === TRUNCATED) return 'DNSTAP_ERR_TRUNCATED';
  return failure === BAD_VARINT ? 'DNSTAP_ERR_VARINT' : 'DNSTAP_ERR_WIRE_TYPE';
}

function byteAt(buffer: Uint8Array, position: number): number {
  return buffer[position] as number; // callers have compared position with an end inside the buffer
}

/** Where the varint at `position` ends, whatever its length: the frame bounds it. */
export function varintEnd(buffer: Uint8Array, position: number, end: number): number {
  for (let next = position; next < end; next++) {
    if (byteAt(buffer, next) < 0x80) return next + 1;
  }
  return TRUNCATED;
}

/** The value of the varint between two positions: up to 64 bits, over 2^53 without its lowest. */
export function varintValue(buffer: Uint8Array, start: number, end: number): number {
  if (end - start > MAX_VARINT_BYTES) return BAD_VARINT;
  let value = 0;
  for (let position = end - 1; position >= start; position--) {
    const bits = position - start === MAX_VARINT_BYTES - 1 ? 0x01 : 0x7f;
    value = value * 0x80 + (byteAt(buffer, position) & bits);
  }
  return value;
}

/** The same for a field of 32 bits: protobuf keeps the low bits of a longer varint. */
export function uint32Value(buffer: Uint8Array, start: number, end: number): number {
  if (end - start > MAX_VARINT_BYTES) return BAD_VARINT;
  return varintValue(buffer, start, Math.min(end, start + 5)) % 0x1_0000_0000;
}

function shortValue(buffer: Uint8Array, start: number, end: number, maxFifthByte: number): number {
  if (end - start > 5 || (end - start === 5 && byteAt(buffer, start + 4) > maxFifthByte)) return BAD_VARINT;
  return varintValue(buffer, start, end);
}

/** The value of a tag between two positions. */
export function tagValue(buffer: Uint8Array, start: number, end: number): number {
  return shortValue(buffer, start, end, MAX_TAG_FIFTH_BYTE);
}

/** The value of a delimited field's length between two positions. */
export function lengthValue(buffer: Uint8Array, start: number, end: number): number {
  return shortValue(buffer, start, end, MAX_LENGTH_FIFTH_BYTE);
}

/** Moves past the field whose tag is at `position`. Returns the position behind it. */
export function skipField(buffer: Uint8Array, position: number, end: number, depth = 0): number {
  const tagEnd = varintEnd(buffer, position, end);
  if (tagEnd < 0) return tagEnd;
  const tag = tagValue(buffer, position, tagEnd);
  if (tag < 8) return BAD_VARINT; // there is no field number 0
  switch (tag & 7) {
    case WireType.VARINT:
      return varintEnd(buffer, tagEnd, end);
    case WireType.FIXED64:
      return end - tagEnd < 8 ? TRUNCATED : tagEnd + 8;
    case WireType.DELIMITED:
      return skipDelimited(buffer, tagEnd, end);
    case WireType.GROUP_START:
      return depth < MAX_GROUP_DEPTH ? skipGroup(buffer, position, end, depth + 1) : BAD_WIRE_TYPE;
    case WireType.FIXED32:
      return end - tagEnd < 4 ? TRUNCATED : tagEnd + 4;
    default:
      return BAD_WIRE_TYPE;
  }
}

function skipDelimited(buffer: Uint8Array, position: number, end: number): number {
  const start = varintEnd(buffer, position, end);
  if (start < 0) return start;
  const length = lengthValue(buffer, position, start);
  if (length < 0) return length;
  return length > end - start ? TRUNCATED : start + length;
}

/** A group ends with a tag that has its own field number and the wire type GROUP_END. */
function skipGroup(buffer: Uint8Array, start: number, end: number, depth: number): number {
  let position = varintEnd(buffer, start, end);
  const endTag = tagValue(buffer, start, position) + 1;
  while (position >= 0) {
    const tagEnd = varintEnd(buffer, position, end);
    if (tagEnd < 0) return tagEnd;
    const tag = tagValue(buffer, position, tagEnd);
    if ((tag & 7) === WireType.GROUP_END && tag >= 8) return tag === endTag ? tagEnd : BAD_WIRE_TYPE;
    position = skipField(buffer, position, end, depth);
  }
  return position;
}
