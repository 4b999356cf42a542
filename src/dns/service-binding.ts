const PORT_KEY = 3; // RFC 9460 section 14.3.2
const MANDATORY_OCTETS = 4; // key and length of a parameter

/** The part of an SVCB or HTTPS record that is of use here. */
export interface ServiceBinding {
  /** 0: an alias, without parameters. */
  readonly priority: number;
  /** The alternative port; undefined where the record names none. */
  readonly port?: number;
}

/**
 * Reads the parameters of an SVCB or HTTPS record: `[start, end)` is what comes after its target name.
 *
 * @returns undefined when the parameters are cut or the port is no port
 * @see RFC 9460 section 2.2
 */
export function readServiceBinding(
  bytes: Uint8Array,
  { priority, start, end }: { readonly priority: number; readonly start: number; readonly end: number },
): ServiceBinding | undefined {
  const uint16 = (offset: number): number => ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  for (let position = start; position < end;) {
    if (position + MANDATORY_OCTETS > end) return undefined;
    const length = uint16(position + 2);
    const value = position + MANDATORY_OCTETS;
    if (value + length > end) return undefined;
    if (uint16(position) === PORT_KEY) return length === 2 ? { priority, port: uint16(value) } : undefined;
    position = value + length;
  }
  return { priority };
}
