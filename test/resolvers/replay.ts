import { runProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import type { GroundTruth } from './ground-truth.js';

/** How what was learnt compares with what was done. */
export interface Verdict {
  /** Should have been learnt, and was not. */
  readonly missed: readonly string[];
  /** Was learnt, and should not have been. */
  readonly invented: readonly string[];
  readonly hosts: Score;
  /** Of (namespace, workload, host). */
  readonly workloads: Score;
}

export interface Score {
  readonly recall: number;
  readonly precision: number;
}

type Expectation = Pick<GroundTruth, 'learnt' | 'ambiguous'>;

interface Host {
  readonly hostname: string;
  readonly workloads: readonly { readonly namespace: string; readonly kind: string; readonly name: string }[];
}

/** What a replay has taught. */
export interface Replayed {
  /** `NAMESPACE KIND/NAME HOST`, sorted. */
  readonly learnt: readonly string[];
  /** What the program printed. */
  readonly printed: string;
}

/** Replays captures (they may be gzipped) through the program, all into one store. */
export async function replayCaptures(captures: readonly string[], objects?: string): Promise<Replayed> {
  const directory = createTemporaryDirectory();
  const store = `embedded://${directory.file('store')}`;
  const where = ['--store', store, '--output', directory.file('output')];
  const known = objects === undefined ? [] : ['--objects', objects];
  const read = captures.flatMap((capture) => ['--read', capture]);
  const { stdout: printed } = await runProgram('run', '--once', ...read, ...known, ...where);
  return { learnt: await hostsIn(store), printed };
}

/** The part of what was learnt that the pods of a recording taught. */
export function learntBy({ pods }: GroundTruth, lines: readonly string[]): readonly string[] {
  const workloads = new Set(pods.map(({ namespace, workload }) => `${namespace} ${workload} `));
  return lines.filter((line) => [...workloads].some((workload) => line.startsWith(workload)));
}

/** `NAMESPACE KIND/NAME HOST` of all that is in a store. */
export async function hostsIn(store: string): Promise<readonly string[]> {
  const { stdout } = await runProgram('hosts', '--store', store, '-o', 'json');
  const hosts = JSON.parse(stdout) as readonly Host[];
  return hosts
    .flatMap(({ hostname, workloads }) =>
      workloads.map(({ namespace, kind, name }) => `${namespace} ${kind}/${name} ${hostname}`),
    )
    .toSorted();
}

/** Compares, without what is ambiguous. */
export function compare(found: readonly string[], { learnt, ambiguous }: Expectation): Verdict {
  const open = new Set(ambiguous.map((ambiguity) => ambiguity.learnt));
  const clear = found.filter((line) => !open.has(line));
  const expected = learnt.filter((line) => !open.has(line));
  return {
    missed: expected.filter((line) => !clear.includes(line)),
    invented: clear.filter((line) => !expected.includes(line)),
    hosts: score(hostsOf(clear), hostsOf(expected)),
    workloads: score(clear, expected),
  };
}

function hostsOf(lines: readonly string[]): readonly string[] {
  return [...new Set(lines.map((line) => line.split(' ')[2] ?? ''))];
}

function score(found: readonly string[], expected: readonly string[]): Score {
  const right = found.filter((item) => expected.includes(item)).length;
  return { recall: right / expected.length, precision: right / found.length };
}

/** A line of the test's output. */
export function formatVerdict(name: string, { hosts, workloads }: Verdict, { learnt, ambiguous }: Expectation): string {
  const show = ({ recall, precision }: Score) => `recall ${recall.toFixed(3)} precision ${precision.toFixed(3)}`;
  const size = `${learnt.length} to learn, ${ambiguous.length} ambiguous`;
  return `${name.padEnd(18)} hosts: ${show(hosts)}   (namespace, workload, host): ${show(workloads)}   ${size}`;
}
