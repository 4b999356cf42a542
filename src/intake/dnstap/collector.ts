import { Receiver, type ReceiverConnection, type ReceiverTlsOptions } from 'dnstap-ts';
import type { Logger } from '../../telemetry/logger.js';
import type { FrameIntake } from '../frame-intake.js';
import { ConnectionLog } from './connection-log.js';

export interface CollectorOptions {
  /** `unix:///path`, `tcp://host:port` or `tls://host:port`. */
  readonly endpoints: readonly string[];
  readonly intake: FrameIntake;
  readonly maxConnections: number;
  readonly maxFrameBytes: number;
  readonly socketMode: number;
  /** Networks that may connect over TCP and TLS. Default: all. */
  readonly allowedAddresses?: readonly string[];
  /** Needed with a `tls://` endpoint. */
  readonly tls?: ReceiverTlsOptions;
  /** Told how many DNS servers are connected, when that changes; `wasCut`: one went without saying so. */
  readonly onConnections?: (connections: number, wasCut: boolean) => void;
  readonly log: Logger;
}

export interface CollectorStatistics {
  readonly frames: number;
  /** Skipped because they exceed `maxFrameBytes`: what they said is not known. */
  readonly oversizeFrames: number;
  /** By code of `dnstap-ts`: too many, or from a network that is not allowed. */
  readonly refusedConnections: ReadonlyMap<string, number>;
  /** Ended by an error, by code of `dnstap-ts`. */
  readonly failedConnections: ReadonlyMap<string, number>;
}

/** Listens for CoreDNS. ACCEPT is sent at once and no socket is ever paused, whatever the store does. */
export class Collector {
  readonly #receivers: readonly Receiver[];
  readonly #log: Logger;
  readonly #onConnections: CollectorOptions['onConnections'];
  /** Those whose handshake is done. */
  readonly #connected = new Set<ReceiverConnection>();
  readonly #told: ConnectionLog;

  constructor(options: CollectorOptions) {
    this.#log = options.log;
    this.#told = new ConnectionLog(options.log, Date.now);
    this.#onConnections = options.onConnections;
    const { intake: onFrame, maxConnections, maxFrameBytes, socketMode, allowedAddresses, tls } = options;
    const shared = {
      onFrame,
      maxConnections,
      maxFrameBytes,
      socketMode,
      ...(allowedAddresses && { allowedAddresses }),
    };
    this.#receivers = options.endpoints.map(
      (endpoint) => new Receiver({ ...shared, endpoint, ...(endpoint.startsWith('tls:') && tls && { tls }) }),
    );
  }

  /** The endpoints with their real ports, after {@link listen}. */
  get endpoints(): readonly string[] {
    return this.#receivers.map(({ endpoint }) => endpoint);
  }

  /** Listens at every endpoint, or, when one of them cannot be had, at none. */
  async listen(): Promise<void> {
    try {
      for (const receiver of this.#receivers) {
        this.#follow(receiver);
        await receiver.listen();
        this.#log.info({ endpoint: receiver.endpoint }, 'listening for dnstap');
      }
    } catch (err) {
      await this.close();
      throw err;
    }
  }

  #follow(receiver: Receiver): void {
    receiver.on('error', (err: Error) =>
      this.#log.warn({ err, endpoint: receiver.endpoint }, 'dnstap connection failed'),
    );
    receiver.on('refused', ({ code, peer }) => {
      this.#told.tell('warn', 'dnstap connection refused', { code, peer, endpoint: receiver.endpoint });
    });
    receiver.on('handshake', (connection: ReceiverConnection) => {
      this.#told.tell('info', 'dnstap connected', { peer: connection.peer, endpoint: receiver.endpoint });
      this.#connected.add(connection);
      this.#onConnections?.(this.#connected.size, false);
    });
    receiver.on('close', (connection: ReceiverConnection) => {
      const wasConnected = this.#connected.delete(connection);
      this.#tellClosed(receiver, connection, wasConnected);
      if (wasConnected) this.#onConnections?.(this.#connected.size, !connection.stopped);
    });
  }

  #tellClosed({ endpoint }: Receiver, { peer, error: err }: ReceiverConnection, wasConnected: boolean): void {
    const message = wasConnected ? 'dnstap disconnected' : 'dnstap handshake failed';
    if (err !== undefined) this.#told.tell('warn', message, { code: err.code, peer, endpoint, err });
    else if (wasConnected) this.#told.tell('info', message, { peer, endpoint });
    // Nothing was said and nothing is wrong: a probe of the port.
    else this.#told.tell('debug', 'dnstap port probed', { peer, endpoint });
  }

  /** Each open connection: who has connected, and whether the handshake is complete. */
  connections(): readonly { readonly peer: string; readonly started: boolean }[] {
    return this.#receivers
      .flatMap((receiver) => receiver.connections())
      .map(({ peer, started }) => ({ peer, started }));
  }

  /** Over all endpoints, since the start. */
  statistics(): CollectorStatistics {
    const all = this.#receivers.map((receiver) => receiver.statistics());
    return {
      frames: all.reduce((sum, { frames }) => sum + frames, 0),
      oversizeFrames: all.reduce((sum, { oversizeFrames }) => sum + oversizeFrames, 0),
      refusedConnections: sumByCode(all.map(({ refusedConnections }) => refusedConnections)),
      failedConnections: sumByCode(all.map(({ failedConnections }) => failedConnections)),
    };
  }

  /** Stops listening and takes in what was sent already. */
  async close(): Promise<void> {
    await Promise.all(this.#receivers.map((receiver) => receiver.close()));
  }
}

function sumByCode(counts: readonly Readonly<Record<string, number>>[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [code, count] of counts.flatMap((one) => Object.entries(one)))
    sums.set(code, (sums.get(code) ?? 0) + count);
  return sums;
}
