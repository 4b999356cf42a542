import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FrameStreamFileWriter, Receiver } from 'dnstap-ts';
import { parse } from 'yaml';
import { startClusterDns, type ClusterDns } from '../support/cluster-dns.js';
import { ROOT } from '../support/command.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { createPodNetwork, type ClientPod, type PodNetwork } from '../support/pods.js';
import { runProgram, startProgram, type Program } from '../support/program.js';
import { startRedis, type Redis } from '../support/redis.js';
import { createOwner, createRunningPod } from '../support/running-pod.js';
import { INTERNET_NAMES, startSmallInternet, type SmallInternet } from '../support/small-internet.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

const directory = createTemporaryDirectory();
const TAP = directory.file('dnstap.sock');
const RECORDING_TAP = directory.file('recording.sock');
const CAPTURE = directory.file('coredns.fstrm');
const OBJECTS = directory.file('objects.json');

let server: KubeApiserver;
let network: PodNetwork;
let internet: SmallInternet;
let redis: Redis;
let collect: Program;
let reconcile: Program;
let dns: ClusterDns;
let recording: { stop(): Promise<void> };
const pods: Record<'web' | 'bank' | 'wild' | 'stranger', ClientPod> = Object.create(null) as typeof pods; // filled in beforeAll

beforeAll(async () => {
  [server, network, internet, redis] = await Promise.all([
    startKubeApiserver({ crds: 'istio-crds' }),
    createPodNetwork(),
    startSmallInternet(),
    startRedis(),
  ]);
  recording = await record(RECORDING_TAP, CAPTURE);
  collect = await startCollect();
  await createPods();
  dns = await startDns();
  reconcile = await startProgram('reconcile', ['--store', redis.url, '--kubeconfig', server.kubeconfigFile]);
}, 120_000);

afterAll(async () => recording.stop());

async function startCollect(): Promise<Program> {
  return startProgram('collect', ['--dnstap', `unix://${TAP}`, '--store', redis.url, '--observation-flush-ms', '200']);
}

async function startDns(): Promise<ClusterDns> {
  return startClusterDns({
    apiServer: server,
    upstream: internet.address,
    host: network.dnsAddress,
    port: 53,
    dnstap: `unix://${TAP}`,
    extraLines: [`dnstap unix://${RECORDING_TAP} full`],
  });
}

/** Keeps what CoreDNS sends to a second tap, as fstrm_capture would. */
async function record(socket: string, file: string): Promise<{ stop(): Promise<void> }> {
  const writer = await FrameStreamFileWriter.open(file);
  const receiver = new Receiver({
    endpoint: `unix://${socket}`,
    onFrame: (buffer, start, end) => void writer.write(buffer.subarray(start, end)),
  });
  await receiver.listen();
  return {
    stop: async () => {
      await receiver.close();
      await writer.close();
    },
  };
}

/** A Deployment's pod, a StatefulSet's pod, a pod behind a wildcard search domain, and a client that is no pod. */
async function createPods(): Promise<void> {
  for (const namespace of ['shop', 'bank', 'wild']) await server.kubectl(['create', 'namespace', namespace]);
  pods.web = await network.createPod({ name: 'web', namespace: 'shop' });
  pods.bank = await network.createPod({ name: 'ledger-0', namespace: 'bank' });
  pods.wild = await network.createPod({
    name: 'lost',
    namespace: 'wild',
    nodeSearchDomains: [INTERNET_NAMES.wildcardDomain],
  });
  pods.stranger = await network.createPod({ name: 'stranger', namespace: 'shop' });
  const web = await createOwner(server, { kind: 'Deployment', namespace: 'shop', name: 'web' });
  const webSet = await createOwner(server, {
    kind: 'ReplicaSet',
    namespace: 'shop',
    name: 'web-5d9c7b8f6d',
    owner: web,
  });
  const ledger = await createOwner(server, { kind: 'StatefulSet', namespace: 'bank', name: 'ledger' });
  await createRunningPod(server, {
    namespace: 'shop',
    name: 'web-5d9c7b8f6d-x2k4q',
    podIp: pods.web.podIp,
    ownerReferences: [webSet],
  });
  await createRunningPod(server, {
    namespace: 'bank',
    name: 'ledger-0',
    podIp: pods.bank.podIp,
    ownerReferences: [ledger],
  });
  await createRunningPod(server, { namespace: 'wild', name: 'lost', podIp: pods.wild.podIp });
}

/** `namespace/host` of every ServiceEntry, sorted. */
async function entriesInCluster(): Promise<string[]> {
  return (await serviceEntries()).map(({ metadata, spec }) => `${metadata.namespace}/${spec.hosts.join()}`).sort();
}

interface Entry {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: { readonly hosts: readonly string[] };
}

async function serviceEntries(): Promise<readonly Entry[]> {
  const list: { items: Entry[] } = JSON.parse(await server.kubectl(['get', 'serviceentries', '-A', '-o', 'json']));
  return list.items;
}

/** Looks names up one after the other by glibc's resolver; what does not exist is no error. */
async function lookUp(pod: ClientPod, names: readonly string[]): Promise<void> {
  for (const name of names) await pod.lookUp(name);
}

async function expectEntry(entry: string, acknowledged: readonly string[]): Promise<void> {
  await waitUntil(async () => (await entriesInCluster()).includes(entry), {
    what: entry,
    timeoutMs: 40_000,
    everyMs: 200,
  });
  expect(await entriesInCluster()).toEqual(expect.arrayContaining([...acknowledged]));
}

/** Names that must never become hosts, whatever asked for them. */
const NEVER = [
  ...INTERNET_NAMES.underscore,
  ...INTERNET_NAMES.nodata,
  ...INTERNET_NAMES.nxdomain,
  ...INTERNET_NAMES.dangling,
  'kubernetes.default.svc.cluster.local',
  'kubernetes.default',
  'localhost',
];

/** Questions that `getent` does not ask, by Node's c-ares. */
const OTHER_TYPES = `
  const dns = require('node:dns').promises;
  const ask = [
    dns.reverse('192.0.2.10'), dns.resolveSrv('_https._tcp.example.com'), dns.resolveMx('example.com'),
    dns.resolveTxt('text.example.com'), dns.resolve4('WWW.Example.COM'),
  ];
  Promise.allSettled(ask).then(() => {});
`;

describe('from look-ups in pods to ServiceEntries in the cluster', () => {
  it('learns every name that resolved, in the namespace of its client, and nothing else', async () => {
    await lookUp(pods.web, [...INTERNET_NAMES.resolving, ...NEVER]);
    await pods.web.exec(process.execPath, '-e', OTHER_TYPES);
    await lookUp(pods.bank, ['api.example.com', 'Mixed-Case.Example.com.', 'cdn.example.com', ...NEVER]);
    await lookUp(pods.wild, ['api.example.com', 'www.example.org.']);
    await lookUp(pods.stranger, ['www.example.net']);

    const expected = [
      ...INTERNET_NAMES.resolving.map((name) => `shop/${name}`),
      'bank/api.example.com',
      'bank/cdn.example.com',
      'bank/mixed-case.example.com',
      'default/www.example.net',
      'wild/www.example.org',
    ].sort();
    await waitUntil(async () => (await entriesInCluster()).length >= expected.length, {
      timeoutMs: 40_000,
      everyMs: 200,
      what: 'all entries',
    });
    expect(await entriesInCluster()).toEqual(expected);
  });

  it('attributes each look-up to its workload', async () => {
    const hosts: {
      hostname: string;
      state: string;
      workloads: { namespace: string; kind: string; name: string; attribution: string }[];
    }[] = JSON.parse((await runProgram('hosts', '--store', redis.url, '-o', 'json')).stdout);
    const usersOf = (hostname: string): string[] =>
      hosts
        .filter((host) => host.hostname === hostname)
        .flatMap(({ workloads }) =>
          workloads.map(({ namespace, kind, name, attribution }) => `${attribution} ${namespace}/${kind}/${name}`),
        );
    expect(usersOf('api.example.com')).toEqual(['exact bank/StatefulSet/ledger', 'exact shop/Deployment/web']);
    expect(usersOf('www.example.org')).toEqual(['exact shop/Deployment/web', 'exact wild/Pod/lost']);
    expect(usersOf('www.example.net')).toEqual([
      `unknown /Address/${pods.stranger.podIp}`,
      'exact shop/Deployment/web',
    ]);
    expect(new Set(hosts.map(({ state }) => state))).toEqual(new Set(['applied']));
  });

  it('says what it did not learn, by reason', async () => {
    // An empty answer counts once it is clear that the other address family has none either.
    const stdout = await waitUntil(
      async () => {
        const printed = (await runProgram('hosts', '--store', redis.url)).stdout;
        return printed.includes('no-address') ? printed : undefined;
      },
      { what: 'no-address', everyMs: 500 },
    );
    for (const reason of ['search-expansion', 'nxdomain', 'internal', 'no-address', 'underscore', 'record-type']) {
      expect(stdout).toMatch(new RegExp(`^${reason} +\\d+`, 'm'));
    }
  });
});

describe('the same capture replayed', () => {
  it('gives the same ServiceEntries as the cluster got, twice the same bytes', async () => {
    const kinds = 'pods,replicasets,deployments,statefulsets';
    writeFileSync(OBJECTS, await server.kubectl(['get', kinds, '-A', '-o', 'json']));
    await dns.stop(); // CoreDNS sends STOP, so the capture is whole
    await recording.stop();
    const output = directory.file('replayed');
    const replay = async (): Promise<string> => {
      const store = `embedded://${directory.file('replay-store')}`;
      return (
        await runProgram('run', '--once', '--read', CAPTURE, '--objects', OBJECTS, '--store', store, '--output', output)
      ).stdout;
    };
    const printed = await replay();
    const files = readdirSync(output).sort();
    const bytes = files.map((file) => readFileSync(join(output, file), 'utf8'));
    const specs = bytes
      .map((text) => parse(text) as Entry)
      .map(({ metadata, spec }) => ({ ...identity(metadata), spec }));
    const inCluster = (await serviceEntries()).map(({ metadata, spec }) => ({ ...identity(metadata), spec }));
    expect(sortEntries(specs)).toEqual(sortEntries(inCluster));

    expect(await replay()).toBe(printed);
    expect(
      readdirSync(output)
        .sort()
        .map((file) => readFileSync(join(output, file), 'utf8')),
    ).toEqual(bytes);
    if (process.env['RECORD_DATA'] === '1') keepAsDemo();
  });
});

const identity = ({ namespace, name }: Entry['metadata']): { namespace: string; name: string } => ({ namespace, name });
const sortEntries = <T extends Entry['metadata']>(entries: readonly T[]): readonly T[] =>
  entries.toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));

/** `RECORD_DATA=1`: what `make demo` replays is what this test recorded. */
function keepAsDemo(): void {
  const data = join(ROOT, 'test', 'data');
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'coredns.fstrm.gz'), gzipSync(readFileSync(CAPTURE), { level: 9 }));
  writeFileSync(join(data, 'coredns-objects.json.gz'), gzipSync(readFileSync(OBJECTS), { level: 9 }));
}

describe('a part that is killed in mid-stream', () => {
  let acknowledged: readonly string[] = [];

  beforeAll(async () => {
    recording = await record(RECORDING_TAP, directory.file('second.fstrm'));
    await dns.stop();
    dns = await startDns();
    acknowledged = await entriesInCluster();
  });

  it('collect: CoreDNS comes back to the new one', async () => {
    await collect.kill('SIGKILL');
    await lookUp(pods.bank, ['www.example.com']); // nobody listens: this one may be lost, DNS must work
    await collect.restart();
    await waitUntil(
      async () => {
        await lookUp(pods.bank, ['www.example.net']);
        return (await entriesInCluster()).includes('bank/www.example.net');
      },
      { what: 'bank/www.example.net', timeoutMs: 40_000, everyMs: 500 },
    );
    await expectEntry('bank/www.example.net', acknowledged);
  }, 60_000);

  it('Redis: what was acknowledged is there, what came meanwhile is recorded afterwards', async () => {
    await redis.kill('SIGKILL');
    await lookUp(pods.bank, ['end.example.org']);
    await redis.restart();
    await expectEntry('bank/end.example.org', acknowledged);
  }, 60_000);

  it('reconcile: the next one does what was left', async () => {
    await reconcile.kill('SIGKILL');
    await lookUp(pods.bank, ['edge.example.net']);
    await reconcile.restart();
    await expectEntry('bank/edge.example.net', acknowledged);
  }, 60_000);

  it('CoreDNS: the next one is heard', async () => {
    await dns.kill('SIGKILL');
    await dns.restart();
    await lookUp(pods.bank, ['mail.example.com']);
    await expectEntry('bank/mail.example.com', acknowledged);
  }, 60_000);
});
