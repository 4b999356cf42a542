import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FrameStreamFileWriter } from 'dnstap-ts';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { findPrograms } from './programs.js';
import { recordResolvers, type Recordings } from './record.js';
import { compare, DATA, formatVerdict, replayCapture } from './replay.js';

const directory = createTemporaryDirectory();
const report: string[] = [];
let recorded: Recordings;

beforeAll(async () => {
  const { programs, missing } = await findPrograms();
  report.push(...missing);
  recorded = await recordResolvers(programs);
}, 300_000);

afterAll(() => console.info(report.join('\n')));

it('learns what the resolvers of this machine look up, all of it and nothing else', async () => {
  const objects = directory.file('objects.json');
  writeFileSync(objects, recorded.objects);
  const verdicts = await Promise.all(
    recorded.recordings.map(async ({ name, frames, truth }) => {
      const capture = directory.file(`${name}.fstrm`);
      await writeCapture(capture, frames);
      const verdict = compare(await replayCapture(capture, objects), truth);
      report.push(formatVerdict(name, verdict, truth));
      return { name, missed: verdict.missed, invented: verdict.invented };
    }),
  );
  if (process.env['RECORD_DATA'] === '1') keep();
  expect(verdicts).toEqual(verdicts.map(({ name }) => ({ name, missed: [], invented: [] })));
}, 120_000);

async function writeCapture(file: string, frames: readonly Buffer[]): Promise<void> {
  const writer = await FrameStreamFileWriter.open(file);
  for (const frame of frames) await writer.write(frame);
  await writer.close();
}

/** `RECORD_DATA=1`: what recorded.test.ts replays is what this test recorded. */
function keep(): void {
  mkdirSync(DATA, { recursive: true });
  writeFileSync(join(DATA, 'objects.json.gz'), gzipSync(recorded.objects, { level: 9 }));
  for (const { name, truth } of recorded.recordings) {
    const capture = readFileSync(directory.file(`${name}.fstrm`));
    writeFileSync(join(DATA, `${name}.fstrm.gz`), gzipSync(capture, { level: 9 }));
    writeFileSync(join(DATA, `${name}.json`), `${JSON.stringify(truth, undefined, 2)}\n`);
  }
}
