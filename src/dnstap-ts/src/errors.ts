/**
 * Every code an error of this package can have, with what it says. Codes are stable: programs may match on them, never on
 * the text of a message. The README lists the same codes; a test compares the two.
 */
export const ERROR_CODES = {
  DNSTAP_ERR_ENDPOINT: 'an endpoint that is not unix:///path, /path, tcp://host:port or tls://host:port',
  DNSTAP_ERR_OPTION: 'an option with a value that cannot work',
  DNSTAP_ERR_ADDRESS_IN_USE: 'another process listens on the unix socket, or the path is not a socket',
  DNSTAP_ERR_NOT_FRAME_STREAMS: 'the first bytes are not a READY or START control frame',
  DNSTAP_ERR_CONTROL_LENGTH: 'a control frame shorter than 4 or longer than 512 bytes',
  DNSTAP_ERR_CONTROL_MALFORMED: 'a control frame whose fields do not fit into it',
  DNSTAP_ERR_CONTROL_UNEXPECTED: 'a control frame that this state of the conversation does not allow',
  DNSTAP_ERR_CONTENT_TYPE: 'the peer does not speak our content type',
  DNSTAP_ERR_DATA_BEFORE_START: 'a data frame before the handshake was complete',
  DNSTAP_ERR_FRAME_TOO_LARGE: 'a frame over the limit of the writer or of the codec',
  DNSTAP_ERR_DESYNCHRONISED: 'a frame length over 16 MiB: the stream is not in step',
  DNSTAP_ERR_HANDSHAKE_TIMEOUT: 'the peer did not finish the handshake in time',
  DNSTAP_ERR_TRUNCATED: 'the input ends inside a field or frame',
  DNSTAP_ERR_VARINT: 'a protobuf varint, tag or length that is not well formed',
  DNSTAP_ERR_WIRE_TYPE: 'a protobuf wire type that does not exist or does not nest',
  DNSTAP_ERR_FIELD_MISSING: 'a required protobuf field is absent',
  DNSTAP_ERR_DECODE: 'a frame that the protobuf codec refuses for another reason',
  DNSTAP_ERR_ENCODE: 'a value that does not fit its protobuf field',
  DNSTAP_ERR_PEER_NOT_ALLOWED: 'the address or certificate of the peer is not on the allow list',
  DNSTAP_ERR_TOO_MANY_CONNECTIONS: 'the receiver has as many connections as it may have',
  DNSTAP_ERR_CONNECTION: 'the connection failed; the cause says why',
  DNSTAP_ERR_CLOSED: 'the object is closed',
  DNSTAP_ERR_HANDLER: 'the frame handler of the program threw; the cause says what',
  DNSTAP_ERR_FILE: 'a file could not be read or written; the cause says why',
} as const;

/** A stable error code, for example `DNSTAP_ERR_ENDPOINT`. */
export type DnstapErrorCode = keyof typeof ERROR_CODES;

/** Base of every error of this package. Match on `code`. */
export class DnstapError extends Error {
  readonly code: DnstapErrorCode;

  constructor(code: DnstapErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A peer or file broke the rules of Frame Streams. It costs the connection, or the rest of the file. */
export class FrameStreamsError extends DnstapError {}

/** A frame is not a dnstap message. It costs the frame. */
export class DnstapDecodeError extends DnstapError {}

/** The code of an error of Node, for example `ENOENT`. */
export function nodeErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
