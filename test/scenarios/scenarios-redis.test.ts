import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRedisStore } from '../../src/host/redis-store.js';
import { ROOT } from '../support/command.js';
import { shareRedis } from '../support/redis.js';
import { runScenario } from './run-scenario.js';
import { readScenario } from './scenario-schema.js';

const DIRECTORY = join(ROOT, 'test', 'scenarios');
/** What is about what is believed of hosts, and so depends on what the store keeps. */
const FILES = readdirSync(DIRECTORY)
  .filter((name) => /^(?:blind|cap|client|extra|flood|foreign|life|rule|tunnel|wildcard)\b.*\.yaml$/.test(name))
  .sort();

const redis = shareRedis();

describe('scenario in Redis', () => {
  it.each(FILES)('%s', async (name) => {
    await redis.admin.flushall();
    const file = join(DIRECTORY, name);
    const open = async (limits: Parameters<typeof openRedisStore>[1]) => openRedisStore({ url: redis.url }, limits);
    for (const { step, expected, actual } of await runScenario(readScenario(file), file, open)) {
      expect({ step, ...actual }).toEqual({ step, ...expected });
    }
  });
});
