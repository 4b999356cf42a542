import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { arrayOf, objectOf, textOf, type JsonObject } from './json-value.js';
import { readKubernetesObject, type KubernetesObject } from './kubernetes-object.js';
import { readLines, type Line } from './lines.js';
import { OBJECT_EVENT_TYPES, type ObjectEvent, type ObjectEventType } from './object-event.js';
import { WorkloadError, type WorkloadErrorCode } from './workload-error.js';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]); // RFC 1952 section 2.3.1

/** etcd takes requests of 1.5 MiB by default, and JSON escapes can double that. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;

/** A list of 25,000 pods of 10 kB; V8's longest string is twice that. */
const MAX_LIST_BYTES = 256 * 1024 * 1024;

/** Year 5138 in seconds: anything above is milliseconds. */
const MAX_SECONDS = 100_000_000_000;

/** Where in the file something is. */
interface Place {
  readonly file: string;
  readonly line?: number;
}

/**
 * Kubernetes objects from a file (`--objects`), gzipped or not:
 *
 * - what `kubectl get pods,replicasets,jobs,… -A -o json` printed: every object was there from its own start on, or
 * - JSON lines `{"t": epoch seconds, "type": "ADDED|MODIFIED|DELETED", "object": {…}}` in order, read line by line.
 *
 * Kinds that say nothing about clients are passed over.
 *
 * @throws WorkloadError with a `WORKLOAD_ERR_OBJECTS_…` code, naming the file and the line.
 */
export async function* readObjects(file: string): AsyncGenerator<ObjectEvent> {
  const lines = readLines({
    chunks: readChunks(file),
    // The first line may be a whole list, printed without line breaks.
    maxBytesOf: (line) => (line === 1 ? MAX_LIST_BYTES : MAX_LINE_BYTES),
    tooLong: (line, max) => failure('WORKLOAD_ERR_OBJECTS_TOO_LONG', { file, line }, `more than ${max} bytes`),
  });
  const first = await nextLine(lines);
  if (first === undefined) return;
  const value = parseJson(first.text);
  if (value === undefined) {
    yield* readList({ file }, parseList(file, await joinLines(file, first, lines)));
    return;
  }
  if (!isEvent(value)) {
    const second = await nextLine(lines);
    const place = { file, line: second?.number ?? first.number };
    if (second !== undefined) throw failure('WORKLOAD_ERR_OBJECTS_EVENT', place, EXPECTED_EVENT);
    yield* readList({ file, line: first.number }, value);
    return;
  }
  yield* readEvent({ file, line: first.number }, value);
  for await (const { number, text } of lines) {
    if (text.trim() === '') continue;
    const event = parseJson(text);
    if (event === undefined) throw failure('WORKLOAD_ERR_OBJECTS_JSON', { file, line: number }, 'not JSON');
    yield* readEvent({ file, line: number }, event);
  }
}

const EXPECTED_EVENT = 'expected {"t": epoch seconds, "type": "ADDED|MODIFIED|DELETED", "object": {…}}';

function failure(code: WorkloadErrorCode, { file, line }: Place, what: string, cause?: unknown): WorkloadError {
  return new WorkloadError(code, `${file}${line === undefined ? '' : `:${line}`}: ${what}`, { cause });
}

async function* readChunks(file: string): AsyncGenerator<Uint8Array> {
  try {
    const source: AsyncIterator<Uint8Array> = createReadStream(file)[Symbol.asyncIterator]();
    const head = await readHead(source);
    const plain = Readable.from(continued(head, source), { objectMode: false });
    yield* GZIP_MAGIC.equals(head.subarray(0, GZIP_MAGIC.length)) ? unzipped(plain) : plain;
  } catch (error) {
    throw failure('WORKLOAD_ERR_OBJECTS_READ', { file }, 'cannot be read', error);
  }
}

/** Enough to know gzip by; a pipe may give one byte at a time, and cannot be read twice. */
async function readHead(source: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < GZIP_MAGIC.length) {
    const { done, value } = await source.next();
    if (done === true) break;
    chunks.push(value);
    length += value.length;
  }
  return Buffer.concat(chunks);
}

async function* continued(head: Uint8Array, source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (head.length > 0) yield head;
    for (;;) {
      const { done, value } = await source.next();
      if (done === true) return;
      yield value;
    }
  } finally {
    await source.return?.(); // closes the file also when nobody wants the rest
  }
}

async function* unzipped(source: Readable): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  source.once('error', (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip);
  } finally {
    source.destroy();
  }
}

/** The next line that is not blank, without a byte order mark. */
async function nextLine(lines: AsyncGenerator<Line>): Promise<Line | undefined> {
  for (;;) {
    const { done, value } = await lines.next();
    if (done === true) return undefined;
    const text = value.text.replace(/^\ufeff/, '');
    if (text.trim() !== '') return { number: value.number, text };
  }
}

async function joinLines(file: string, first: Line, lines: AsyncGenerator<Line>): Promise<string> {
  const texts = [first.text];
  let length = first.text.length;
  for await (const { text } of lines) {
    length += text.length + 1;
    if (length > MAX_LIST_BYTES) {
      throw failure('WORKLOAD_ERR_OBJECTS_TOO_LONG', { file }, `more than ${MAX_LIST_BYTES} bytes in one list`);
    }
    texts.push(text);
  }
  return texts.join('\n');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the caller knows what else the text may be
  }
}

function parseList(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failure('WORKLOAD_ERR_OBJECTS_JSON', { file }, 'not JSON', error);
  }
}

function isEvent(value: unknown): boolean {
  const { t, object } = objectOf(value);
  return t !== undefined || object !== undefined;
}

/** A `List`, a typed list such as `PodList` (its items do not name their kind), or one object. */
function* readList(place: Place, value: unknown): Generator<ObjectEvent> {
  const kind = textOf(objectOf(value)['kind']) ?? '';
  const isList = kind.endsWith('List');
  const items = isList ? arrayOf(objectOf(value)['items']) : [value];
  const itemKind = isList && kind !== 'List' ? kind.slice(0, -'List'.length) : undefined;
  for (const item of items) {
    for (const object of needed(place, item, itemKind)) {
      yield { atMs: object.createdAtMs ?? 0, type: 'ADDED', object };
    }
  }
}

function* readEvent(place: Place, value: unknown): Generator<ObjectEvent> {
  const event = objectOf(value);
  const atMs = atMsOf(event);
  const type = OBJECT_EVENT_TYPES.find((known): known is ObjectEventType => known === event['type']);
  if (atMs === undefined || type === undefined || event['object'] === undefined) {
    throw failure('WORKLOAD_ERR_OBJECTS_EVENT', place, EXPECTED_EVENT);
  }
  for (const object of needed(place, event['object'])) yield { atMs, type, object };
}

function atMsOf({ t }: JsonObject): number | undefined {
  return typeof t === 'number' && t >= 0 && t < MAX_SECONDS ? t * 1000 : undefined;
}

function needed(place: Place, value: unknown, kind?: string): readonly KubernetesObject[] {
  const object = readKubernetesObject(value, kind);
  if (!('skipped' in object)) return [object];
  if (object.skipped === 'kind-not-needed') return [];
  throw failure(
    'WORKLOAD_ERR_OBJECTS_OBJECT',
    place,
    `an object without ${object.skipped === 'no-kind' ? 'kind' : 'metadata.name'}`,
  );
}
