import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { keepRecordings } from './keep.js';
import { findPrograms } from './programs.js';
import { LAST_NAMESPACE, startResolverCluster, type DnsSetting, type Recording } from './record.js';
import { DATA } from './recordings.js';
import { compare, formatVerdict, hostsIn, learntBy } from './replay.js';

const directory = createTemporaryDirectory();
const TAP = `unix://${directory.file('dnstap.sock')}`;
const STORE = `embedded://${directory.file('store')}`;
const OUTPUT = directory.file('output');

/** Settings of CoreDNS that matter for what it tells, and for some the only programs to try. */
const SETTINGS: readonly (DnsSetting & { readonly of?: readonly string[] })[] = [
  { suffix: '', lastHost: 'mail.example.com' },
  { suffix: '-autopath', lastHost: 'api.example.com', of: ['glibc', 'musl', 'go'] },
  { suffix: '-coredns-1.11', lastHost: 'chain.example.net', of: ['glibc'] },
  { suffix: '-metadata', lastHost: 'chain.example.org', of: ['glibc'] },
];

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
  const recorded = await Promise.all(
    SETTINGS.map(async ({ of, ...setting }) =>
      cluster.record(
        programs.filter(({ name }) => of === undefined || of.includes(name)),
        { ...setting, alsoTo: TAP },
      ),
    ),
  );
  recordings = recorded.flat();
  objects = await cluster.objects();
  // Whoever has written the entry of a last look-up has seen, and attributed, all that came before it.
  await waitUntil(() => SETTINGS.every(({ lastHost }) => hasEntry(lastHost)), { what: 'the last hosts' });
  await run.stop();
}, 300_000);

afterAll(() => console.info(report.join('\n')));

it('what all of them looked up at the same time, all of it and nothing else', async () => {
  const found = await hostsIn(STORE);
  const verdicts = recordings.map(({ name, truth }) => {
    const verdict = compare(learntBy(truth, found), truth);
    report.push(formatVerdict(name, verdict, truth));
    return { name, missed: verdict.missed, invented: verdict.invented };
  });
  expect(verdicts).toEqual(recordings.map(({ name }) => ({ name, missed: [], invented: [] })));
  const others = found.filter((line) => recordings.every(({ truth }) => learntBy(truth, [line]).length === 0));
  expect(others).toEqual(SETTINGS.map(({ suffix, lastHost }) => `last Pod/last${suffix} ${lastHost}`).toSorted());
  for (const { name, truth } of recordings)
    expect(truth.learnt).toContain(`shop Deployment/web-${name} www.example.com`);
});

it('RECORD_DATA=1 keeps it for recorded.test.ts', async () => {
  const kept = process.env['RECORD_DATA'] === '1' ? DATA : directory.file('data');
  await keepRecordings(kept, recordings, objects);
  expect(readdirSync(kept).filter((file) => file.endsWith('.fstrm.gz'))).toHaveLength(recordings.length);
});

function hasEntry(host: string): boolean {
  return readdirSync(OUTPUT).some((file) => {
    const text = readFileSync(join(OUTPUT, file), 'utf8');
    return text.includes(`namespace: ${LAST_NAMESPACE}\n`) && text.includes(`- ${host}\n`);
  });
}
