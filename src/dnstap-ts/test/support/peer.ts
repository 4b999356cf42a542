import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { parseEndpoint } from '../../src/index.js';
import { bytes } from './frames.js';

/** A client that says exactly what a test tells it to, and keeps what it hears. */
export class Peer {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #received = '';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => void (this.#received += chunk.toString('hex')));
    socket.on('error', () => {}); // a receiver may well reset the connection of a test like these
    this.closed = new Promise((resolve) => void socket.once('close', () => resolve()));
  }

  static async connect(endpoint: string): Promise<Peer> {
    const to = parseEndpoint(endpoint);
    const socket = to.kind === 'unix' ? connect(to.path) : connect(to.port, to.host);
    const peer = new Peer(socket);
    await once(socket, 'connect');
    return peer;
  }

  /** All bytes heard so far, in hex. */
  get received(): string {
    return this.#received;
  }

  send(hex: string): void {
    this.socket.write(bytes(hex));
  }

  /** Waits until `hex` and nothing else has been heard. */
  async hears(hex: string): Promise<void> {
    while (this.#received.length < hex.length) await once(this.socket, 'data');
    if (this.#received !== hex) throw new Error(`expected ${hex}, heard ${this.#received}`);
  }
}

/** Resolves when the condition holds; the time limit of the test is its only one. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
