import { openRedisStore } from '../../src/host/redis-store.js';
import { runCommand } from '../support/command.js';
import { startRedisCluster, type RedisCluster } from '../support/redis-cluster.js';
import { describeHostStore } from './host-store.contract.js';

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(async () => {
  for (const node of cluster.nodes) await node.stop();
});

describeHostStore('Redis cluster', async (limits) => {
  for (const { port } of cluster.nodes) await runCommand('redis-cli', ['-p', String(port), 'flushall']);
  return openRedisStore({ url: cluster.url }, limits);
});
