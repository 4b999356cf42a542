import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { runProgram } from '../support/program.js';
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
  const truth = readTruth(name);
  const verdict = compare(await replayCapture(captureOf(name), objects), truth);
  report.push(formatVerdict(name, verdict, truth));
  expect(truth.learnt.length).toBeGreaterThan(15);
  const all = { recall: 1, precision: 1 };
  expect(verdict).toEqual({ missed: [], invented: [], hosts: all, workloads: all });
});

it('glibc: what is ambiguous is reported as a conflict of the search domain', async () => {
  const directory = createTemporaryDirectory();
  const where = ['--store', `embedded://${directory.file('store')}`, '--output', directory.file('output')];
  const { stdout } = await runProgram('run', '--once', '--read', captureOf('glibc'), '--objects', objects, ...where);
  const conflict = stdout.split('\n').find((line) => line.startsWith('search-conflict '));
  expect(conflict).toContain('api.example.com -> api.example.com.wild.example.org (203.0.113.99)');
});

it('glibc-metadata without the objects: the namespaces are those that CoreDNS put into `extra`', async () => {
  const truth = readTruth('glibc-metadata');
  const verdict = compare(await replayCapture(captureOf('glibc-metadata')), {
    learnt: truth.learnt.map(asPod),
    ambiguous: truth.ambiguous.map(({ learnt, why }) => ({ learnt: asPod(learnt), why })),
  });
  expect(verdict).toMatchObject({ missed: [], invented: [] });
});

/** Only the objects say what a pod belongs to. */
function asPod(line: string): string {
  return line.replace(/Deployment\/(\S+)/, 'Pod/$1-5d9c7b8f6d-x2k4q');
}

function captureOf(name: string): string {
  return join(DATA, `${name}.fstrm.gz`);
}

function readTruth(name: string): GroundTruth {
  return JSON.parse(readFileSync(join(DATA, `${name}.json`), 'utf8')) as GroundTruth;
}
