import { writeFileSync } from 'node:fs';
import { runCommand } from './command.js';
import { freePort } from './free-port.js';
import { startPart } from './process.js';
import { startRedisNode, tlsCliArguments, tlsSettings, type RedisTls } from './redis-tls.js';
import type { Redis } from './redis.js';
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

/** Starts a master, a replica that has caught up, and sentinels that know of each other; with `tls` all of them speak it. */
export async function startWatchedRedis({ tls }: { readonly tls?: RedisTls } = {}): Promise<WatchedRedis> {
  const { redis: master, port: masterPort } = await startRedisNode([], tls);
  const { redis: replica } = await startRedisNode(['--replicaof', '127.0.0.1', String(masterPort)], tls);
  await waitUntil(
    async () => (await askRedis(master.port, undefined, ['info', 'replication'])).includes('state=online'),
    {
      what: 'the replica',
    },
  );
  const ports: number[] = [];
  for (let index = 0; index < SENTINELS; index += 1) ports.push(await startSentinel(masterPort, tls));
  const [first = 0] = ports;
  const ask = (port: number, ...command: readonly string[]) => askRedis(port, tls, command);
  // Only then can they agree on anything.
  await waitUntil(async () => knowsAll(await ask(first, 'sentinel', 'master', NAME)), { what: 'the sentinels' });
  const sentinels = ports.map((port) => `127.0.0.1:${port}`);
  return {
    master,
    replica,
    sentinels,
    url: `${tls === undefined ? 'redis' : 'rediss'}+sentinel://${sentinels.join(',')}/${NAME}`,
    masterPort: async () => Number((await ask(first, 'sentinel', 'get-master-addr-by-name', NAME)).split('\n')[1]),
  };
}

/** Resolves to its port. */
async function startSentinel(masterPort: number, tls: RedisTls | undefined): Promise<number> {
  const port = await freePort();
  const directory = createTemporaryDirectory();
  const file = directory.file('sentinel.conf'); // a sentinel keeps its state there
  const ports = tls === undefined ? { port: String(port) } : { port: '0', ...tlsSettings(tls, port) };
  const settings = [
    'bind 127.0.0.1',
    ...Object.entries(ports).map(([name, value]) => `${name} ${value}`),
    `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${NAME} 500`,
    `sentinel failover-timeout ${NAME} 3000`,
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  await startPart({
    name: 'sentinel',
    command: 'redis-server',
    args: [file, '--sentinel'],
    directory,
    ready: async () => (await askRedis(port, tls, ['ping'])).startsWith('PONG'),
  });
  return port;
}

function knowsAll(masterFields: string): boolean {
  const lines = masterFields.split('\n');
  const field = (name: string): number => Number(lines[lines.indexOf(name) + 1]);
  return field('num-slaves') === 1 && field('num-other-sentinels') === SENTINELS - 1;
}

async function askRedis(port: number, tls: RedisTls | undefined, command: readonly string[]): Promise<string> {
  const address = ['-h', '127.0.0.1', '-p', String(port), ...tlsCliArguments(tls)];
  return (await runCommand('redis-cli', [...address, ...command])).stdout;
}
