import { Receiver, type ReceiverConnection, type ReceiverTlsOptions } from 'dnstap-ts';
import type { Logger } from '../../telemetry/logger.js';
import type { FrameIntake } from '../frame-intake.js';

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

/** Listens for CoreDNS. ACCEPT is sent at once and no socket is ever paused, whatever the store does. */
export class Collector {
  readonly #receivers: readonly Receiver[];
  readonly #log: Logger;
  readonly #onConnections: CollectorOptions['onConnections'];
  /** Those whose handshake is done. */
  readonly #connected = new Set<ReceiverConnection>();

  constructor(options: CollectorOptions) {
    this.#log = options.log;
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

  async listen(): Promise<void> {
    for (const receiver of this.#receivers) {
      receiver.on('error', (err: Error) =>
        this.#log.warn({ err, endpoint: receiver.endpoint }, 'dnstap connection failed'),
      );
      receiver.on('handshake', (connection: ReceiverConnection) => {
        this.#log.info({ endpoint: receiver.endpoint }, 'dnstap connected');
        this.#connected.add(connection);
        this.#onConnections?.(this.#connected.size, false);
      });
      receiver.on('close', (connection: ReceiverConnection) => {
        this.#log.info({ endpoint: receiver.endpoint }, 'dnstap disconnected');
        if (!this.#connected.delete(connection)) return;
        this.#onConnections?.(this.#connected.size, !connection.stopped);
      });
      await receiver.listen();
      this.#log.info({ endpoint: receiver.endpoint }, 'listening for dnstap');
    }
  }

  /** Each open connection: who has connected, and whether the handshake is complete. */
  connections(): readonly { readonly peer: string; readonly started: boolean }[] {
    return this.#receivers
      .flatMap((receiver) => receiver.connections())
      .map(({ peer, started }) => ({ peer, started }));
  }

  /** Stops listening and takes in what was sent already. */
  async close(): Promise<void> {
    await Promise.all(this.#receivers.map((receiver) => receiver.close()));
  }
}
