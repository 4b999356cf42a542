import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { decodeDnstap, readFrameStreamFile, type Dnstap } from 'dnstap-ts';
import { ROOT } from '../support/command.js';
import type { GroundTruth } from './ground-truth.js';

/** Where recordings are kept. */
export const DATA = join(ROOT, 'test', 'data', 'resolvers');

const RESOLVERS = ['c-ares', 'glibc', 'go', 'java', 'musl', 'musl-1.2.5', 'node-lookup'];
const BUSYBOX = ['busybox-musl', 'busybox-nslookup', 'busybox-wget'];
const SETTINGS = ['glibc-autopath', 'go-autopath', 'musl-autopath', 'glibc-coredns-1.11', 'glibc-metadata'];

/** The recordings of what is also run live, which have the queries as well as the responses. */
export const LIVE_RECORDINGS: readonly string[] = [...RESOLVERS, ...BUSYBOX, ...SETTINGS];

/** The names of all recordings, sorted. */
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
