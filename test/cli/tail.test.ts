import { join } from 'node:path';
import type { Hostname } from '../../src/dns/hostname.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { batch, observation } from '../host/host-store.contract.js';
import { ROOT } from '../support/command.js';
import { startPart } from '../support/process.js';
import { startRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { outcome } from './outcome.js';

const directory = createTemporaryDirectory();

it.each(['embedded', 'Redis'])('tail prints what another process records in the %s store, and ends', async (kind) => {
  const url = kind === 'Redis' ? (await startRedis()).url : `embedded://${directory.file('store')}`;
  const store: HostStore =
    kind === 'Redis' ? openRedisStore({ url }) : await openEmbeddedStore(directory.file('store'));
  const tail = await startPart({
    name: 'tail',
    command: process.execPath,
    args: [join(ROOT, 'dist', 'main.js'), 'tail', '*.example.net', '--store', url],
    ready: () => true,
  });
  const names = ['www.example.com', 'www.example.net'] as Hostname[]; // valid by hand
  let sequence = 0;
  await waitUntil(
    async () => {
      await store.record(batch(++sequence, names.map((hostname) => observation({ hostname, client: '10.244.0.9' })))); // prettier-ignore
      return tail.log().includes('\n');
    },
    { what: 'the first line', everyMs: 100 },
  );
  expect(tail.log()).toMatch(/^2026-01-01 12:00:00 10\.244\.0\.9 www\.example\.net 1x 192\.0\.2\.1\n/);
  expect(tail.log()).not.toContain('www.example.com');
  await tail.kill('SIGTERM');
  await store.close();
});

it('tail refuses an embedded store that nobody records into, and does not take it', async () => {
  const { code, text } = await outcome('tail', '--store', `embedded://${directory.file('nobody')}`);
  expect([code, text]).toEqual([1, expect.stringContaining('HOST_STORE_UNAVAILABLE')]);
});
