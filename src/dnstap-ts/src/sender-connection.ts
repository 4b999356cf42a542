import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { type Endpoint, formatEndpoint } from './endpoint.js';
import { DnstapError } from './errors.js';
import type { FrameBatch } from './frame-batch-queue.js';
import { FrameStreamWriter } from './frame-stream-writer.js';
import { clientTlsOptions, type SenderTlsOptions } from './tls-options.js';

/** What a Sender hands to each of its connections. */
export interface SenderConnectionContext {
  readonly endpoint: Endpoint;
  readonly contentType: string | undefined;
  readonly bidirectional: boolean;
  readonly tls: SenderTlsOptions | undefined;
  /** For connecting with its handshake, and again for STOP until FINISH. */
  readonly timeoutMs: number;
  readonly onStarted: () => void;
  /** @param confirmed FINISH has come (one way: everything is written) */
  readonly onClosed: (confirmed: boolean, error: DnstapError | undefined) => void;
}

/** One attempt of a Sender: connect, shake hands, write batches, stop. */
export class SenderConnection {
  readonly #context: SenderConnectionContext;
  readonly #writer: FrameStreamWriter;
  readonly #socket: Socket;
  #timer: NodeJS.Timeout;
  #error: DnstapError | undefined;
  #confirmed = false;
  #closed = false;

  constructor(context: SenderConnectionContext) {
    this.#context = context;
    this.#socket = openSocket(context);
    this.#writer = this.#createWriter();
    this.#timer = this.#deadline('DNSTAP_ERR_HANDSHAKE_TIMEOUT', 'no ACCEPT');
    const connected = context.endpoint.kind === 'tls' ? 'secureConnect' : 'connect';
    this.#socket.once(connected, () => this.#writer.open());
    this.#socket.on('data', (chunk: Buffer) => this.#writer.push(chunk));
    this.#socket.on('error', (cause) => this.#fail(connectionError(context.endpoint, cause)));
    this.#socket.on('close', () => this.#finish());
  }

  /** Whether the handshake is complete and STOP has not been sent. */
  get started(): boolean {
    return this.#writer.inData;
  }

  /** @param written called when the batch has left this process */
  write(batch: FrameBatch, written: () => void): void {
    this.#socket.write(batch.bytes, (error) => {
      if (error === null || error === undefined) written();
    });
  }

  /** Sends STOP; the end comes with FINISH, or with the time that it may take. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#deadline('DNSTAP_ERR_CONNECTION', 'no FINISH');
    this.#writer.close();
  }

  destroy(error: DnstapError): void {
    this.#fail(error);
  }

  #createWriter(): FrameStreamWriter {
    const { contentType, bidirectional } = this.#context;
    return new FrameStreamWriter(
      {
        send: (bytes) => void this.#socket.write(bytes),
        started: () => {
          clearTimeout(this.#timer);
          this.#context.onStarted();
        },
        finished: () => this.#end(),
        failed: (error) => this.#fail(error),
      },
      { bidirectional, ...(contentType !== undefined && { contentType }) },
    );
  }

  #deadline(code: 'DNSTAP_ERR_HANDSHAKE_TIMEOUT' | 'DNSTAP_ERR_CONNECTION', what: string): NodeJS.Timeout {
    const { timeoutMs } = this.#context;
    return setTimeout(() => this.#fail(new DnstapError(code, `${what} within ${timeoutMs} ms`)), timeoutMs);
  }

  #end(): void {
    this.#socket.end(() => {
      this.#confirmed = true;
      this.#socket.destroy();
    });
  }

  #fail(error: DnstapError): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#context.onClosed(this.#confirmed, this.#confirmed ? undefined : this.#error);
  }
}

function openSocket({ endpoint, tls }: SenderConnectionContext): Socket {
  if (endpoint.kind === 'unix') return connect(endpoint.path);
  const { host, port } = endpoint;
  if (endpoint.kind === 'tcp') return connect({ host, port, noDelay: true });
  return connectTls({ host, port, ...clientTlsOptions(tls ?? {}) });
}

function connectionError(endpoint: Endpoint, cause: Error): DnstapError {
  return new DnstapError('DNSTAP_ERR_CONNECTION', `connection to ${formatEndpoint(endpoint)} failed`, { cause });
}
