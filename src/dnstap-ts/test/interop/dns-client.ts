import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';

import { encode, RECURSION_DESIRED } from 'dns-packet';

const ANSWER_TIMEOUT_MS = 10_000;
let id = 0;

function query(name: string): Buffer {
  id = (id + 1) & 0xffff;
  return encode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [{ type: 'A', name, class: 'IN' }] });
}

/** Asks a server on 127.0.0.1 for the address of a name by UDP. @returns the answer's bytes */
export async function askByUdp(port: number, name: string): Promise<Buffer> {
  const socket = createSocket('udp4');
  try {
    const answer = once(socket, 'message', { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    socket.send(query(name), port, '127.0.0.1');
    const [bytes] = (await answer) as [Buffer];
    return bytes;
  } finally {
    socket.close();
  }
}

/** The same by TCP. */
export async function askByTcp(port: number, name: string): Promise<Buffer> {
  return askByStream(connect(port, '127.0.0.1'), name);
}

/** The same over TLS, whatever its certificate. */
export async function askByTls(port: number, name: string): Promise<Buffer> {
  return askByStream(connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }), name);
}

/** The same over HTTPS (RFC 8484), whatever the server's certificate. */
export async function askByHttps(port: number, name: string): Promise<Buffer> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  try {
    const headers = { ':method': 'POST', ':path': '/dns-query', 'content-type': 'application/dns-message' };
    const request = session.request(headers, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    request.end(query(name));
    return await buffer(request);
  } finally {
    session.destroy();
  }
}

async function askByStream(socket: Socket, name: string): Promise<Buffer> {
  try {
    const bytes = query(name);
    const framed = Buffer.alloc(2 + bytes.length);
    framed.writeUInt16BE(bytes.length);
    bytes.copy(framed, 2);
    socket.write(framed);
    const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) })) as [Buffer];
    return answer.subarray(2);
  } finally {
    socket.destroy();
  }
}

/** Sends bytes as they are by UDP, and waits for no answer. */
export async function send(port: number, message: Uint8Array): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise((resolve) => {
    socket.send(message, port, '127.0.0.1', resolve);
  });
  socket.close();
}

/** The same by TCP, with its length in front. */
export async function sendByTcp(port: number, message: Uint8Array): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  socket.on('error', () => {}); // what the server makes of it is not this client's concern
  await new Promise((resolve) => {
    socket.end(Buffer.concat([length, message]), () => resolve(undefined));
  });
}
