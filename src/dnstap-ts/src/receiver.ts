import { EventEmitter } from 'node:events';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';

import { parseAddressRanges } from './address.js';
import { CodeCounter, type ConnectionStatistics, type ReceiverStatistics } from './connection-statistics.js';
import { channels } from './diagnostics.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from './endpoint.js';
import { DnstapError, type DnstapErrorCode } from './errors.js';
import { frameLimit } from './frame-stream-reader.js';
import { type FrameHandler, ReceiverConnection } from './receiver-connection.js';
import { certificateNames, type ReceiverTlsOptions, secureContextOptions } from './tls-options.js';
import { listenError, listenOnUnixSocket, type UnixSocketAccess } from './unix-socket.js';

const READ_BUFFER_BYTES = 256 * 1024;
const DEFAULT_MAX_CONNECTIONS = 1024;
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;
/** Our own time limit is to strike first: it knows the connection. */
const TLS_TIMEOUT_MARGIN_MS = 1000;
const DRAIN_STEP_MS = 5;
/** Steps without a byte after which nothing more is expected: a busy machine hands over TCP, even its own, with delay. */
const DRAIN_QUIET_STEPS = 10;
const DRAIN_LIMIT_MS = 1000;

/** Options of a Receiver. */
export interface ReceiverOptions {
  /** `unix:///path`, `/path`, `tcp://host:port` or `tls://host:port`; port 0 lets the system choose. */
  readonly endpoint: string;
  /** Called for each data frame, synchronously. The bytes are valid during the call only. */
  readonly onFrame: FrameHandler;
  /** Default `protobuf:dnstap.Dnstap`. */
  readonly contentType?: string;
  /** Further connections are closed at once and counted. Default 1024. */
  readonly maxConnections?: number;
  /** From accept to START, TLS included. Default 10 s. There is no idle timeout after START: idle taps are normal. */
  readonly handshakeTimeoutMs?: number;
  /** Longer frames are skipped and counted. Default 256 KiB; at most 16 MiB, above which a connection is closed. */
  readonly maxFrameBytes?: number;
  /** Mode of the unix socket file, for example 0o666; without meaning for other endpoints. Default: the umask's. */
  readonly socketMode?: number;
  /** Owner of the unix socket file. Default: the process. */
  readonly socketOwner?: { readonly uid: number; readonly gid: number };
  /** Ranges such as `192.0.2.0/24` that may connect over TCP and TLS. Default: everybody. */
  readonly allowedAddresses?: readonly string[];
  /** Needed with a `tls://` endpoint. */
  readonly tls?: ReceiverTlsOptions;
}

/** Events of a Receiver and what they carry. */
export interface ReceiverEvents {
  connection: [connection: ReceiverConnection];
  refused: [refusal: { readonly code: DnstapErrorCode; readonly peer: string }];
  handshake: [connection: ReceiverConnection];
  close: [connection: ReceiverConnection];
  error: [error: DnstapError];
}

/**
 * Listens for dnstap senders. Sockets are never paused: whoever cannot keep up in `onFrame` drops frames and says so with
 * `connection.countDropped()`.
 *
 * Events: `connection` (accepted), `refused` (over a limit or not allowed), `handshake` (START has come), `close` (with `connection.error` if it did not end in
 * order), `error` (the listening socket or the frame handler failed; the receiver goes on). Unlike with other emitters an
 * `error` without a listener is not thrown: it is in the statistics and on the diagnostics channel.
 */
export class Receiver extends EventEmitter<ReceiverEvents> {
  readonly #options: ReceiverOptions;
  readonly #endpoint: Endpoint;
  readonly #maxConnections: number;
  readonly #isAllowed: (address: string) => boolean;
  readonly #connections = new Set<ReceiverConnection>();
  readonly #refused = new CodeCounter();
  readonly #failed = new CodeCounter();
  readonly #closedDecodeErrors = new CodeCounter();
  readonly #closedSums = { frames: 0, bytes: 0, oversizeFrames: 0, droppedFrames: 0 };
  readonly #readBuffer: Buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  #server: Server | undefined;
  #listening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #accepted = 0;

  /** @throws DnstapError `DNSTAP_ERR_ENDPOINT`, `DNSTAP_ERR_OPTION` */
  constructor(options: ReceiverOptions) {
    super();
    this.#options = options;
    this.#endpoint = parseEndpoint(options.endpoint);
    this.#maxConnections = positive('maxConnections', options.maxConnections ?? DEFAULT_MAX_CONNECTIONS);
    positive('handshakeTimeoutMs', options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS);
    frameLimit(options.maxFrameBytes);
    if ((this.#endpoint.kind === 'tls') !== (options.tls !== undefined)) {
      throw new DnstapError('DNSTAP_ERR_OPTION', 'a tls:// endpoint and the option tls need each other');
    }
    this.#isAllowed =
      options.allowedAddresses === undefined ? () => true : parseAddressRanges(options.allowedAddresses);
  }

  /** The endpoint listened on, with the real port once `listen` has resolved. */
  get endpoint(): string {
    const address = this.#server?.address();
    if (this.#endpoint.kind === 'unix' || !isAddressInfo(address)) return formatEndpoint(this.#endpoint);
    return formatEndpoint({ ...this.#endpoint, port: address.port });
  }

  /**
   * Starts listening; once.
   *
   * @throws DnstapError `DNSTAP_ERR_ADDRESS_IN_USE`, `DNSTAP_ERR_CONNECTION`, `DNSTAP_ERR_OPTION` (certificates),
   * `DNSTAP_ERR_CLOSED`
   */
  listen(): Promise<void> {
    this.#listening ??= this.#listen();
    return this.#listening;
  }

  /** The open connections, oldest first. */
  connections(): readonly ConnectionStatistics[] {
    return [...this.#connections].map((connection) => connection.statistics());
  }

  statistics(): ReceiverStatistics {
    const sums = { ...this.#closedSums };
    const decodeErrors = new CodeCounter();
    decodeErrors.addAll(this.#closedDecodeErrors.toRecord());
    for (const connection of this.connections()) {
      addSums(sums, connection);
      decodeErrors.addAll(connection.decodeErrors);
    }
    return {
      openConnections: this.#connections.size,
      acceptedConnections: this.#accepted,
      refusedConnections: this.#refused.toRecord(),
      failedConnections: this.#failed.toRecord(),
      ...sums,
      decodeErrors: decodeErrors.toRecord(),
    };
  }

  /**
   * Accepts nothing more, reads what the peers have sent, and closes every connection. Delivered is everything that peers have
   * written to their sockets before, and what they write meanwhile until nothing comes for 50 ms, or for a second.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #listen(): Promise<void> {
    if (this.#closing !== undefined) throw new DnstapError('DNSTAP_ERR_CLOSED', 'the receiver is closed');
    const server = this.#options.tls === undefined ? this.#createServer() : this.#createTlsServer(this.#options.tls);
    this.#server = server;
    if (this.#endpoint.kind === 'unix') {
      await listenOnUnixSocket(server, this.#endpoint.path, this.#socketAccess());
    } else {
      await listenOnPort(server, this.#endpoint.host, this.#endpoint.port);
    }
    channels.receiverListening.publish({ endpoint: this.endpoint });
    server.on('error', (cause) => this.#report(new DnstapError('DNSTAP_ERR_CONNECTION', 'accept failed', { cause })));
  }

  #socketAccess(): UnixSocketAccess {
    const { socketMode: mode, socketOwner: owner } = this.#options;
    return { ...(mode !== undefined && { mode }), ...(owner !== undefined && { owner }) };
  }

  #createServer(): Server {
    return createServer({ pauseOnConnect: true }, (socket) => this.#acceptPlain(socket));
  }

  #acceptPlain(accepted: Socket): void {
    const connection = this.#admit(accepted);
    if (connection === undefined) return;
    const socket = readIntoBuffer(accepted, this.#bufferForRead(), (bytes, buffer) => {
      connection.receive(buffer, 0, bytes);
    });
    if (socket === undefined) {
      attachByEvents(connection, accepted);
      accepted.resume();
    } else {
      connection.attach(socket);
    }
  }

  // libuv fills the buffer right before the callback, one socket after the other, and the callback leaves nothing in it:
  // all sockets can share it. On Windows reads are started ahead of time, so there each needs its own.
  #bufferForRead(): Buffer {
    return process.platform === 'win32' ? Buffer.allocUnsafeSlow(READ_BUFFER_BYTES) : this.#readBuffer;
  }

  #createTlsServer(tls: ReceiverTlsOptions): TlsServer {
    const pending = new Map<Socket, ReceiverConnection>();
    const timeoutMs = this.#options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS;
    const server = createServerWithCertificate(tls, timeoutMs + TLS_TIMEOUT_MARGIN_MS);
    // Limits hold from the TCP connection on, not only from the end of the TLS handshake.
    server.on('connection', (raw: Socket) => {
      const connection = this.#admit(raw);
      if (connection === undefined) return;
      pending.set(raw, connection);
      raw.once('close', () => failTlsHandshake(pending, raw));
    });
    server.on('secureConnection', (socket) => this.#secured(socket, tls, pending));
    server.on('tlsClientError', (cause, socket) => {
      failTlsHandshake(pending, rawSocket(socket), cause);
      socket.destroy();
    });
    return server;
  }

  #secured(socket: TLSSocket, tls: ReceiverTlsOptions, pending: Map<Socket, ReceiverConnection>): void {
    const connection = pending.get(rawSocket(socket));
    pending.delete(rawSocket(socket));
    if (connection === undefined) return void socket.destroy();
    attachByEvents(connection, socket);
    if (tls.allowedSubjects === undefined) return;
    const names = certificateNames(socket.getPeerCertificate());
    if (names.some((name) => tls.allowedSubjects?.includes(name) === true)) return;
    const error = new DnstapError('DNSTAP_ERR_PEER_NOT_ALLOWED', `certificate of ${JSON.stringify(names)}`);
    connection.destroy(error);
  }

  /** Makes a connection of an accepted socket, or refuses it. */
  #admit(socket: Socket): ReceiverConnection | undefined {
    const refusal = this.#refusal(socket);
    if (refusal !== undefined) {
      this.#refused.add(refusal);
      const told = { code: refusal, peer: this.#peerName(socket) };
      channels.receiverRefused.publish(told);
      this.emit('refused', told);
      socket.on('error', () => {}); // it is gone; what its end has to say interests nobody
      socket.destroy();
      return undefined;
    }
    const connection = this.#createConnection(socket);
    this.#connections.add(connection);
    channels.receiverConnection.publish({ connection });
    this.emit('connection', connection);
    return connection;
  }

  #refusal(socket: Socket): DnstapErrorCode | undefined {
    if (this.#closing !== undefined) return 'DNSTAP_ERR_CLOSED';
    if (this.#endpoint.kind !== 'unix' && !this.#isAllowed(socket.remoteAddress ?? '')) {
      return 'DNSTAP_ERR_PEER_NOT_ALLOWED';
    }
    return this.#connections.size >= this.#maxConnections ? 'DNSTAP_ERR_TOO_MANY_CONNECTIONS' : undefined;
  }

  #createConnection(socket: Socket): ReceiverConnection {
    return new ReceiverConnection({
      id: ++this.#accepted,
      peer: this.#peerName(socket),
      contentType: this.#options.contentType,
      refuse: () => socket.destroy(),
      maxFrameBytes: frameLimit(this.#options.maxFrameBytes),
      handshakeTimeoutMs: this.#options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS,
      onFrame: this.#options.onFrame,
      onHandshake: (connection) => this.#handshakeDone(connection),
      onClose: (connection) => this.#connectionClosed(connection),
    });
  }

  #peerName(socket: Socket): string {
    return this.#endpoint.kind === 'unix' ? this.endpoint : peerName(socket);
  }

  #handshakeDone(connection: ReceiverConnection): void {
    channels.receiverHandshake.publish({ connection });
    this.emit('handshake', connection);
  }

  #connectionClosed(connection: ReceiverConnection): void {
    const { error } = connection;
    const statistics = connection.statistics();
    this.#connections.delete(connection);
    addSums(this.#closedSums, statistics);
    this.#closedDecodeErrors.addAll(statistics.decodeErrors);
    if (error !== undefined) this.#failed.add(error.code);
    channels.receiverClose.publish({ connection, error });
    this.emit('close', connection);
    if (error?.code === 'DNSTAP_ERR_HANDLER') this.#report(error);
  }

  #report(error: DnstapError): void {
    channels.receiverError.publish({ error });
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  async #close(): Promise<void> {
    await this.#listening?.catch(() => {}); // whoever called listen has this error
    this.#server?.close();
    await this.#drain();
    for (const connection of this.#connections) connection.destroy();
    while (this.#connections.size > 0) await delay(DRAIN_STEP_MS);
  }

  async #drain(): Promise<void> {
    const deadlineMs = Date.now() + DRAIN_LIMIT_MS;
    let bytes = this.statistics().bytes;
    let quietSteps = 0;
    while (this.#connections.size > 0 && quietSteps < DRAIN_QUIET_STEPS && Date.now() < deadlineMs) {
      await delay(DRAIN_STEP_MS); // the event loop reads every socket at least once meanwhile
      const before = bytes;
      bytes = this.statistics().bytes;
      quietSteps = bytes === before ? quietSteps + 1 : 0;
    }
  }
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new DnstapError('DNSTAP_ERR_OPTION', `${name} must be a positive integer, found ${value}`);
}

function isAddressInfo(address: AddressInfo | string | null | undefined): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

function peerName(socket: Socket): string {
  const address = socket.remoteAddress ?? 'unknown';
  return address.includes(':') ? `[${address}]:${socket.remotePort}` : `${address}:${socket.remotePort}`;
}

function addSums(
  sums: { frames: number; bytes: number; oversizeFrames: number; droppedFrames: number },
  connection: ConnectionStatistics,
): void {
  sums.frames += connection.frames;
  sums.bytes += connection.bytes;
  sums.oversizeFrames += connection.oversizeFrames;
  sums.droppedFrames += connection.droppedFrames;
}

function attachByEvents(connection: ReceiverConnection, socket: Socket): void {
  connection.attach(socket);
  socket.on('data', (chunk: Buffer) => connection.receive(chunk, 0, chunk.length));
}

/**
 * The same connection as a socket that reads into one buffer instead of making one per chunk, which halves the cost of
 * receiving. `net.Server` cannot be told to make such sockets, so the handle moves to a new one; where a Node has no
 * `_handle` to move, the caller reads by events.
 */
function readIntoBuffer(
  accepted: Socket,
  buffer: Buffer,
  onBytes: (bytes: number, buffer: Buffer) => void,
): Socket | undefined {
  const owner = accepted as Socket & { _handle?: object | null }; // not public; looked at with care
  const handle = owner._handle;
  if (typeof handle !== 'object' || handle === null) return undefined;
  owner._handle = null;
  const onread = { buffer, callback: (bytes: number) => (onBytes(bytes, buffer), true) };
  // `handle` is not in the types; it is how net.Server itself makes sockets.
  return new Socket({ handle, onread } as ConstructorParameters<typeof Socket>[0]);
}

/** @throws DnstapError `DNSTAP_ERR_OPTION` */
function createServerWithCertificate(tls: ReceiverTlsOptions, handshakeTimeout: number): TlsServer {
  const options = secureContextOptions(tls);
  try {
    return createTlsServer({ ...options, handshakeTimeout });
  } catch (cause) {
    throw new DnstapError('DNSTAP_ERR_OPTION', 'the certificate or key cannot be used', { cause });
  }
}

function failTlsHandshake(pending: Map<Socket, ReceiverConnection>, raw: Socket, cause?: Error): void {
  const connection = pending.get(raw);
  pending.delete(raw);
  connection?.destroy(new DnstapError('DNSTAP_ERR_CONNECTION', 'the TLS handshake failed', { cause }));
}

/** tls.Server reports TLS sockets; limits are kept by the TCP socket underneath. */
function rawSocket(socket: TLSSocket): Socket {
  return (socket as TLSSocket & { _parent?: Socket })._parent ?? socket; // not public: undefined is dealt with
}

function listenOnPort(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error) => reject(listenError(`${host}:${port}`, cause));
    server.once('error', refuse);
    server.listen({ host, port }, () => {
      server.removeListener('error', refuse);
      resolve();
    });
  });
}
