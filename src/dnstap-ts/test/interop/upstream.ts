import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

import { AUTHORITATIVE_ANSWER, decode, encode } from 'dns-packet';

import { freePort } from '../../../../test/support/free-port.js';
import { closeAtEnd } from '../../../../test/support/lifetime.js';

/** A server on 127.0.0.1 that answers every question for an address, for resolvers to forward to. @returns its port */
export async function startUpstream(): Promise<number> {
  const port = await freePort();
  const udp = createSocket('udp4');
  udp.on('message', (query, peer) => udp.send(answer(query), peer.port, peer.address));
  udp.bind(port, '127.0.0.1');
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    // Resolvers send a query in one write, which is as much as this needs to hear.
    socket.on('data', (framed: Buffer) => {
      const response = answer(framed.subarray(2));
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(Buffer.concat([length, response]));
    });
  }).listen(port, '127.0.0.1');
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  closeAtEnd({
    close: async () => {
      udp.close();
      tcp.close();
    },
  });
  return port;
}

function answer(query: Buffer): Buffer {
  const { id, questions = [] } = decode(query);
  const answers = questions
    .filter(({ type }) => type === 'A')
    .map(({ name }) => ({ type: 'A' as const, name, ttl: 60, data: '192.0.2.7' }));
  return encode({ type: 'response', ...(id !== undefined && { id }), flags: AUTHORITATIVE_ANSWER, questions, answers });
}
