import { ClassicLevel } from 'classic-level';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { batch, describeHostStore, observation } from './host-store.contract.js';

const directories: string[] = [];

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'embedded-store-'));
  directories.push(directory);
  return directory;
}

afterAll(async () => {
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

describeHostStore('embedded store', async (limits) => openEmbeddedStore(await newDirectory(), limits));

describe('embedded store', () => {
  it('keeps everything over a restart', async () => {
    const directory = await newDirectory();
    const first = await openEmbeddedStore(directory);
    await first.record(batch(1, [observation()]));
    const before = await first.get(observation().hostname);
    await first.close();
    const second = await openEmbeddedStore(directory);
    expect(await second.get(observation().hostname)).toEqual(before);
    await second.close();
  });

  it('refuses a directory that is open already', async () => {
    const directory = await newDirectory();
    const first = await openEmbeddedStore(directory);
    await expect(openEmbeddedStore(directory)).rejects.toMatchObject({ code: 'HOST_STORE_LOCKED' });
    await first.close();
  });

  it('says so when it is closed', async () => {
    const store = await openEmbeddedStore(await newDirectory());
    await store.close();
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.record(batch(1, [observation()])),
      () => store.get(observation().hostname),
      () => store.list()[Symbol.asyncIterator]().next(),
      () => store.sources(),
      () => store.blindWindows(),
      () => store.rules(),
      () => store.rejections(),
      () => store.statistics(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'HOST_STORE_UNAVAILABLE' });
  });

  it.each([4, 99, 'x'])('refuses a store of schema %s and leaves it as it is', async (schema) => {
    const directory = await newDirectory();
    const level = new ClassicLevel<string, unknown>(directory, { valueEncoding: 'json' });
    await level.put('schema', schema);
    await level.close();
    await expect(openEmbeddedStore(directory)).rejects.toMatchObject({ code: 'HOST_STORE_SCHEMA' });
    await level.open();
    expect(await level.get('schema')).toBe(schema);
    await level.close();
  });
});
