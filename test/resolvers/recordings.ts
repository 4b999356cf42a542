import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { decodeDnstap, readFrameStreamFile, type Dnstap } from 'dnstap-ts';
import { ROOT } from '../support/command.js';
import type { GroundTruth } from './ground-truth.js';

/** Where recordings are kept. */
export const DATA = join(ROOT, 'test', 'data', 'resolvers');

/** The names of the recordings, sorted. */
export function recordingNames(): readonly string[] {
  const captures = readdirSync(DATA).filter((file) => file.endsWith('.fstrm.gz'));
  return captures.map((file) => file.replace('.fstrm.gz', '')).toSorted();
}

export function captureOf(name: string): string {
  return join(DATA, `${name}.fstrm.gz`);
}

export function readTruth(name: string): GroundTruth {
  return JSON.parse(readFileSync(join(DATA, `${name}.json`), 'utf8')) as GroundTruth;
}

/** All dnstap messages of a recording, in the order in which they came. */
export async function readFrames(name: string): Promise<readonly Dnstap[]> {
  const frames: Dnstap[] = [];
  const stream = createReadStream(captureOf(name)).pipe(createGunzip());
  await readFrameStreamFile(Readable.from(stream), {
    onFrame: (buffer, start, end) => void frames.push(decodeDnstap(Buffer.from(buffer.subarray(start, end)))),
  });
  return frames;
}
