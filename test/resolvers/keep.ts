import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { FrameStreamFileWriter } from 'dnstap-ts';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import type { Recording } from './record.js';

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
}

interface ObjectList {
  readonly items: readonly KubernetesObject[];
}

/**
 * Writes recordings into a directory, over those of the same name.
 *
 * @param objects the Kubernetes objects of their pods, as kubectl prints them; they are put beside those already there
 */
export async function keepRecordings(into: string, recordings: readonly Recording[], objects: string): Promise<void> {
  mkdirSync(into, { recursive: true });
  keepObjects(join(into, 'objects.json.gz'), JSON.parse(objects) as ObjectList);
  const directory = createTemporaryDirectory();
  for (const { name, frames, truth } of recordings) {
    const capture = directory.file(`${name}.fstrm`);
    await writeCapture(capture, frames);
    writeFileSync(join(into, `${name}.fstrm.gz`), gzipSync(readFileSync(capture), { level: 9 }));
    writeFileSync(join(into, `${name}.json`), `${JSON.stringify(truth, undefined, 2)}\n`);
  }
}

function keepObjects(file: string, { items, ...list }: ObjectList): void {
  const before = existsSync(file) ? (JSON.parse(gunzipSync(readFileSync(file)).toString()) as ObjectList).items : [];
  const keyOf = ({ kind, metadata }: KubernetesObject): string => `${kind} ${metadata.namespace} ${metadata.name}`;
  const known = new Set(items.map(keyOf));
  const all = [...before.filter((item) => !known.has(keyOf(item))), ...items];
  writeFileSync(file, gzipSync(JSON.stringify({ ...list, items: all }), { level: 9 }));
}

async function writeCapture(file: string, frames: readonly Buffer[]): Promise<void> {
  const writer = await FrameStreamFileWriter.open(file);
  for (const frame of frames) await writer.write(frame);
  await writer.close();
}
