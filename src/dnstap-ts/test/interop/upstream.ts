import { createSocket } from 'node:dgram';
import { once } from 'node:events';

import { AUTHORITATIVE_ANSWER, decode, encode } from 'dns-packet';

import { closeAtEnd } from '../../../../test/support/lifetime.js';

/** A server on 127.0.0.1 that answers every question for an address, for resolvers to forward to. @returns its port */
export async function startUpstream(): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { port, address }) => {
    const { id, questions = [] } = decode(bytes);
    const answers = questions
      .filter(({ type }) => type === 'A')
      .map(({ name }) => ({ type: 'A' as const, name, ttl: 60, data: '192.0.2.7' }));
    const answer = encode({
      type: 'response',
      ...(id !== undefined && { id }),
      flags: AUTHORITATIVE_ANSWER,
      questions,
      answers,
    });
    socket.send(answer, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  closeAtEnd({ close: async () => void socket.close() });
  return socket.address().port;
}
