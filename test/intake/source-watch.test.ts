import { PassThrough } from 'node:stream';
import type { BlindWindow } from '../../src/host/blind-window.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { Recorder } from '../../src/intake/recorder.js';
import { SourceWatch } from '../../src/intake/source-watch.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { newTable } from './table.js';

const START_MS = Date.UTC(2026, 0, 1);
const stream = new PassThrough();
const lines: string[] = [];
stream.on('data', (line: Buffer) => lines.push(line.toString()));
const log = createLogger({ level: 'warn', format: 'json', stream, now: Date.now });

let store: HostStore;
let watch: SourceWatch;

beforeEach(async () => {
  lines.length = 0;
  store = await openEmbeddedStore(createTemporaryDirectory().file('store'));
  watch = new SourceWatch({ store, source: 'one', name: 'coredns-0', fromMs: START_MS, log });
});

afterEach(async () => {
  await store.close();
});

const connect = (connections: number, afterMs: number, wasCut = false): void =>
  watch.noteConnections(connections, { atMs: START_MS + afterMs, wasCut });
const record = async (
  afterMs: number,
  fields: { readonly lost?: number; readonly wasAway?: boolean } = {},
): Promise<void> => watch.report({ untilMs: START_MS + afterMs, lost: 0, wasAway: false, isLast: true, ...fields });
const windows = async (): Promise<readonly (readonly [string, number, number])[]> =>
  (await store.blindWindows()).map(({ reason, fromMs, untilMs }: BlindWindow) => [
    reason,
    fromMs - START_MS,
    untilMs - START_MS,
  ]);

it('is blind until a DNS server connects, and whenever none is', async () => {
  await record(1000);
  expect(await windows()).toEqual([['not-connected', 0, 1000]]);
  connect(1, 3000);
  await record(10_000);
  connect(0, 20_000);
  await record(500_000);
  connect(1, 600_000);
  await record(700_000);
  expect(await windows()).toEqual([
    ['not-connected', 0, 3000],
    ['not-connected', 20_000, 600_000],
  ]);
  expect(await store.sources()).toMatchObject([
    { source: 'one', name: 'coredns-0', fromMs: START_MS, untilMs: START_MS + 700_000, connections: 1 },
  ]);
});

it('misses one of several that was cut off until it is back, for a while, and none that said so', async () => {
  connect(1, 0);
  connect(2, 0);
  connect(1, 10_000, true);
  connect(2, 15_000);
  connect(1, 20_000);
  connect(2, 30_000);
  connect(1, 100_000, true);
  await record(130_000);
  await record(170_000);
  await record(900_000);
  expect(await windows()).toEqual([
    ['not-connected', 10_000, 15_000],
    ['not-connected', 100_000, 170_000],
  ]);
});

it('was blind since the last report when observations were lost', async () => {
  connect(1, 0);
  await record(10_000);
  await record(20_000, { lost: 3 });
  await record(30_000, { lost: 3 });
  await record(40_000, { lost: 4, wasAway: true });
  expect(await windows()).toEqual([
    ['dropped', 10_000, 20_000],
    ['store-unavailable', 30_000, 40_000],
  ]);
});

it('tells later what it could not tell, and lives no longer than what is recorded', async () => {
  const away = openRedisStore({ url: 'redis://127.0.0.1:1' });
  const failing = { isAway: true };
  const flaky: ConstructorParameters<typeof SourceWatch>[0]['store'] = {
    reportSource: (report) => (failing.isAway ? away : store).reportSource(report),
    recordBlindWindow: (window) => (failing.isAway ? away : store).recordBlindWindow(window),
  };
  watch = new SourceWatch({ store: flaky, source: 'one', name: 'coredns-0', fromMs: START_MS, log });
  connect(1, 5000);
  await record(9_000);
  await record(10_000);
  expect(await store.sources()).toEqual([]);
  expect(lines).toHaveLength(1); // once, however long the store is away
  failing.isAway = false;
  await record(20_000);
  expect(await windows()).toEqual([['not-connected', 0, 5000]]);
  expect(await store.sources()).toMatchObject([{ untilMs: START_MS + 20_000 }]);
  await away.close();
});

it('was blind for as long as may be lost when the store has lost batches that it had', async () => {
  const batch = async (sequence: number): Promise<void> =>
    store.record({ source: 'one', sequence, observations: [], rejections: [] });
  connect(1, 0);
  for (const sequence of [1, 2, 3]) await batch(sequence);
  await record(10_000);
  await batch(6);
  await record(20_000);
  await batch(7);
  await record(30_000);
  expect(await windows()).toEqual([['sequence-gap', 0, 20_000]]);
});

it('is told by the recorder up to when all is recorded', async () => {
  let nowMs = START_MS;
  const recorder = new Recorder({ table: newTable(), store, source: 'one', now: () => nowMs, log, watch });
  nowMs += 7000;
  await recorder.flush({ final: true });
  expect(await store.sources()).toMatchObject([{ fromMs: START_MS, untilMs: START_MS + 7000 }]);
});
