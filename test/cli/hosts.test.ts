import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Hostname } from '../../src/dns/hostname.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { observation } from '../host/host-store.contract.js';
import { ROOT } from '../support/command.js';
import { runProgram, startProgram } from '../support/program.js';
import { startRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { outcome } from './outcome.js';

const DAY_MS = 86_400_000;
const directory = createTemporaryDirectory();

/** Three hosts: one of shop that is applied, one of bank that is old, one that nobody knows the user of. */
async function fill(store: HostStore, nowMs: number): Promise<void> {
  const at = (days: number): { firstObservedAtMs: number; lastObservedAtMs: number } => {
    const atMs = nowMs - days * DAY_MS;
    return { firstObservedAtMs: atMs, lastObservedAtMs: atMs };
  };
  const names = ['api.example.com', 'old.example.com', 'www.example.net'] as Hostname[]; // valid by hand
  const [api, old, www] = names as [Hostname, Hostname, Hostname];
  const slot = (days: number): number => Math.floor(at(days).firstObservedAtMs / 10_000) * 10_000;
  await store.record({
    source: 'test',
    sequence: 1,
    observations: [
      observation({ hostname: api, ...at(1) }),
      observation({ hostname: old, ...at(40), client: '10.244.0.8' }),
      observation({ hostname: www, ...at(0), client: '10.244.0.9' }),
    ],
    rejections: [{ reason: 'nxdomain', responses: 3, examples: ['missing.example.com'] }],
  });
  await store.attribute([
    {
      hostname: api,
      evidence: { client: '10.244.0.7', slotMs: slot(1) },
      workload: { namespace: 'shop', kind: 'Deployment', name: 'web' },
      attribution: 'exact',
    },
    {
      hostname: old,
      evidence: { client: '10.244.0.8', slotMs: slot(40) },
      workload: { namespace: 'bank', kind: 'StatefulSet', name: 'ledger' },
      attribution: 'exact',
    },
  ]);
  await store.transition([{ hostname: api, from: 'candidate', to: 'eligible', reason: 'stable', atMs: nowMs }]);
  await store.setFlags([{ hostname: www, flag: 'would-break', holds: true, atMs: nowMs }]);
}

const embedded = `embedded://${directory.file('hosts')}`;
let redis: string;

beforeAll(async () => {
  redis = (await startRedis()).url;
  for (const open of [() => openEmbeddedStore(directory.file('hosts')), async () => openRedisStore({ url: redis })]) {
    const store = await open();
    await fill(store, Date.now());
    await store.close();
  }
});

const names = async (url: string, ...args: readonly string[]): Promise<string[]> =>
  (await runProgram('hosts', '--store', url, '-o', 'name', ...args)).stdout.split('\n').slice(0, -1);

describe.each(['embedded', 'Redis'])('hosts of the %s store', (kind) => {
  const url = (): string => (kind === 'Redis' ? redis : embedded);

  it('prints the same as JSON and as YAML, and a table with what was not learnt', async () => {
    const json: unknown = JSON.parse((await runProgram('hosts', '--store', url(), '-o', 'json')).stdout);
    expect(parse((await runProgram('hosts', '--store', url(), '-o', 'yaml')).stdout)).toEqual(json);
    expect(json).toMatchObject([
      { hostname: 'api.example.com', state: 'eligible', flags: [] },
      {},
      { flags: ['would-break'] },
    ]);
    const { stdout } = await runProgram('hosts', '--store', url());
    expect(stdout).toMatch(/^api\.example\.com +shop\/Deployment\/web .* eligible +stable$/m);
    expect(stdout).toMatch(/^www\.example\.net .* candidate +positive-answer, would break$/m);
    expect(stdout).toMatch(/^nxdomain +3 +missing\.example\.com/m);
  });

  it('prints an empty list as one', async () => {
    for (const format of ['json', 'yaml']) {
      const { stdout } = await runProgram('hosts', '--store', url(), '-o', format, 'nothing.example.com');
      expect(stdout).toBe('[]\n');
    }
  });
});

describe('hosts of', () => {
  it.each([
    [[], ['api.example.com', 'old.example.com', 'www.example.net']],
    [['*.example.com'], ['api.example.com', 'old.example.com']],
    [
      ['WWW.example.net.', 'api.*'],
      ['api.example.com', 'www.example.net'],
    ],
    [['--namespace', 'shop'], ['api.example.com']],
    [['--workload', 'ledger'], ['old.example.com']],
    [['--workload', 'bank/statefulset/ledger'], ['old.example.com']],
    [['--workload', 'shop/StatefulSet/ledger'], []],
    [['--state', 'eligible,applied'], ['api.example.com']],
    [
      ['--seen-within', '36h'],
      ['api.example.com', 'www.example.net'],
    ],
    [['--unseen-for', '30d'], ['old.example.com']],
    [['--flag', 'would-break'], ['www.example.net']],
    [['--newer-than', '1h'], ['www.example.net']],
    [['--state', 'candidate', '--unseen-for', '12h'], ['old.example.com']],
  ])('%j', async (args, expected) => {
    expect(await names(redis, ...args)).toEqual(expected);
  });
});

it.each([
  ['a state that is none', ['--state', 'lerned']],
  ['an age without a unit', ['--unseen-for', '30']],
  ['a format that is none', ['-o', 'xml']],
])('hosts refuses %s with exit code 2', async (_, args) => {
  expect((await outcome('hosts', '--store', embedded, ...args)).code).toBe(2);
});

it('hosts ends quietly when its reader does', async () => {
  const store = await openEmbeddedStore(directory.file('many'));
  const hostnames = Array.from({ length: 5000 }, (_, index) => `h.d${index}.example` as Hostname); // valid by hand
  await store.record({
    source: 'test',
    sequence: 1,
    observations: hostnames.map((hostname) => observation({ hostname })),
    rejections: [],
  });
  await store.close();
  const args = [
    join(ROOT, 'dist', 'main.js'),
    'hosts',
    '-o',
    'json',
    '--store',
    `embedded://${directory.file('many')}`,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (text) => (errors += String(text)));
  child.stdout.once('data', () => child.stdout.destroy());
  const [code] = (await once(child, 'exit')) as [number];
  expect([code, errors]).toEqual([0, '']);
});

it('hosts reads the embedded store while run holds it, and after run was killed', async () => {
  const path = directory.file('held');
  const store = await openEmbeddedStore(path);
  await fill(store, Date.now());
  await store.close();
  const held = ['--store', `embedded://${path}`];
  const work = [
    '--dnstap',
    directory.file('dnstap.sock'),
    '--output',
    directory.file('out'),
    '--host-policy',
    'observe',
  ];
  const program = await startProgram('run', [...held, ...work]);
  expect(await names(`embedded://${path}`, '*.example.com')).toEqual(['api.example.com', 'old.example.com']);
  await program.kill('SIGKILL');
  expect(await names(`embedded://${path}`, '*.example.net')).toEqual(['www.example.net']);
});
