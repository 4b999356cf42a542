import { runCommand } from './command.js';
import { freePort } from './free-port.js';
import { startRedis, type Redis } from './redis.js';
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

/** Starts three nodes and makes a cluster of them. `args` are options of redis-server. */
export async function startRedisCluster({
  args = [],
}: { readonly args?: readonly string[] } = {}): Promise<RedisCluster> {
  const options = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', ...args];
  const nodes: Redis[] = [];
  const members: string[] = [];
  for (let node = 0; node < MASTERS; node += 1) {
    // By itself it would take the port 10,000 above its own, which the system may have given to a connection.
    const busPort = await freePort();
    const redis = await startRedis({ args: [...options, '--cluster-port', String(busPort)] });
    nodes.push(redis);
    members.push(`127.0.0.1:${redis.port}@${busPort}`);
  }
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const [first = ''] = addresses;
  await runCommand('redis-cli', ['--cluster', 'create', ...members, '--cluster-yes']);
  for (const node of nodes) {
    await waitUntil(async () => (await ask(node, 'cluster', 'info')).includes('cluster_state:ok'), {
      what: 'the cluster',
    });
  }
  const id = async (node: Redis | undefined): Promise<string> =>
    node === undefined ? '' : (await ask(node, 'cluster', 'myid')).trim();
  return {
    nodes,
    url: `redis+cluster://${addresses.join(',')}`,
    moveSlots: async (count) => {
      const [from, to] = [await id(nodes[0]), await id(nodes[1])];
      const reshard = ['--cluster-from', from, '--cluster-to', to, '--cluster-slots', String(count), '--cluster-yes'];
      await runCommand('redis-cli', ['--cluster', 'reshard', first, ...reshard]);
    },
  };
}

async function ask(node: Redis, ...command: readonly string[]): Promise<string> {
  return (await runCommand('redis-cli', ['-p', String(node.port), ...command])).stdout;
}
