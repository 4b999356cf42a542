/** What one connection has brought since it was accepted. Counters only grow. */
export interface ConnectionStatistics {
  /** Number of the connection within its receiver, from 1. */
  readonly id: number;
  /** The peer's address and port (`192.0.2.1:4711`); for unix sockets, which have none, the endpoint. */
  readonly peer: string;
  /** When the connection was accepted, Unix milliseconds. */
  readonly sinceMs: number;
  /** When its last frame came, Unix milliseconds rounded to the chunk; undefined before the first. */
  readonly lastFrameAtMs: number | undefined;
  /** Whether the handshake is complete. */
  readonly started: boolean;
  /** Data frames delivered to the handler. */
  readonly frames: number;
  /** Bytes read from the socket (behind TLS: decrypted). */
  readonly bytes: number;
  /** Data frames skipped because they exceed `maxFrameBytes`. */
  readonly oversizeFrames: number;
  /** Frames that the consumer has reported as dropped. */
  readonly droppedFrames: number;
  /** Frames that the consumer has reported as undecodable, by code. */
  readonly decodeErrors: Readonly<Record<string, number>>;
}

/** The sums over all connections of a receiver, open and closed. */
export interface ReceiverStatistics {
  readonly openConnections: number;
  readonly acceptedConnections: number;
  /** Connections refused at once, by code: too many, or a peer that is not allowed. */
  readonly refusedConnections: Readonly<Record<string, number>>;
  /** Connections ended by an error, by code. */
  readonly failedConnections: Readonly<Record<string, number>>;
  readonly frames: number;
  readonly bytes: number;
  readonly oversizeFrames: number;
  readonly droppedFrames: number;
  readonly decodeErrors: Readonly<Record<string, number>>;
}

/** Counters by code. */
export class CodeCounter {
  readonly #counts = new Map<string, number>();

  add(code: string, count = 1): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + count);
  }

  addAll(counts: Readonly<Record<string, number>>): void {
    for (const [code, count] of Object.entries(counts)) this.add(code, count);
  }

  /** Sorted by code. */
  toRecord(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
