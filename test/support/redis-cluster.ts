import { runCommand } from './command.js';
import { freePort } from './free-port.js';
import { startRedisNode, tlsCliArguments, type RedisTls } from './redis-tls.js';
import type { Redis } from './redis.js';
import { waitUntil } from './wait-until.js';

const MASTERS = 3;

/** A cluster of three masters. */
export interface RedisCluster {
  readonly nodes: readonly Redis[];
  /** `redis+cluster://…` with all nodes. */
  readonly url: string;
  /** Moves slots from the first node to the second, while the cluster works. */
  moveSlots(count: number): Promise<void>;
}

/**
 * Starts three nodes and makes a cluster of them. `args` are options of redis-server; with `tls` the nodes speak it with
 * each other and with clients.
 */
export async function startRedisCluster({
  args = [],
  tls,
}: { readonly args?: readonly string[]; readonly tls?: RedisTls } = {}): Promise<RedisCluster> {
  const secure = tls === undefined ? [] : ['--tls-cluster', 'yes'];
  const options = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', ...secure, ...args];
  const nodes: Redis[] = [];
  const addresses: string[] = [];
  const members: string[] = [];
  for (let node = 0; node < MASTERS; node += 1) {
    // By itself it would take the port 10,000 above its own, which the system may have given to a connection.
    const busPort = await freePort();
    const { redis, port } = await startRedisNode([...options, '--cluster-port', String(busPort)], tls);
    nodes.push(redis);
    addresses.push(`127.0.0.1:${port}`);
    members.push(`127.0.0.1:${port}@${busPort}`);
  }
  const [first = ''] = addresses;
  await runCommand('redis-cli', [...tlsCliArguments(tls), '--cluster', 'create', ...members, '--cluster-yes']);
  for (const node of nodes) {
    await waitUntil(async () => (await ask(node, 'cluster', 'info')).includes('cluster_state:ok'), {
      what: 'the cluster',
    });
  }
  const id = async (node: Redis | undefined): Promise<string> =>
    node === undefined ? '' : (await ask(node, 'cluster', 'myid')).trim();
  return {
    nodes,
    url: `${tls === undefined ? 'redis' : 'rediss'}+cluster://${addresses.join(',')}`,
    moveSlots: async (count) => {
      const [from, to] = [await id(nodes[0]), await id(nodes[1])];
      const reshard = ['--cluster-from', from, '--cluster-to', to, '--cluster-slots', String(count), '--cluster-yes'];
      await runCommand('redis-cli', [...tlsCliArguments(tls), '--cluster', 'reshard', first, ...reshard]);
    },
  };
}

async function ask(node: Redis, ...command: readonly string[]): Promise<string> {
  return (await runCommand('redis-cli', ['-p', String(node.port), ...command])).stdout;
}
