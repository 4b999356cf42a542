import { FrameStreamsError } from './errors.js';

/** The content type of dnstap streams; compared byte for byte. */
export const DNSTAP_CONTENT_TYPE = 'protobuf:dnstap.Dnstap';

/** Types of control frames, `farsightsec/fstrm` `fstrm/control.h`. */
export const ControlType = { ACCEPT: 1, START: 2, STOP: 3, READY: 4, FINISH: 5 } as const;

/** Limits of control frames, `farsightsec/fstrm` `fstrm/control.h`. Lengths count the payload only. */
export const MIN_CONTROL_BYTES = 4;
export const MAX_CONTROL_BYTES = 512;
const MAX_CONTENT_TYPE_BYTES = 256;
const FIELD_CONTENT_TYPE = 1;
const FIELD_HEADER_BYTES = 8;

/** A control frame without its framing. Content types are byte strings, one character a byte (latin1). */
export interface ControlFrame {
  readonly type: number;
  readonly contentTypes: readonly string[];
}

/**
 * Encodes a control frame with its escape and length.
 *
 * ```
 * 00000000 | length of the payload | type | (00000001 | length | content type) ...     each a big-endian uint32
 * ```
 *
 * @throws FrameStreamsError `DNSTAP_ERR_CONTROL_LENGTH`
 */
export function encodeControlFrame(frame: ControlFrame): Buffer {
  const values = frame.contentTypes.map((contentType) => Buffer.from(contentType, 'latin1'));
  const payloadBytes = values.reduce((sum, value) => sum + FIELD_HEADER_BYTES + value.length, MIN_CONTROL_BYTES);
  if (payloadBytes > MAX_CONTROL_BYTES || values.some((value) => value.length > MAX_CONTENT_TYPE_BYTES)) {
    throw new FrameStreamsError(
      'DNSTAP_ERR_CONTROL_LENGTH',
      `content types do not fit into ${MAX_CONTROL_BYTES} bytes`,
    );
  }
  const buffer = Buffer.alloc(8 + payloadBytes);
  buffer.writeUInt32BE(payloadBytes, 4);
  let position = buffer.writeUInt32BE(frame.type, 8);
  for (const value of values) {
    position = buffer.writeUInt32BE(FIELD_CONTENT_TYPE, position);
    position = buffer.writeUInt32BE(value.length, position);
    position += value.copy(buffer, position);
  }
  return buffer;
}

/**
 * Decodes the payload of a control frame. Fields of unknown types are skipped by their length.
 *
 * @throws FrameStreamsError `DNSTAP_ERR_CONTROL_LENGTH`, `DNSTAP_ERR_CONTROL_MALFORMED`
 */
export function decodeControlFrame(buffer: Buffer, start: number, end: number): ControlFrame {
  const length = end - start;
  if (length < MIN_CONTROL_BYTES || length > MAX_CONTROL_BYTES) {
    throw new FrameStreamsError('DNSTAP_ERR_CONTROL_LENGTH', `control frame of ${length} bytes, expected 4 to 512`);
  }
  const contentTypes: string[] = [];
  let position = start + MIN_CONTROL_BYTES;
  while (position < end) {
    if (end - position < FIELD_HEADER_BYTES) throw malformed('a field header is cut off');
    const field = buffer.readUInt32BE(position);
    const valueBytes = buffer.readUInt32BE(position + 4);
    position += FIELD_HEADER_BYTES;
    if (valueBytes > end - position) throw malformed(`a field of ${valueBytes} bytes is cut off`);
    if (field === FIELD_CONTENT_TYPE) {
      if (valueBytes > MAX_CONTENT_TYPE_BYTES) throw malformed(`a content type of ${valueBytes} bytes`);
      contentTypes.push(buffer.toString('latin1', position, position + valueBytes));
    }
    position += valueBytes;
  }
  return { type: buffer.readUInt32BE(start), contentTypes };
}

/** Whether a peer that names these content types speaks ours: naming none means any. */
export function acceptsContentType(contentTypes: readonly string[], ours: string): boolean {
  return contentTypes.length === 0 || contentTypes.includes(ours);
}

function malformed(what: string): FrameStreamsError {
  return new FrameStreamsError('DNSTAP_ERR_CONTROL_MALFORMED', what);
}
