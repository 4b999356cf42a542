import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FrameStreamFileWriter } from 'dnstap-ts';
import { startProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { findPrograms } from './programs.js';
import { startResolverCluster, type Recording } from './record.js';
import { compare, DATA, formatVerdict, hostsIn } from './replay.js';

const directory = createTemporaryDirectory();
const TAP = `unix://${directory.file('dnstap.sock')}`;
const STORE = `embedded://${directory.file('store')}`;
const OUTPUT = directory.file('output');
/** Programs that walk the search list in different ways, for settings of CoreDNS that matter for the walk. */
const WALKERS: readonly string[] = ['glibc', 'musl', 'go'];

const report: string[] = [];
let objects: string;
let recordings: readonly Recording[];

beforeAll(async () => {
  const [{ programs, missing }, cluster] = await Promise.all([findPrograms(), startResolverCluster()]);
  report.push(...missing);
  const run = await startProgram('run', [
    '--dnstap',
    TAP,
    '--store',
    STORE,
    '--kubeconfig',
    cluster.kubeconfigFile,
    '--output',
    OUTPUT,
    '--observation-flush-ms',
    '200',
  ]);
  const walkers = programs.filter(({ name }) => WALKERS.includes(name));
  const recorded = await Promise.all([
    cluster.record(programs, { suffix: '', alsoTo: TAP }),
    cluster.record(walkers, { suffix: '-autopath', alsoTo: TAP }),
    cluster.record(walkers.slice(0, 1), { suffix: '-coredns-1.11', alsoTo: TAP }),
  ]);
  recordings = recorded.flat();
  objects = await cluster.objects();
  await waitUntil(() => writtenEntries() >= expectedEntries(), { what: `${expectedEntries()} ServiceEntries` });
  await run.stop();
}, 300_000);

afterAll(() => console.info(report.join('\n')));

it('what all of them looked up at the same time, all of it and nothing else', async () => {
  const found = await hostsIn(STORE);
  const verdicts = recordings.map(({ name, truth }) => {
    const ofProgram = found.filter((line) => truth.pods.some(({ workload }) => line.split(' ')[1] === workload));
    const verdict = compare(ofProgram, truth);
    report.push(formatVerdict(name, verdict, truth));
    return { name, missed: verdict.missed, invented: verdict.invented };
  });
  expect(verdicts).toEqual(recordings.map(({ name }) => ({ name, missed: [], invented: [] })));
  const workloads = recordings.flatMap(({ truth }) => truth.pods.map(({ workload }) => workload));
  expect(found.filter((line) => !workloads.includes(line.split(' ')[1] ?? ''))).toEqual([]);
  for (const { name, truth } of recordings)
    expect(truth.learnt).toContain(`shop Deployment/web-${name} www.example.com`);
});

it('RECORD_DATA=1 keeps it for recorded.test.ts', async () => {
  const kept = process.env['RECORD_DATA'] === '1' ? DATA : directory.file('data');
  await keep(kept);
  expect(readdirSync(kept).filter((file) => file.endsWith('.fstrm.gz'))).toHaveLength(recordings.length);
});

async function keep(into: string): Promise<void> {
  mkdirSync(into, { recursive: true });
  writeFileSync(join(into, 'objects.json.gz'), gzipSync(objects, { level: 9 }));
  for (const { name, frames, truth } of recordings) {
    const capture = directory.file(`${name}.fstrm`);
    await writeCapture(capture, frames);
    writeFileSync(join(into, `${name}.fstrm.gz`), gzipSync(readFileSync(capture), { level: 9 }));
    writeFileSync(join(into, `${name}.json`), `${JSON.stringify(truth, undefined, 2)}\n`);
  }
}

async function writeCapture(file: string, frames: readonly Buffer[]): Promise<void> {
  const writer = await FrameStreamFileWriter.open(file);
  for (const frame of frames) await writer.write(frame);
  await writer.close();
}

/** A host is one ServiceEntry a namespace. */
function expectedEntries(): number {
  const lines = recordings.flatMap(({ truth }) => truth.learnt).map((line) => line.split(' '));
  return new Set(lines.map(([namespace, , host]) => `${namespace} ${host}`)).size;
}

function writtenEntries(): number {
  return readdirSync(OUTPUT).length;
}
