import { readFileSync, writeFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { viewHost } from '../../src/host/host-view.js';
import { replay } from '../../src/intake/replay/replay.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { ROOT } from '../support/command.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

const CAPTURE = join(ROOT, 'test', 'data', 'coredns.fstrm.gz');
const directory = createTemporaryDirectory();
const log = createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now });
const observation = {
  clusterDomains: ['cluster.local'],
  internalZones: [],
  searchDomains: [],
  clusterNetworks: new BlockList(),
  maxPairs: 4096,
};

async function stateOf(store: HostStore): Promise<unknown> {
  const hosts = [];
  for await (const record of store.list()) hosts.push(viewHost(record));
  return [hosts, await store.rejections()];
}

async function open(name: string): Promise<HostStore> {
  return openEmbeddedStore(directory.file(name));
}

it('a capture replayed again changes nothing', async () => {
  const store = await open('twice');
  await replay({ file: CAPTURE, store, observation, log });
  const once = await stateOf(store);
  await replay({ file: CAPTURE, store, observation, log });
  expect(await stateOf(store)).toEqual(once);
  await store.close();
});

it('gives the whole frames of a capture that was cut, and says how much was cut', async () => {
  const whole = gunzipSync(readFileSync(CAPTURE));
  const cut = directory.file('cut.fstrm');
  writeFileSync(cut, whole.subarray(0, whole.length - 100));
  const store = await open('cut');
  const { frames, truncatedBytes } = await replay({ file: cut, store, observation, log });
  const all = await replay({ file: CAPTURE, store: await open('all'), observation, log });
  expect(frames).toBeLessThan(all.frames);
  expect(frames).toBeGreaterThan(all.frames - 10);
  expect(truncatedBytes).toBeGreaterThan(0);
  await store.close();
});

it('refuses a file that is no Frame Streams file, with its name and the code of dnstap-ts', async () => {
  const file = directory.file('noise');
  writeFileSync(file, 'this is no capture');
  const store = await open('noise-store');
  await expect(replay({ file, store, observation, log })).rejects.toMatchObject({
    code: 'DNSTAP_ERR_NOT_FRAME_STREAMS',
    message: expect.stringContaining(file),
  });
  await store.close();
});
