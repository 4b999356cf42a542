import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Health } from '../telemetry/health.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';

export interface HttpServerOptions {
  /** `host:port`; `:port` is every address. */
  readonly address: string;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** What `/connections` answers; nothing where there is no receiver. */
  readonly connections?: () => readonly object[];
}

/** The address cannot be listened on; the cause says why. */
class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code = 'API_ERR_LISTEN';
}

const REQUEST_TIMEOUT_MS = 10_000;
const CHECK_EVERY_MS = 5_000;
/** Of all together, and of one address: any pod may reach the port, and must not keep the kubelet's probes out. */
const MAX_CONNECTIONS = 512;
const MAX_CONNECTIONS_OF_ADDRESS = 16;

const LIMITS = {
  headersTimeout: REQUEST_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_EVERY_MS,
} as const;

/**
 * `/livez` (the process answers), `/readyz` (503 with the components that are not ready, a line each) and `/metrics`
 * (Prometheus text); with a receiver `/connections`, by which an installer sees that each CoreDNS has connected.
 */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #connectionsOf = new Map<string, number>();

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer(LIMITS, (request, response) => {
      this.#answer(request, response).catch((err: unknown) => {
        options.log.error({ err, url: request.url }, 'request failed');
        response.destroy();
      });
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('connection', (socket) => this.#admit(socket));
  }

  #admit(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const others = this.#connectionsOf.get(address) ?? 0;
    if (others >= MAX_CONNECTIONS_OF_ADDRESS) return void socket.destroy();
    this.#connectionsOf.set(address, others + 1);
    socket.once('close', () => {
      const left = (this.#connectionsOf.get(address) ?? 1) - 1;
      if (left === 0) this.#connectionsOf.delete(address);
      else this.#connectionsOf.set(address, left);
    });
  }

  /** @throws Error with code `API_ERR_LISTEN` */
  async listen(): Promise<void> {
    const { address } = this.#options;
    const separator = address.lastIndexOf(':');
    const host = address.slice(0, separator).replace(/^\[|\]$/g, '');
    const port = Number(address.slice(separator + 1));
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(new ListenError(`http.address: cannot listen on ${address}`, { cause })),
      );
      this.#server.listen(host === '' ? { port } : { host, port }, resolve);
    });
    this.#options.log.info({ address: this.address }, 'listening for HTTP');
  }

  /** The address with its real port, after {@link listen}. */
  get address(): string {
    const { address, port, family } = this.#server.address() as AddressInfo; // a TCP server that listens
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET\n');
    if (path === '/livez') return send(response, 200, 'ok\n');
    if (path === '/readyz') return this.#answerReady(response);
    if (path === '/metrics') {
      const { metrics } = this.#options;
      return send(response, 200, await metrics.text(), metrics.contentType);
    }
    const { connections } = this.#options;
    if (path === '/connections' && connections !== undefined) {
      return send(response, 200, JSON.stringify(connections()), 'application/json');
    }
    return send(response, 404, 'paths: /livez, /readyz, /metrics\n');
  }

  #answerReady(response: ServerResponse): void {
    const reasons = [...this.#options.health.notReady()].map(([component, reason]) => `${component}: ${reason}\n`);
    send(response, reasons.length === 0 ? 200 : 503, reasons.length === 0 ? 'ok\n' : reasons.join(''));
  }
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
