import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that systems hand out by themselves (from 32768 on Linux, from 49152 on macOS): a connection of some part
 * to another one would otherwise take a port between the moment it was found free and the moment a part listens there.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const MAX_TRIES = 200;

/** Each worker of jest has a part of them to itself: between being found free and being listened on, a port looks free to all. */
const SHARES = 8;
const SHARE_SIZE = (LAST_PORT - FIRST_PORT) / SHARES;
const FIRST_OF_SHARE = FIRST_PORT + (Number(process.env['JEST_WORKER_ID'] ?? 0) % SHARES) * SHARE_SIZE;

const handedOut = new Set<number>();

/** A port on which nothing listens on 127.0.0.1, by TCP or UDP; never the same twice in one test file. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const port = FIRST_OF_SHARE + Math.floor(Math.random() * SHARE_SIZE);
    if (!handedOut.has(port) && (await isFree(port))) {
      handedOut.add(port);
      return port;
    }
  }
  throw new Error(`no free port found in ${MAX_TRIES} tries from ${FIRST_OF_SHARE} on`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const socket = createSocket('udp4');
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
    socket.close();
  }
}
