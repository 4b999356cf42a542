import { userInfo } from 'node:os';
import { PassThrough } from 'node:stream';
import { parse } from 'yaml';
import { approveCommand } from '../../src/cli/decide.js';
import type { Hostname } from '../../src/dns/hostname.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { openRedisStore } from '../../src/host/redis-store.js';
import { observation } from '../host/host-store.contract.js';
import { runProgram } from '../support/program.js';
import { startRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { outcome } from './outcome.js';

const HOUR_MS = 3_600_000;
const CONFLICT = 'shop.example.com→shop.example.com.corp.example.net(192.0.2.99)';
const directory = createTemporaryDirectory();
const URLS: Record<string, string> = { embedded: `embedded://${directory.file('store')}` };

async function fill(store: HostStore): Promise<void> {
  const atMs = Date.now() - HOUR_MS;
  const hostnames = ['api.example.com', 'www.example.com', 'www.example.net'] as Hostname[]; // valid by hand
  await store.record({
    source: 'collector',
    sequence: 1,
    observations: hostnames.map((hostname) =>
      observation({ hostname, cnames: ['edge.example.net'], firstObservedAtMs: atMs, lastObservedAtMs: atMs }),
    ),
    rejections: [
      { reason: 'nxdomain', responses: 3, examples: ['missing.example.com'] },
      { reason: 'search-conflict', responses: 1, examples: [CONFLICT] },
    ],
  });
  await store.reportSource({
    source: 'collector',
    kind: 'dnstap',
    name: 'collector-0',
    fromMs: atMs - HOUR_MS,
    untilMs: Date.now() + HOUR_MS, // alive for as long as these tests may take
    connections: 2,
    lost: 7,
  });
  await store.setFlags([{ hostname: 'www.example.net' as Hostname, flag: 'would-break', holds: true, atMs }]); // as above
  await store.recordBlindWindow({
    source: 'collector',
    reason: 'not-connected',
    fromMs: atMs,
    untilMs: atMs + HOUR_MS / 2,
  });
  await store.close();
}

beforeAll(async () => {
  URLS['Redis'] = (await startRedis()).url;
  await fill(await openEmbeddedStore(directory.file('store')));
  await fill(openRedisStore({ url: URLS['Redis'] }));
});

describe.each(['embedded', 'Redis'])('with the %s store', (kind) => {
  const run = (...args: readonly string[]) => outcome(...args, '--store', URLS[kind] ?? '');
  const open = async (): Promise<HostStore> =>
    kind === 'embedded' ? openEmbeddedStore(directory.file('store')) : openRedisStore({ url: URLS['Redis'] ?? '' });

  it('approve and ignore decide, explain tells who and why, and unignore is the way back', async () => {
    expect(await run('approve', 'api.example.com', '--why', 'payment provider')).toEqual({
      code: 0,
      text: 'api.example.com: candidate → approved\n',
    });
    expect((await run('ignore', 'WWW.example.com.', '--by', 'alice')).text).toContain('candidate → ignored');
    expect((await run('hosts', '-o', 'name', '--state', 'approved')).text).toBe('api.example.com\n');
    const { text } = await run('explain', 'api.example.com');
    expect(text).toMatch(/^api\.example\.com is approved since /);
    expect(text).toContain(`${userInfo().username} approved it: payment provider`);
    expect(text).toContain('An alias: edge.example.net.');
    expect(text).toMatch(/^ {2}Silent for 1 hour; during 3\d minutes of that somebody watched/m);
    expect(text).toContain('no DNS server was connected');
    expect((await run('explain', 'www.example.com')).text).toContain('alice said to ignore it.');
    expect((await run('explain', 'www.example.net')).text).toContain('with egress closed it would break');
    expect((await run('unignore', 'www.example.com')).text).toContain('ignored → candidate');
  });

  it('decides what it can and fails for the rest', async () => {
    const { code, text } = await run('approve', 'unknown.example.com', '*.co.uk', 'under_score', 'www.example.net');
    expect(code).toBe(1);
    for (const name of ['unknown.example.com', '*.co.uk', 'under_score']) expect(text).toContain(`: ${name}: `);
    expect(text).toContain('www.example.net: candidate → approved');
  });

  it('says what approving a wildcard opens before anything is stored, and takes --yes for an answer', async () => {
    const unasked = await run('approve', '*.example.com');
    expect(unasked.code).toBe(1);
    expect(unasked.text).toContain('newly opens 1 known host: www.example.com');
    expect((await run('hosts', '*.example.com', '-o', 'name')).text).not.toContain('*.example.com');
    const { code, text } = await run('approve', '*.example.com', '--yes');
    expect(code).toBe(0);
    expect(text).toContain('newly opens 1 known host: www.example.com');
    expect(text).toContain('*.example.com: new → approved');
    expect((await run('explain', '*.example.com')).text).toContain('newly opens 1 known host: www.example.com');
  });

  it('says what the rule of a wildcard opens before it is added, and adds none with --dry-run', async () => {
    const opens = 'newly opens 1 known host: www.example.com';
    const would = await run('rules', 'add', 'wildcard', '*.example.com', '--dry-run');
    expect(would).toMatchObject({ code: 0, text: expect.stringContaining(opens) });
    expect(would.text).toContain('would be added: wildcard *.example.com');
    expect((await run('rules')).text).toBe('No rules.\n');
    const added = await run('rules', 'add', 'wildcard', '*.example.com');
    expect(added).toMatchObject({ code: 0, text: expect.stringContaining(opens) });
    expect((await run('rules', 'add', 'wildcard *.example.com', '--dry-run')).text).toContain('there already');
    expect((await run('rules', 'remove', '1')).code).toBe(0);
  });

  it('rules are added, listed in their order, apply to explain, and are removed', async () => {
    expect((await run('rules', 'add', 'allow', '*.example.com')).code).toBe(0);
    expect((await run('rules', 'add', 'ignore bad.example.com', '--at', '1')).code).toBe(0);
    expect((await run('rules', 'add', 'allow', '*.example.com')).text).toContain('there already');
    expect((await run('rules', 'list', '-o', 'name')).text).toBe('ignore bad.example.com\nallow *.example.com\n');
    const listed: unknown = JSON.parse((await run('rules', '-o', 'json', '--rule', 'allow a.example.org')).text);
    expect(listed).toMatchObject([{ number: 1, from: 'store' }, { number: 2 }, { number: null, from: 'settings' }]);
    expect((await run('explain', 'www.example.com')).text).toContain('allow *.example.com (of the store;');
    expect((await run('rules', 'remove', 'ignore', 'bad.example.com')).code).toBe(0);
    expect((await run('rules', 'remove', '1')).text).toContain('removed: allow *.example.com');
    expect((await run('rules')).text).toBe('No rules.\n');
    expect((await run('rules', 'remove', '1')).code).toBe(1);
    expect((await run('rules', 'add', 'permit', 'x.example.com')).code).toBe(2);
  });

  it('status tells of sources, drops, blind windows, what was not learnt, and the store', async () => {
    const { text } = await run('status');
    expect(text).toContain(`The store (${kind.toLowerCase()}, schema`);
    expect(text).toMatch(/^Hosts: \d candidate/m);
    expect(text).toContain('1 host in use would break with egress closed');
    expect(text).toContain('Whether the cluster takes ServiceEntries is not known');
    expect(text).toMatch(/^collector-0 +dnstap +alive .* 2 +1 +0 +7$/m);
    expect(text).toMatch(/^collector-0 .* 30 minutes +no DNS server was connected$/m);
    expect(text).toMatch(/^nxdomain +3 /m);
    const yaml: unknown = parse((await run('status', '-o', 'yaml')).text);
    expect(yaml).toEqual({
      ...(JSON.parse((await run('status', '-o', 'json')).text) as object),
      store: expect.anything(),
    });
  });

  it('status tells which ServiceEntries are to go, and what they wait for', async () => {
    const store = await open();
    const common = { namespace: 'shop', reason: 'host-unwanted' };
    const nowMs = Date.now();
    await store.awaitDeletions([
      { ...common, name: 'learned-a', sinceMs: nowMs - 600_000, plans: 3 },
      { ...common, name: 'learned-b', sinceMs: nowMs - 600_000, plans: 1 },
      { ...common, name: 'learned-c', sinceMs: nowMs, plans: 1 },
    ]);
    await store.close();
    const { text } = await run('status', '--reconcile-max-deletions', '0');
    expect(text).toMatch(/^shop\/learned-a +host-unwanted +\S+ \S+ +due$/m);
    expect(text).toMatch(/^shop\/learned-b +.* 2 runs$/m);
    expect(text).toMatch(/^shop\/learned-c +.* 4 minutes, 2 runs$/m);
    expect(text).toMatch(/^1 are due, more than the 0 of a run/m);
    const { deletions } = JSON.parse((await run('status', '-o', 'json')).text) as { deletions: readonly object[] };
    expect(deletions).toMatchObject([
      { name: 'learned-a', is: 'due', runsLeft: 0, since: new Date(nowMs - 600_000).toISOString() },
      { name: 'learned-b', is: 'waiting', runsLeft: 2, dueAt: new Date(nowMs - 300_000).toISOString() },
      { name: 'learned-c', is: 'waiting', runsLeft: 2, dueAt: new Date(nowMs + 300_000).toISOString() },
    ]);
  });

  it('status tells which namespaces are covered, and what is not seen with that', async () => {
    const flags = ['--kubernetes-namespaces', 'shop', '--kubernetes-namespaces', 'web'];
    const { text } = await run('status', ...flags);
    expect(text).toContain('Only these namespaces are covered: shop, web.\n  Not seen: ');
    expect(JSON.parse((await run('status', '-o', 'json', ...flags)).text)).toMatchObject({
      coverage: { namespaces: ['shop', 'web'], unseen: ['pods-elsewhere', 'exports-from-elsewhere', 'namespaces'] },
    });
    expect(JSON.parse((await run('status', '-o', 'json')).text)).not.toHaveProperty('coverage');
  });
});

it.each([
  ['y', 'approved', 'newly opens'],
  ['', undefined, 'newly opens'],
])('at a terminal it asks, and %j approves a wildcard or does not', async (answer, state, said) => {
  const path = `embedded://${createTemporaryDirectory().file('store')}`;
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const stdin = Object.assign(streams.stdin, { isTTY: true });
  const stderr = streams.stderr as unknown as NodeJS.WriteStream; // of which it uses what every stream has
  stdin.write(`${answer}\n`);
  const deciding = approveCommand({ ...streams, stdin, stderr }).parseAsync(['*.example.com', '--store', path], {
    from: 'user',
  });
  await deciding.catch((err: unknown) => expect(err).toMatchObject({ exitCode: 1 }));
  expect(String(streams.stdout.read())).toContain(said);
  const store = await openEmbeddedStore(path.slice('embedded://'.length));
  expect((await store.get('*.example.com' as Hostname))?.state).toBe(state); // as records of wildcards are named
  await store.close();
});

describe('explain', () => {
  it.each([
    ['missing.example.com', 0, 'nxdomain'],
    ['under_score.example.com', 0, 'underscore'],
    ['redis.shop.svc.cluster.local', 0, 'internal'],
    ['shop.example.com', 0, CONFLICT],
    ['shop.example.com.corp.example.net', 0, CONFLICT],
    ['never.example.org', 1, 'No answer with an address'],
  ])('says why %s is no host', async (name, code, reason) => {
    const explained = await outcome('explain', name, '--store', URLS['Redis'] ?? '');
    expect(explained.code).toBe(code);
    expect(explained.text).toContain(reason);
  });
});

it('commands that need the store fail with its code when it is away', async () => {
  for (const args of [
    ['status'],
    ['hosts'],
    ['explain', 'www.example.com'],
    ['approve', 'www.example.com'],
    ['rules'],
  ]) {
    const { code, text } = await outcome(...args, '--store', 'redis://127.0.0.1:1');
    expect([code, text]).toEqual([1, expect.stringContaining('HOST_STORE_UNAVAILABLE')]);
  }
});

it('each command has its help', async () => {
  for (const name of ['explain', 'approve', 'ignore', 'unignore', 'rules', 'status']) {
    expect((await runProgram(name, '--help')).stdout).toContain(`Usage: istio-discovery ${name}`);
  }
});
