import { decodeDnstap, MessageType } from 'dnstap-ts';
import { learnAlone } from './learn.js';
import { keepRecordings } from './keep.js';
import { MORE_CANDIDATES } from './more-programs.js';
import { CANDIDATES, findPrograms, type ResolverProgram } from './programs.js';
import { startResolverCluster, type DnsSetting, type Recording } from './record.js';
import { DATA } from './recordings.js';
import { compare, formatVerdict } from './replay.js';

// Records what is too much for every test run; RECORD_ONLY='PATTERN' (a regular expression) some of it.

const RECORDING_MS = 20 * 60_000;
const ONLY = new RegExp(process.env['RECORD_ONLY'] ?? '');
/** Pods that look names up at the same time: more, and programs give up on a busy machine. */
const AT_ONCE = 6;

const SERVERS = ['unbound', 'bind', 'dnsdist'] as const;
const OF_SERVERS = ['glibc', 'go'];
const OF_AUTOPATH = ['java', 'node-lookup', 'pycares', 'hickory', 'erlang', 'glibc-long-search'];
const lastHost = 'mail.example.com';

const report: string[] = [];

afterAll(() => console.info(report.join('\n')));

it(
  'records',
  async () => {
    const [usual, more, cluster] = await Promise.all([
      findPrograms(CANDIDATES),
      findPrograms(MORE_CANDIDATES),
      startResolverCluster(),
    ]);
    report.push(...more.missing);
    const all = [...usual.programs, ...more.programs];
    const named = (names: readonly string[]) => all.filter(({ name }) => names.includes(name));
    const jobs = [
      ...jobsOf(more.programs, { suffix: '', lastHost }),
      ...jobsOf(named(OF_AUTOPATH), { suffix: '-autopath', lastHost }),
      ...SERVERS.flatMap((server) => jobsOf(named(OF_SERVERS), { suffix: `-behind-${server}`, server, lastHost })),
    ];
    const failures: unknown[] = [];
    for (const { programs, setting } of jobs) {
      try {
        const recordings = (await cluster.record(programs, setting)).map(onlyResponses);
        await keepRecordings(DATA, recordings, await cluster.objects());
        report.push(...recordings.map(verdictOf));
      } catch (error) {
        failures.push(error); // the others are recorded all the same
      }
    }
    expect(failures).toEqual([]);
  },
  RECORDING_MS,
);

interface Job {
  readonly programs: readonly ResolverProgram[];
  readonly setting: DnsSetting;
}

function jobsOf(programs: readonly ResolverProgram[], setting: DnsSetting): readonly Job[] {
  const wanted = programs.filter(({ name }) => ONLY.test(`${name}${setting.suffix}`));
  const starts = Array.from({ length: Math.ceil(wanted.length / AT_ONCE) }, (_, index) => index * AT_ONCE);
  return starts.map((start) => ({ programs: wanted.slice(start, start + AT_ONCE), setting }));
}

/** Half the size, and all that is learnt from. */
function onlyResponses(recording: Recording): Recording {
  const frames = recording.frames.filter((frame) => decodeDnstap(frame).message?.type === MessageType.CLIENT_RESPONSE);
  return { ...recording, frames };
}

function verdictOf({ name, frames, truth }: Recording): string {
  const verdict = compare(learnAlone(frames, truth), truth);
  const faults = [
    ...verdict.missed.map((line) => `  missed ${line}`),
    ...verdict.invented.map((line) => `  invented ${line}`),
  ];
  return [formatVerdict(name, verdict, truth), ...faults].join('\n');
}
