import { join } from 'node:path';
import type { Hostname } from '../../src/dns/hostname.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { ROOT } from '../support/command.js';
import { startPart } from '../support/process.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

it('an acknowledged batch survives kill -9', async () => {
  const directory = createTemporaryDirectory();
  const writer = await startPart({
    name: 'record-until-killed',
    command: process.execPath,
    args: [
      join(ROOT, 'test', 'host', 'record-until-killed.fixture.mjs'),
      join(ROOT, 'dist', 'host', 'embedded-store.js'),
      directory.file('store'),
    ],
    ready: () => true,
  });
  await waitUntil(() => writer.log().split('\n').length > 200, { what: '200 batches' });
  await writer.kill('SIGKILL');
  const acknowledged = writer
    .log()
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);

  const store = await openEmbeddedStore(directory.file('store'));
  const missing: number[] = [];
  for (const sequence of acknowledged) {
    const record = await store.get(`h.d${sequence}.example` as Hostname); // as the fixture writes it
    if (record?.pending.length !== 1) missing.push(sequence);
  }
  await store.close();
  expect(missing).toEqual([]);
});
