import { writeFileSync } from 'node:fs';
import { runCommand } from './command.js';
import { freePort } from './free-port.js';
import { startPart, type Part } from './process.js';
import { startRedis, type Redis } from './redis.js';
import { createTemporaryDirectory } from './temporary-directory.js';
import { waitUntil } from './wait-until.js';

/** A master with a replica, watched by three sentinels that fail over after half a second. */
export interface WatchedRedis {
  readonly master: Redis;
  readonly replica: Redis;
  /** `127.0.0.1:PORT` of each sentinel. */
  readonly sentinels: readonly string[];
  /** `redis+sentinel://…/main` */
  readonly url: string;
  /** Port of the server that the sentinels call the master now. */
  masterPort(): Promise<number>;
}

const NAME = 'main';
const SENTINELS = 3;
const QUORUM = 2;

/** Starts a master, a replica that has caught up, and sentinels that know of each other. */
export async function startWatchedRedis(): Promise<WatchedRedis> {
  const master = await startRedis();
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] });
  await waitUntil(async () => (await ask(master.port, 'info', 'replication')).includes('state=online'), {
    what: 'the replica',
  });
  const ports: number[] = [];
  for (let index = 0; index < SENTINELS; index += 1) ports.push((await startSentinel(master.port)).port);
  const [first = 0] = ports;
  // Only then can they agree on anything.
  await waitUntil(async () => knowsAll(await ask(first, 'sentinel', 'master', NAME)), { what: 'the sentinels' });
  const sentinels = ports.map((port) => `127.0.0.1:${port}`);
  return {
    master,
    replica,
    sentinels,
    url: `redis+sentinel://${sentinels.join(',')}/${NAME}`,
    masterPort: async () => Number((await ask(first, 'sentinel', 'get-master-addr-by-name', NAME)).split('\n')[1]),
  };
}

async function startSentinel(masterPort: number): Promise<Part & { readonly port: number }> {
  const port = await freePort();
  const directory = createTemporaryDirectory();
  const file = directory.file('sentinel.conf'); // a sentinel keeps its state there
  const settings = [
    'bind 127.0.0.1',
    `port ${port}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${NAME} 500`,
    `sentinel failover-timeout ${NAME} 3000`,
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  const part = await startPart({
    name: 'sentinel',
    command: 'redis-server',
    args: [file, '--sentinel'],
    directory,
    ready: async () => (await ask(port, 'ping')).startsWith('PONG'),
  });
  return Object.assign(part, { port });
}

function knowsAll(masterFields: string): boolean {
  const lines = masterFields.split('\n');
  const field = (name: string): number => Number(lines[lines.indexOf(name) + 1]);
  return field('num-slaves') === 1 && field('num-other-sentinels') === SENTINELS - 1;
}

async function ask(port: number, ...command: readonly string[]): Promise<string> {
  return (await runCommand('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...command])).stdout;
}
