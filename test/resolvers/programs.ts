import { join } from 'node:path';
import { ROOT, runCommand } from '../support/command.js';
import { partPath } from '../support/parts.js';
import type { ClientPod, PodOptions } from '../support/pods.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

/** A program that looks names up in its own way. */
export interface ResolverProgram {
  readonly name: string;
  /** What it is, with its version. */
  version(): Promise<string>;
  /** Looks names up in a pod, one after the other. @returns a line for each: the name and a few of its addresses, sorted */
  lookUp(pod: ClientPod, names: readonly string[]): Promise<readonly string[]>;
  /** How the resolv.conf of its pods differs from the usual one. */
  readonly resolver?: PodResolver;
  /** It asks for the targets of CNAMEs by itself, so what it asks for is not all that it was told to look up. */
  readonly asksForTargets?: true;
}

export type PodResolver = Pick<PodOptions, 'resolverOptions' | 'searchDomains'> & {
  /** More domains of the node before the usual one. */
  readonly nodeSearchDomains?: readonly string[];
  /** The cluster DNS stands twice in it. */
  readonly twoNameservers?: true;
};

export interface Candidate extends Pick<ResolverProgram, 'name' | 'resolver' | 'asksForTargets'> {
  /** Commands that the machine must have, and Python modules as `python3:MODULE`. */
  readonly needs: readonly string[];
  readonly version: () => Promise<string>;
  /** The command to which the names are appended; it prints a line for each: the name and its addresses. */
  readonly command: () => Promise<readonly string[]>;
}

const MACHINE = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
/** The first time, zig compiles the C library as well. */
const COMPILE_TIMEOUT_MS = 5 * 60_000;
/** Enough to tell what was found; `many.example.com` has sixty. */
const KEPT_ADDRESSES = 4;
export const PROGRAMS = join(ROOT, 'test', 'resolvers', 'programs');

export const CANDIDATES: readonly Candidate[] = [
  {
    name: 'glibc',
    needs: ['getent'],
    version: async () => firstLine('getent', '--version'),
    command: async () => forEachName(`getent ahosts "$name" | cut -d ' ' -f 1 | sort -u`),
  },
  {
    name: 'musl',
    needs: ['musl-gcc'],
    version: async () => {
      const said = await firstLine('sh', '-c', '/lib/ld-musl-*.so.1 2>&1 | grep Version');
      return `getaddrinfo of musl ${said.replace('Version ', '')}`;
    },
    command: async () => [await compile('musl-gcc')],
  },
  {
    name: 'musl-1.2.5',
    needs: ['zig'],
    version: async () => `getaddrinfo of musl 1.2.5, which zig ${await firstLine('zig', 'version')} brings`,
    command: async () => [await compile('zig', 'cc', '-target', `${MACHINE}-linux-musl`)],
  },
  {
    name: 'go',
    needs: ['go'],
    version: async () => {
      const said = await firstLine('go', 'version', await partPath('go-resolver'));
      return `pure resolver of ${said.split(': ').at(-1)}`;
    },
    command: async () => [await partPath('go-resolver')],
  },
  {
    name: 'c-ares',
    needs: [],
    version: async () => `dns.resolve4 and dns.resolve6 of Node ${process.version}, c-ares ${process.versions.ares}`,
    command: async () => [process.execPath, join(PROGRAMS, 'look-up.mjs'), 'resolve'],
  },
  {
    name: 'node-lookup',
    needs: [],
    version: async () => `dns.lookup of Node ${process.version}`,
    command: async () => [process.execPath, join(PROGRAMS, 'look-up.mjs'), 'lookup'],
  },
  {
    name: 'java',
    needs: ['javac'], // a runtime alone does not start from source
    version: async () => `InetAddress of ${await firstLine('java', '--version')}`,
    command: async () => ['java', join(PROGRAMS, 'LookUp.java')],
  },
  {
    name: 'busybox-nslookup',
    needs: ['busybox'],
    version: async () => `nslookup of ${await busyboxVersion('busybox')}`,
    command: async () =>
      forEachName(`busybox nslookup "$name" 2>&1 | sed -n '/^Name:/,$ s/^Address: *\\([^ ]*\\).*/\\1/p' | sort -u`),
  },
  {
    name: 'busybox-wget',
    needs: ['busybox'],
    version: async () => `wget of ${await busyboxVersion('busybox')}`,
    command: async () => forEachName(wgetWith('busybox')),
  },
  {
    name: 'busybox-musl',
    needs: ['busybox-musl'], // as Alpine has it; no package of Debian
    version: async () => `wget of ${await busyboxVersion('busybox-musl')} over musl 1.2.5`,
    command: async () => forEachName(wgetWith('busybox-musl')),
  },
];

/** The programs that this machine has, and the names of those that it has not, with what is missing. */
export async function findPrograms(candidates: readonly Candidate[] = CANDIDATES): Promise<{
  readonly programs: readonly ResolverProgram[];
  readonly missing: readonly string[];
}> {
  const programs: ResolverProgram[] = [];
  const missing: string[] = [];
  for (const candidate of candidates) {
    const lacking = await lackingOf(candidate.needs);
    if (lacking.length === 0) programs.push(program(candidate));
    else missing.push(`${candidate.name}: no ${lacking.join(', ')}`);
  }
  return { programs, missing };
}

async function lackingOf(commands: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await runCommand('sh', [
    '-c',
    `for name in "$@"; do
      case $name in
        python3:*) python3 -c "import \${name#*:}" ;;
        *) command -v "$name" ;;
      esac >/dev/null 2>&1 || echo "$name"
    done`,
    'sh',
    ...commands,
  ]);
  return stdout.split('\n').filter((line) => line !== '');
}

function program(candidate: Candidate): ResolverProgram {
  return {
    ...candidate,
    lookUp: async (pod, names) => {
      const [file = '', ...args] = await candidate.command();
      const { stdout } = await pod.exec(file, ...args, ...names);
      return stdout
        .split('\n')
        .filter((line) => line !== '')
        .map(sortAddresses);
    },
  };
}

function sortAddresses(line: string): string {
  const [name = '', ...addresses] = line.split(' ');
  return [name, ...[...new Set(addresses)].toSorted().slice(0, KEPT_ADDRESSES)].join(' ');
}

/** A shell that runs a command for each name and puts what it prints behind the name. */
export function forEachName(command: string): readonly string[] {
  return ['sh', '-c', `for name in "$@"; do echo "$name" $(${command}); done`, 'sh'];
}

export async function firstLine(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await runCommand(command, args);
  return stdout.split('\n')[0] ?? '';
}

async function busyboxVersion(command: string): Promise<string> {
  return (await firstLine(command)).replace(/ multi-call binary\.?$/, '');
}

/** It connects to the first address, to which there is no route. Debian's 1.35.0 does not survive any option. */
function wgetWith(busybox: string): string {
  return `${busybox} wget "http://$name/" 2>&1 | sed -n 's/^Connecting to .* (\\[*\\([^]]*\\)\\]*:80)$/\\1/p'`;
}

const compiled = new Map<string, Promise<string>>();

export async function compile(command: string, ...args: readonly string[]): Promise<string> {
  const program = compiled.get(command) ?? compileOnce(command, args);
  compiled.set(command, program);
  return program;
}

async function compileOnce(command: string, args: readonly string[]): Promise<string> {
  const file = createTemporaryDirectory().file('lookup');
  const options = { timeoutMs: COMPILE_TIMEOUT_MS };
  await runCommand(command, [...args, '-static', '-O2', '-o', file, join(PROGRAMS, 'lookup.c')], options);
  return file;
}
