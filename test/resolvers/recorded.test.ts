import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { MORE_CANDIDATES } from './more-programs.js';
import { captureOf, DATA, LIVE_RECORDINGS, readTruth, recordingNames } from './recordings.js';
import { compare, formatVerdict, learntBy, replayCaptures, type Replayed } from './replay.js';

const NAMES = recordingNames();
const report: string[] = [];
let replayed: Replayed;

beforeAll(async () => {
  const objects = createTemporaryDirectory().file('objects.json');
  writeFileSync(objects, gunzipSync(readFileSync(join(DATA, 'objects.json.gz'))));
  replayed = await replayCaptures(NAMES.map(captureOf), objects);
});

afterAll(() => console.info(report.join('\n')));

it('has a recording of every kind of resolver', () => {
  expect(NAMES).toEqual(expect.arrayContaining([...LIVE_RECORDINGS, ...MORE_CANDIDATES.map(({ name }) => name)]));
});

it.each(NAMES)('%s: learns what it looked up, all of it and nothing else', (name) => {
  const truth = readTruth(name);
  const verdict = compare(learntBy(truth, replayed.learnt), truth);
  report.push(formatVerdict(name, verdict, truth));
  expect(truth.learnt.length).toBeGreaterThan(15);
  const all = { recall: 1, precision: 1 };
  expect(verdict).toEqual({ missed: [], invented: [], hosts: all, workloads: all });
});

it('learns nothing of anybody else', () => {
  const truths = NAMES.map(readTruth);
  expect(replayed.learnt.filter((line) => truths.every((truth) => learntBy(truth, [line]).length === 0))).toEqual([]);
});

it('reports what is ambiguous as conflicts of a search domain', () => {
  const conflict = replayed.printed.split('\n').find((line) => line.startsWith('search-conflict '));
  expect(conflict).toMatch(/ (\S+)→\1\.wild\.example\.org\(203\.0\.113\.99\)/);
});

it('glibc-metadata without the objects: the namespaces are those that CoreDNS put into `extra`', async () => {
  const truth = readTruth('glibc-metadata');
  const { learnt } = await replayCaptures([captureOf('glibc-metadata')]);
  const verdict = compare(learnt, {
    learnt: truth.learnt.map(asPod),
    ambiguous: truth.ambiguous.map((ambiguity) => ({ ...ambiguity, learnt: asPod(ambiguity.learnt) })),
  });
  expect(verdict).toMatchObject({ missed: [], invented: [] });
});

/** Only the objects say what a pod belongs to. */
function asPod(line: string): string {
  return line.replace(/Deployment\/(\S+)/, 'Pod/$1-5d9c7b8f6d-x2k4q');
}
