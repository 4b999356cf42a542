import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import type { ObjectEvent } from '../../src/workload/object-event.js';
import { readObjects } from '../../src/workload/read-objects.js';
import { WorkloadError } from '../../src/workload/workload-error.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { ms, ownedJson, podJson } from './objects.js';

const directory = createTemporaryDirectory();

async function read(content: string | Uint8Array): Promise<readonly ObjectEvent[]> {
  const file = directory.file('objects');
  await writeFile(file, content);
  const events: ObjectEvent[] = [];
  for await (const event of readObjects(file)) events.push(event);
  return events;
}

/** `type kind name`, and the time in seconds after the start of the tests. */
async function summary(content: string | Uint8Array): Promise<readonly string[]> {
  const events = await read(content);
  return events.map(({ atMs, type, object }) => `${(atMs - ms(0)) / 1000} ${type} ${object.kind} ${object.name}`);
}

async function failure(content: string | Uint8Array): Promise<{ code: string; place: string | undefined }> {
  try {
    await read(content);
  } catch (error) {
    if (!(error instanceof WorkloadError)) throw error;
    return { code: error.code, place: /objects(?::(\d+))?: /.exec(error.message)?.[1] };
  }
  throw new Error('the file was read');
}

function line(seconds: number, type: string, object: object): string {
  return JSON.stringify({ t: ms(seconds) / 1000, type, object });
}

const items = [
  podJson({ name: 'a', start: 5 }),
  { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' } },
  podJson({ name: 'b', start: 7 }),
];
const list = { apiVersion: 'v1', kind: 'List', items };
const listed = ['5 ADDED Pod a', '7 ADDED Pod b'];

describe('a list, as kubectl get -o json prints it', () => {
  it('has every object from its own start on, without kinds that are not needed', async () => {
    expect(await summary(JSON.stringify(list, null, 4))).toEqual(listed);
  });

  it('may be on one line', async () => {
    expect(await summary(JSON.stringify(list))).toEqual(listed);
    expect(await summary(`\ufeff${JSON.stringify(list)}\n\n`)).toEqual(listed);
  });

  it('may be gzipped', async () => {
    expect(await summary(gzipSync(JSON.stringify(list, null, 4)))).toEqual(listed);
  });

  it('may be a typed list, whose items do not name their kind', async () => {
    const items = [{ metadata: { name: 'a', creationTimestamp: '2026-01-05T10:00:05Z' } }];
    expect(await summary(JSON.stringify({ kind: 'PodList', items }))).toEqual(['5 ADDED Pod a']);
  });

  it('may be a single object', async () => {
    expect(await summary(JSON.stringify(items[0], null, 4))).toEqual(['5 ADDED Pod a']);
    expect(await summary(JSON.stringify(items[1]))).toEqual([]);
  });

  it('may be empty', async () => {
    expect(await summary('')).toEqual([]);
    expect(await summary(JSON.stringify({ kind: 'List', items: [] }))).toEqual([]);
  });
});

describe('JSON lines', () => {
  const lines = [
    line(1.25, 'ADDED', podJson({ name: 'a' })),
    '',
    line(2, 'ADDED', { kind: 'ConfigMap', metadata: { name: 'c' } }),
    line(3, 'MODIFIED', ownedJson({ kind: 'ReplicaSet', name: 'web-1' })),
    line(4.5, 'DELETED', podJson({ name: 'a' })),
  ];
  const events = ['1.25 ADDED Pod a', '3 MODIFIED ReplicaSet web-1', '4.5 DELETED Pod a'];

  it('are events in order', async () => {
    expect(await summary(lines.join('\n'))).toEqual(events);
    expect(await summary(`${lines.join('\r\n')}\r\n`)).toEqual(events);
  });

  it('may be gzipped', async () => {
    expect(await summary(gzipSync(lines.join('\n')))).toEqual(events);
  });

  it('may be longer than what a file is read in at a time', async () => {
    const many = Array.from({ length: 2000 }, (_, i) => line(i, 'ADDED', podJson({ name: `größe-${i}` })));
    const names = (await read(many.join('\n'))).map(({ object }) => object.name);
    expect(names).toEqual(Array.from({ length: 2000 }, (_, i) => `größe-${i}`));
  });
});

describe('a file that cannot be used', () => {
  const good = line(1, 'ADDED', podJson({ name: 'a' }));

  it.each<[string, string | Uint8Array, string, string | undefined]>([
    ['text', 'NAME  READY\nweb   1/1', 'JSON', undefined],
    ['a list cut short', JSON.stringify(list, null, 4).slice(0, -5), 'JSON', undefined],
    ['a line cut short', `${good}\n${good.slice(0, -5)}`, 'JSON', '2'],
    ['an object a line', `${JSON.stringify(items[0])}\n${JSON.stringify(items[2])}`, 'EVENT', '2'],
    ['an object after events', `${good}\n${JSON.stringify(items[0])}`, 'EVENT', '2'],
    ['an event without time', JSON.stringify({ type: 'ADDED', object: items[0] }), 'EVENT', '1'],
    ['a time in text', JSON.stringify({ t: '1', type: 'ADDED', object: items[0] }), 'EVENT', '1'],
    ['a time in milliseconds', JSON.stringify({ t: ms(0), type: 'ADDED', object: items[0] }), 'EVENT', '1'],
    ['an unknown type', JSON.stringify({ t: 1, type: 'BOOKMARK', object: items[0] }), 'EVENT', '1'],
    ['an event without object', `${good}\n${JSON.stringify({ t: 1, type: 'ADDED' })}`, 'EVENT', '2'],
    ['an object without kind', `${good}\n${line(1, 'ADDED', { metadata: { name: 'a' } })}`, 'OBJECT', '2'],
    ['an object without name', `${good}\n\n${line(1, 'ADDED', { kind: 'Pod' })}`, 'OBJECT', '3'],
    ['JSON that is no object', '42', 'OBJECT', '1'],
    ['a very long line', `${good}\n${' '.repeat(5 * 1024 * 1024)}`, 'TOO_LONG', '2'],
    ['gzip data cut short', gzipSync(JSON.stringify(list)).subarray(0, 60), 'READ', undefined],
  ])('is refused: %s', async (_, content, code, place) => {
    expect(await failure(content)).toEqual({ code: `WORKLOAD_ERR_OBJECTS_${code}`, place });
  });

  it('is refused: no file', async () => {
    const missing = readObjects(directory.file('missing'));
    await expect(missing.next()).rejects.toMatchObject({ code: 'WORKLOAD_ERR_OBJECTS_READ' });
  });

  it('is refused: a directory', async () => {
    await expect(readObjects(directory.path).next()).rejects.toMatchObject({ code: 'WORKLOAD_ERR_OBJECTS_READ' });
  });

  it('gives the events before the fault', async () => {
    const file = directory.file('fault');
    await writeFile(file, `${good}\nfault`);
    const events = readObjects(file);
    await expect(events.next()).resolves.toMatchObject({ value: { type: 'ADDED' } });
    await expect(events.next()).rejects.toMatchObject({ code: 'WORKLOAD_ERR_OBJECTS_JSON' });
  });
});
