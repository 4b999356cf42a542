import { Redis as Client } from 'ioredis';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRedisStore } from '../../src/host/redis-store.js';
import { ROOT } from '../support/command.js';
import { startRedis, type Redis } from '../support/redis.js';
import { runScenario } from './run-scenario.js';
import { readScenario } from './scenario-schema.js';

const DIRECTORY = join(ROOT, 'test', 'scenarios');
/** What is about what is believed of hosts, and so depends on what the store keeps. */
const FILES = readdirSync(DIRECTORY)
  .filter((name) => /^(?:blind|cap|client|extra|flood|foreign|life|rule|tunnel|wildcard)\b.*\.yaml$/.test(name))
  .sort();

let server: Redis;
let admin: Client;

beforeAll(async () => {
  server = await startRedis({ args: ['--appendonly', 'no'] });
  admin = new Client(server.url);
});

afterAll(async () => {
  await admin.quit();
  await server.stop();
});

describe('scenario in Redis', () => {
  it.each(FILES)('%s', async (name) => {
    await admin.flushall();
    const file = join(DIRECTORY, name);
    const open = async (limits: Parameters<typeof openRedisStore>[1]) => openRedisStore({ url: server.url }, limits);
    for (const { step, expected, actual } of await runScenario(readScenario(file), file, open)) {
      expect({ step, ...actual }).toEqual({ step, ...expected });
    }
  });
});
