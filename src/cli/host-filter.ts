import { InvalidArgumentError, Option, type Command } from 'commander';
import {
  hasFlag,
  HOST_FLAGS,
  HOST_STATES,
  type HostFlagName,
  type HostSummary,
  type HostState,
  type WorkloadEvidence,
} from '../host/host-record.js';
import { parseDurationMs } from './duration.js';

/** Which hosts a person asks for; a host has to satisfy all that is given. */
export interface HostFilter {
  /** The name, `*` standing for any characters; any of several. */
  readonly patterns?: readonly string[];
  readonly namespace?: string;
  /** `NAME`, `KIND/NAME` or `NAMESPACE/KIND/NAME`; letter case of the kind does not matter. */
  readonly workload?: string;
  readonly state?: readonly HostState[];
  readonly flag?: HostFlagName;
  readonly seenWithin?: number;
  readonly unseenFor?: number;
  readonly newerThan?: number;
}

/** Adds the flags that {@link matchesFilter} knows. */
export function addFilterOptions(command: Command): Command {
  return command
    .option('-n, --namespace <NAMESPACE>', 'only hosts that were used from this namespace')
    .option('-w, --workload <WORKLOAD>', 'only hosts that this one used: NAME, KIND/NAME or NAMESPACE/KIND/NAME')
    .addOption(
      new Option('-s, --state <STATE>', `only hosts in this state; repeatable (${HOST_STATES.join(', ')})`).argParser(
        (value: string, before: readonly HostState[] | undefined) => [...(before ?? []), ...parseStates(value)],
      ),
    )
    .addOption(new Option('--flag <FLAG>', 'only hosts that have this flag').choices(HOST_FLAGS))
    .addOption(durationOption('--seen-within <DURATION>', 'only hosts that were looked up in the last 30m, 12h, 7d, …'))
    .addOption(durationOption('--unseen-for <DURATION>', 'only hosts that were not looked up for so long'))
    .addOption(durationOption('--newer-than <DURATION>', 'only hosts that were first looked up in the last …'));
}

const durationOption = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(parseDurationMs);

function parseStates(text: string): readonly HostState[] {
  return text.split(',').map((name) => {
    const state = HOST_STATES.find((known) => known === name);
    if (state === undefined) throw new InvalidArgumentError(`expected one of ${HOST_STATES.join(', ')}`);
    return state;
  });
}

/** A filter that is asked for each of many hosts. */
export function matchesFilter(filter: HostFilter, nowMs: number): (record: HostSummary) => boolean {
  const { patterns = [], namespace, workload, state, flag, seenWithin, unseenFor, newerThan } = filter;
  const names = patterns.map(toExpression);
  const isWorkload = workload === undefined ? undefined : matchesWorkload(workload);
  const checks: ((record: HostSummary) => boolean)[] = [
    ({ hostname }) => names.length === 0 || names.some((name) => name.test(hostname)),
    (record) => state === undefined || state.includes(record.state),
    (record) => flag === undefined || hasFlag(record, flag),
    ({ lastSeenMs }) => seenWithin === undefined || nowMs - lastSeenMs <= seenWithin,
    ({ lastSeenMs }) => unseenFor === undefined || nowMs - lastSeenMs > unseenFor,
    ({ firstSeenMs }) => newerThan === undefined || nowMs - firstSeenMs <= newerThan,
    ({ workloads }) => namespace === undefined || workloads.some((one) => one.workload.namespace === namespace),
    ({ workloads }) => isWorkload === undefined || workloads.some(isWorkload),
  ];
  return (record) => checks.every((check) => check(record));
}

/** A name in which `*` stands for any characters. */
export function toExpression(pattern: string): RegExp {
  const text = pattern.toLowerCase().replace(/\.$/, '');
  return new RegExp(`^${text.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '.*')}$`);
}

function matchesWorkload(text: string): (evidence: WorkloadEvidence) => boolean {
  const [name, kind, namespace] = text.split('/').toReversed();
  return ({ workload }) =>
    workload.name === name &&
    (kind === undefined || workload.kind.toLowerCase() === kind.toLowerCase()) &&
    (namespace === undefined || workload.namespace === namespace);
}
