import { writeFileSync, renameSync } from 'node:fs';
import { startPart } from './process.js';
import { startRedis } from './redis.js';
import { createTemporaryDirectory } from './temporary-directory.js';

// Run by process.test.ts in a jest of its own, which is then killed, or which fails.
it('leaves parts running', async () => {
  const redis = await startRedis();
  const stubborn = await startPart({
    name: 'stubborn',
    command: 'sh',
    args: ['-c', 'trap "" TERM INT HUP; while :; do sleep 600; done'],
    ready: () => true,
    stopTimeoutMs: 100,
  });
  const directory = createTemporaryDirectory().path;
  const report = process.env['LEFT_BEHIND_REPORT'] ?? '';
  writeFileSync(`${report}.new`, JSON.stringify({ pids: [redis.pid(), stubborn.pid()], directory }));
  renameSync(`${report}.new`, report);
  if (process.env['LEFT_BEHIND_MODE'] === 'wait') await new Promise(() => undefined);
  expect(process.env['LEFT_BEHIND_MODE']).toBe('something else');
}, 600_000);
