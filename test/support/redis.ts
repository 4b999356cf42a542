import { Redis as Client } from 'ioredis';
import { once } from 'node:events';
import { connect } from 'node:net';
import { freePort } from './free-port.js';
import { partMethods, startPart, type Part } from './process.js';

/** A Redis that runs and keeps what it acknowledged over kill -9 and restart. */
export interface Redis extends Part {
  readonly port: number;
  /** `redis://127.0.0.1:PORT` */
  readonly url: string;
}

/** Starts a Redis on a free port. `args` are options of redis-server and override what is set here. */
export async function startRedis({ args = [] }: { readonly args?: readonly string[] } = {}): Promise<Redis> {
  const port = await freePort();
  const process = await startPart({
    name: 'redis',
    command: 'redis-server',
    args: [...redisArguments(port), ...args],
    ready: async () => answersPing(port),
  });
  return { ...partMethods(process), port, url: `redis://127.0.0.1:${port}` };
}

/** A Redis that the tests of one file share, and a client to look into it with. */
export interface SharedRedis {
  readonly url: string;
  readonly admin: Client;
}

/** Starts a Redis before the tests of the file and stops it after them; what it is given is gone with it. */
export function shareRedis(): SharedRedis {
  let server: Redis | undefined;
  let admin: Client | undefined;
  beforeAll(async () => {
    server = await startRedis({ args: ['--appendonly', 'no'] });
    admin = new Client(server.url);
  });
  afterAll(async () => {
    await admin?.quit();
    await server?.stop();
  });
  const started = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error('Redis starts before the first test of the file');
    return part;
  };
  return {
    get url() {
      return started(server).url;
    },
    get admin() {
      return started(admin);
    },
  };
}

function redisArguments(port: number): readonly string[] {
  const settings = { bind: '127.0.0.1', port: String(port), save: '', appendonly: 'yes', appendfsync: 'always' };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** While it reads its file after a restart, Redis accepts connections and answers -LOADING. */
async function answersPing(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    socket.write('PING\r\n');
    // Without an encoding set, a socket's data are buffers.
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString().startsWith('+PONG');
  } finally {
    socket.destroy();
  }
}
