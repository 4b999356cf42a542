import { Receiver } from 'dnstap-ts';
import type { Logger } from '../../telemetry/logger.js';
import type { FrameIntake } from '../frame-intake.js';

export interface CollectorOptions {
  /** `unix:///path` or `tcp://host:port`. */
  readonly endpoints: readonly string[];
  readonly intake: FrameIntake;
  readonly maxConnections: number;
  readonly maxFrameBytes: number;
  readonly socketMode: number;
  readonly log: Logger;
}

/** Listens for CoreDNS. ACCEPT is sent at once and no socket is ever paused, whatever the store does. */
export class Collector {
  readonly #receivers: readonly Receiver[];
  readonly #log: Logger;

  constructor(options: CollectorOptions) {
    this.#log = options.log;
    this.#receivers = options.endpoints.map(
      (endpoint) =>
        new Receiver({
          endpoint,
          onFrame: options.intake,
          maxConnections: options.maxConnections,
          maxFrameBytes: options.maxFrameBytes,
          socketMode: options.socketMode,
        }),
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
      receiver.on('handshake', () => this.#log.info({ endpoint: receiver.endpoint }, 'dnstap connected'));
      receiver.on('close', () => this.#log.info({ endpoint: receiver.endpoint }, 'dnstap disconnected'));
      await receiver.listen();
      this.#log.info({ endpoint: receiver.endpoint }, 'listening for dnstap');
    }
  }

  connections(): number {
    return this.#receivers.reduce((sum, receiver) => sum + receiver.connections().length, 0);
  }

  /** Stops listening and takes in what was sent already. */
  async close(): Promise<void> {
    await Promise.all(this.#receivers.map((receiver) => receiver.close()));
  }
}
