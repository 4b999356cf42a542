import { cpSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Hostname } from '../../src/dns/hostname.js';
import type { HostStore } from '../../src/host/host-store.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { batch, observation } from './host-store.contract.js';

const BATCHES = 120;
const HOSTS_A_BATCH = 5;
const CUTS = 40;
const directory = createTemporaryDirectory();
const hostOf = (sequence: number, index: number): Hostname => `h${index}.b${sequence}.example` as Hostname; // valid by hand

/** The newest log of LevelDB in a directory: what a crash of the machine may leave cut. */
function newestLog(path: string): string {
  const logs = readdirSync(path).filter((name) => name.endsWith('.log'));
  return join(path, logs.toSorted().at(-1) ?? '');
}

/** How many hosts of each batch are there, and whether its sequence counts as recorded. */
async function read(path: string): Promise<{ readonly hosts: readonly number[]; readonly batches: number }> {
  const store = await openEmbeddedStore(path);
  try {
    return await readAll(store);
  } finally {
    await store.close();
  }
}

async function readAll(store: HostStore): ReturnType<typeof read> {
  const hosts = Array.from({ length: BATCHES }, () => 0);
  for await (const { hostname, lookups, pending } of store.list()) {
    const sequence = Number(/\.b(\d+)\./.exec(hostname)?.[1]);
    hosts[sequence - 1] = (hosts[sequence - 1] ?? 0) + 1;
    expect([hostname, lookups, pending.length]).toEqual([hostname, 1, 1]);
  }
  const [source] = await store.sources();
  return { hosts, batches: source?.batches ?? 0 };
}

it('a log that is cut anywhere leaves every batch whole or absent, those before the cut whole, and the loss shows', async () => {
  const original = directory.file('original');
  const store = await openEmbeddedStore(original);
  const sizes: number[] = [];
  for (let sequence = 1; sequence <= BATCHES; sequence++) {
    const hosts = Array.from({ length: HOSTS_A_BATCH }, (_, index) =>
      observation({ hostname: hostOf(sequence, index) }),
    );
    await store.record(batch(sequence, hosts));
    sizes.push(statSync(newestLog(original)).size);
  }
  const log = newestLog(original);
  cpSync(original, directory.file('copy'), { recursive: true, filter: (name) => !name.endsWith('.sock') });
  await store.close();
  const size = sizes.at(-1) ?? 0;
  expect(size).toBeGreaterThan(sizes[0] ?? 0);

  const offsets = Array.from({ length: CUTS }, (_, index) => Math.floor((size * index) / CUTS) + (index % 7));
  for (const offset of [...offsets, ...sizes.slice(-3), size - 1]) {
    const path = directory.file(`cut-${offset}`);
    cpSync(directory.file('copy'), path, { recursive: true });
    truncateSync(join(path, log.slice(original.length)), offset);
    const { hosts, batches } = await read(path);
    const whole = sizes.filter((end) => end <= offset).length;
    // Whole ones first, and then none: no half batch, and none that was acknowledged before the cut is missing.
    const expected = Array.from({ length: BATCHES }, (_, index) => (index < batches ? HOSTS_A_BATCH : 0));
    expect([offset, hosts]).toEqual([offset, expected]);
    expect(batches).toBeGreaterThanOrEqual(whole);
  }
});

it('a collector that goes on after the cut is seen to have lost batches', async () => {
  const path = directory.file('goes-on');
  const first = await openEmbeddedStore(path);
  for (let sequence = 1; sequence <= 20; sequence++) await first.record(batch(sequence, [observation()]));
  const half = Math.floor(statSync(newestLog(path)).size / 2);
  cpSync(path, directory.file('half'), { recursive: true, filter: (name) => !name.endsWith('.sock') });
  truncateSync(join(directory.file('half'), newestLog(path).slice(path.length)), half);
  await first.close();
  const second = await openEmbeddedStore(directory.file('half'));
  await second.record(batch(21, [observation()]));
  const [source] = await second.sources();
  expect(source?.highestSequence).toBe(21);
  expect(source?.missingBatches).toBeGreaterThan(0);
  await second.close();
});

it('any other file that is cut is either no loss or told by code, and never locks the directory', async () => {
  const original = directory.file('tables');
  const store = await openEmbeddedStore(original);
  for (let sequence = 1; sequence <= 20; sequence++) {
    await store.record(batch(sequence, [observation({ hostname: hostOf(sequence, 0) })]));
  }
  await store.close();
  await (await openEmbeddedStore(original)).close(); // makes a table of the log
  const files = readdirSync(original).filter((name) => /^MANIFEST|\.ldb$|^CURRENT$/.test(name));
  expect(files.length).toBeGreaterThan(2);
  const outcomes = new Set<string>();
  for (const file of files) {
    const { size } = statSync(join(original, file));
    for (const offset of [0, 1, Math.floor(size / 3), Math.floor(size / 2), size - 1]) {
      const path = directory.file(`${file}-${offset}`);
      cpSync(original, path, { recursive: true });
      truncateSync(join(path, file), offset);
      for (let tries = 0; tries < 2; tries++) {
        const outcome = await read(path).then(
          ({ hosts }) => hosts.reduce((sum, count) => sum + count, 0),
          (err: { readonly code?: string }) => String(err.code),
        );
        outcomes.add(String(outcome));
      }
    }
  }
  expect([...outcomes].filter((outcome) => !['20', 'HOST_STORE_CORRUPT', 'HOST_STORE_UNAVAILABLE'].includes(outcome))).toEqual([]); // prettier-ignore
  expect(outcomes).toContain('HOST_STORE_CORRUPT');
});
