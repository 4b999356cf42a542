import { once } from 'node:events';
import { connect, createServer } from 'node:net';

import { closeAtEnd } from '../../../../test/support/lifetime.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';
import { STOP } from '../support/frames.js';

/** A unix socket in front of a receiver that passes everything on, and keeps what producers write as they write it. */
export interface Wire {
  readonly address: string;
  /** What each connection has written, one entry a read: a producer's write, or several that lay there together. */
  readonly connections: readonly Buffer[][];
  /** Whether each connection has ended with STOP. */
  stopped(): readonly boolean[];
}

/** @param receiver path of the unix socket to pass on to */
export async function startWire(receiver: string): Promise<Wire> {
  const address = createTemporaryDirectory().file('wire.sock');
  const connections: Buffer[][] = [];
  const server = createServer((producer) => {
    const chunks: Buffer[] = [];
    connections.push(chunks);
    const consumer = connect(receiver);
    for (const socket of [producer, consumer]) socket.on('error', () => {}); // the other side learns of it by its end
    producer.on('data', (chunk: Buffer) => void chunks.push(chunk));
    producer.pipe(consumer).pipe(producer);
  }).listen(address);
  await once(server, 'listening');
  closeAtEnd({ close: async () => void server.close() });
  const stopped = () => connections.map((chunks) => Buffer.concat(chunks).toString('hex').endsWith(STOP));
  return { address, connections, stopped };
}
