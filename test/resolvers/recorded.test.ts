import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import type { GroundTruth } from './ground-truth.js';
import { compare, DATA, formatVerdict, recordingNames, replayCapture } from './replay.js';

const NAMES = recordingNames();
const objects = createTemporaryDirectory().file('objects.json');
const report: string[] = [];

beforeAll(() => writeFileSync(objects, gunzipSync(readFileSync(join(DATA, 'objects.json.gz')))));
afterAll(() => console.info(report.join('\n')));

it('has a recording of every kind of resolver', () => {
  expect(NAMES).toEqual(
    expect.arrayContaining([
      'busybox-nslookup',
      'busybox-wget',
      'c-ares',
      'glibc',
      'go',
      'java',
      'musl',
      'node-lookup',
    ]),
  );
});

it.each(NAMES)('%s: learns what it looked up, all of it and nothing else', async (name) => {
  const truth = JSON.parse(readFileSync(join(DATA, `${name}.json`), 'utf8')) as GroundTruth;
  const verdict = compare(await replayCapture(join(DATA, `${name}.fstrm.gz`), objects), truth);
  report.push(formatVerdict(name, verdict, truth));
  expect(truth.learnt.length).toBeGreaterThan(15);
  const all = { recall: 1, precision: 1 };
  expect(verdict).toEqual({ missed: [], invented: [], hosts: all, workloads: all });
});
