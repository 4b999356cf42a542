/**
 * What one dnstap frame says: `message Dnstap` of dnstap.proto, version 20250201. Absent fields are null or undefined.
 *
 * Enumerations are numbers (`MessageType` and its neighbours name them), also such that this package does not know.
 * `$unknowns` holds fields that it does not know, tag included, in the order of the wire; encoding writes them back. It
 * is not enumerable: `{ ...dnstap }` leaves it behind.
 */
export interface Dnstap {
  /** `DnstapType.MESSAGE`; the schema has no other yet. */
  readonly type: number;
  /** The server's identity. Bytes: not necessarily text. */
  readonly identity?: Uint8Array | null | undefined;
  readonly version?: Uint8Array | null | undefined;
  readonly extra?: Uint8Array | null | undefined;
  readonly message?: Message | null | undefined;
  readonly $unknowns?: readonly Uint8Array[] | undefined;
}

/** A DNS message and what its observer knew of it: `message Message` of dnstap.proto. */
export interface Message {
  /** One of `MessageType`. */
  readonly type: number;
  /** One of `SocketFamily`. */
  readonly socketFamily?: number | null | undefined;
  /** One of `SocketProtocol`. */
  readonly socketProtocol?: number | null | undefined;
  /** The initiator's address, 4 or 16 octets; `formatAddress` makes it text. */
  readonly queryAddress?: Uint8Array | null | undefined;
  readonly responseAddress?: Uint8Array | null | undefined;
  readonly queryPort?: number | null | undefined;
  readonly responsePort?: number | null | undefined;
  /** Unix time in seconds, 0 to 2^64-1; `unixNanoseconds` joins it with the next. */
  readonly queryTimeSec?: bigint | null | undefined;
  /** Nanoseconds within the second. */
  readonly queryTimeNsec?: number | null | undefined;
  /** The DNS query as it was on the wire (RFC 1035 section 4). */
  readonly queryMessage?: Uint8Array | null | undefined;
  /** A domain name in wire format (RFC 1035 section 3.1). */
  readonly queryZone?: Uint8Array | null | undefined;
  readonly responseTimeSec?: bigint | null | undefined;
  readonly responseTimeNsec?: number | null | undefined;
  readonly responseMessage?: Uint8Array | null | undefined;
  readonly policy?: Policy | null | undefined;
  /** One of `HttpProtocol`. */
  readonly httpProtocol?: number | null | undefined;
  readonly $unknowns?: readonly Uint8Array[] | undefined;
}

/** A policy of the operator that met the message: `message Policy` of dnstap.proto. */
export interface Policy {
  /** For example "RPZ". */
  readonly type?: string | null | undefined;
  readonly rule?: Uint8Array | null | undefined;
  /** One of `PolicyAction`. */
  readonly action?: number | null | undefined;
  /** One of `PolicyMatch`. */
  readonly match?: number | null | undefined;
  readonly value?: Uint8Array | null | undefined;
  readonly $unknowns?: readonly Uint8Array[] | undefined;
}

/**
 * Seconds and nanoseconds as nanoseconds since the Unix epoch, exactly.
 *
 * @returns undefined when `seconds` is absent; absent nanoseconds count as zero
 */
export function unixNanoseconds(
  seconds: bigint | null | undefined,
  nanoseconds: number | null | undefined,
): bigint | undefined {
  if (seconds === null || seconds === undefined) return undefined;
  return seconds * 1_000_000_000n + BigInt(nanoseconds ?? 0);
}
