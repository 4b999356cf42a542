/** A dnstap connection as `/connections` shows it. */
export interface ConnectionView {
  /** Address and port of the sender; for a unix socket its endpoint. */
  readonly peer: string;
  /** Whether the handshake is complete. */
  readonly started: boolean;
}

const TIMEOUT_MS = 3000;

/** Asks a receiver for its connections; undefined when it does not answer. */
export async function readConnections(host: string, port: number): Promise<readonly ConnectionView[] | undefined> {
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  try {
    const response = await fetch(`http://${authority}/connections`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) return undefined;
    return (await response.json()) as readonly ConnectionView[]; // our own program answers
  } catch {
    return undefined; // away, or not yet there: the caller asks again
  }
}

/**
 * Whether every address has a complete connection. Where the network hides who connects, so that none is known, as many
 * complete connections as addresses will do.
 */
export function isEachConnected(addresses: readonly string[], connections: readonly ConnectionView[]): boolean {
  const complete = connections.filter(({ started }) => started);
  const peers = new Set(complete.map(({ peer }) => addressOf(peer)));
  if (addresses.some((address) => peers.has(address))) return addresses.every((address) => peers.has(address));
  return complete.length >= addresses.length;
}

function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}
