import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createDeploy,
  createShell,
  knownUses,
  kubeSystemObjects,
  runInstalled,
  serviceEntries,
  startClusterWithClients,
} from './installed-cluster.js';
import { type KillMoment, startKillingProxy } from './killing-proxy.js';
import { type Prober, startProber } from './prober.js';
import { commandsOf, needsPods } from '../docs/documented-commands.js';
import { ROOT } from '../support/command.js';
import type { OneNodeCluster } from '../support/one-node-cluster.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

const START_TIMEOUT_MS = 600_000; // the images may have to be built first
const STEP_TIMEOUT_MS = 300_000;

let cluster: OneNodeCluster;
let deploy: Awaited<ReturnType<typeof createDeploy>>;
let prober: Prober;
let before: readonly object[];

beforeAll(async () => {
  cluster = await startClusterWithClients();
  deploy = await createDeploy(cluster);
  before = await kubeSystemObjects(cluster);
  prober = await startProber(cluster);
}, START_TIMEOUT_MS);

async function corefile(): Promise<string> {
  return cluster.kubectl(['-n', 'kube-system', 'get', 'configmap', 'coredns', '-o', 'jsonpath={.data.Corefile}']);
}

/** A host that nobody has asked for yet becomes a ServiceEntry once the Deployment `web` asks. */
async function expectToLearn(host: string): Promise<void> {
  await waitUntil(
    async () => {
      // Again and again: what is asked while nobody listens is not learnt.
      await cluster.kubectl(['-n', 'shop', 'exec', 'deployment/web', '--', 'getent', 'ahosts', host]);
      return (await serviceEntries(cluster)).includes(`shop/${host}`);
    },
    { what: `the ServiceEntry of ${host}`, timeoutMs: 60_000, everyMs: 500 },
  );
  expect(await serviceEntries(cluster)).toContain(`shop/${host}`);
}

/** Every look-up since a time was answered, and none took a second. */
async function expectNoLookupLost(sinceMs: number): Promise<void> {
  const probes = await waitUntil(
    async () => {
      const since = (await prober.probes()).filter(({ atMs }) => atMs >= sinceMs);
      return since.length > 200 && since; // ten seconds' worth
    },
    { what: 'look-ups', everyMs: 500 },
  );
  expect(probes.filter(({ error, tookMs, stalledMs }) => error !== undefined || tookMs - stalledMs > 1000)).toEqual([]);
}

describe('an installer that is killed', () => {
  const NO_MORE = 'no change was left to make';
  let run: (command: 'install' | 'uninstall', moment: KillMoment) => Promise<string>;

  beforeAll(async () => {
    await deploy('--set', 'clusterDns.configure=false');
    const { apiServer, node } = cluster;
    const proxy = await startKillingProxy(apiServer, node.hostAddress);
    const kubeconfig = createTemporaryDirectory().file('kubeconfig');
    const user = { name: 'administrator', user: { token: apiServer.token } };
    const context = { name: 'proxy', context: { cluster: 'proxy', user: user.name } };
    const clusters = [{ name: 'proxy', cluster: { server: proxy.url, 'insecure-skip-tls-verify': true } }];
    const text = { apiVersion: 'v1', kind: 'Config', clusters, users: [user], contexts: [context] };
    writeFileSync(kubeconfig, JSON.stringify({ ...text, 'current-context': 'proxy' }));
    run = async (command, moment) => {
      const [enter = '', ...namespaces] = node.enter;
      const program = [process.execPath, join(ROOT, 'dist/main.js'), command];
      const settings = [`--kubeconfig=${kubeconfig}`, '--namespace=istio-discovery'];
      const child = spawn(enter, [...namespaces, ...program, ...settings], { detached: true, stdio: 'ignore' });
      let outcome = NO_MORE;
      proxy.arm(moment, () => {
        outcome = `killed ${moment} a change`;
        process.kill(-(child.pid ?? 0), 'SIGKILL');
      });
      const [status] = (await once(child, 'exit')) as [number | null];
      return outcome === NO_MORE && status !== 0 ? `status ${status}` : outcome;
    };
  }, STEP_TIMEOUT_MS);

  /** Kills it before and after each change that it makes, and lets it go on each time; how often it was killed. */
  async function runToTheEnd(command: 'install' | 'uninstall'): Promise<number> {
    for (let kills = 0; kills < 20; kills += 1) {
      const moment = kills % 2 === 0 ? 'before' : 'after';
      const outcome = await run(command, moment);
      if (outcome === NO_MORE) return kills;
      expect(outcome).toBe(`killed ${moment} a change`);
    }
    throw new Error(`${command} never comes to its end`);
  }

  it(
    'goes on where it was, before and after each of its changes',
    async () => {
      expect(await runToTheEnd('install')).toBe(6); // the record, the Corefile, the record that it is verified
      expect(await corefile()).toContain('dnstap tcp://');
      await expectToLearn('www.example.org');
    },
    STEP_TIMEOUT_MS,
  );

  it(
    'puts back what was there, also in pieces',
    async () => {
      expect(await runToTheEnd('uninstall')).toBe(4); // the Corefile, the record
      expect(await kubeSystemObjects(cluster)).toEqual(before);
    },
    STEP_TIMEOUT_MS,
  );

  it('loses no look-up', async () => {
    await expectNoLookupLost(0);
  });
});

const ours = 'istio-discovery';

describe.each(['collector', 'sidecar'] as const)('in mode %s', (mode) => {
  let sinceMs = 0;

  beforeAll(async () => {
    await cluster.kubectl(['delete', 'serviceentries', '-A', '--all']);
    sinceMs = Date.now();
    await deploy('--mode', mode);
  }, STEP_TIMEOUT_MS);

  it('writes the ServiceEntry of each host into the namespace of the workload that asked for it', async () => {
    const expected = [
      'bank/api.example.com',
      'press/cdn.example.com',
      'prober/www.example.net',
      'shop/www.example.com',
    ];
    const entries = async (): Promise<readonly string[]> =>
      (await serviceEntries(cluster)).filter((entry) => expected.includes(entry));
    await waitUntil(async () => (await entries()).length >= expected.length, {
      what: 'the ServiceEntries',
      timeoutMs: 90_000, // a CronJob starts at the full minute
      everyMs: 500,
    });
    expect(await entries()).toEqual(expected);
    // What was looked up a moment ago is known by its address at first.
    await waitUntil(async () => !(await knownUses(cluster)).some((use) => use.includes('/Address/')), { everyMs: 500 });
    expect(await knownUses(cluster)).toEqual(
      expect.arrayContaining([
        'bank/StatefulSet/ledger api.example.com',
        'press/CronJob/edition cdn.example.com',
        'prober/Pod/prober www.example.net',
        'shop/Deployment/web www.example.com',
      ]),
    );
  });

  it('has lost no look-up', async () => {
    await expectNoLookupLost(sinceMs);
  });

  // What Redis is does not depend on the mode.
  if (mode === 'collector') {
    it('puts back what Redis held, by the commands of the operations page', async () => {
      const commands = commandsOf('deploy/OPERATIONS.md').filter(needsPods);
      const isRestore = (command: string): boolean => !command.includes('/data/dump.rdb'); // the others make the copy
      const run = await createShell(cluster);
      const rules = async (...args: readonly string[]): Promise<string> => runInstalled(cluster, ['rules', ...args]);
      await rules('add', 'ignore', 'kept.example.com');
      for (const command of commands.filter((each) => !isRestore(each))) await run(command);
      await rules('remove', 'ignore', 'kept.example.com');
      await rules('add', 'ignore', 'later.example.com');
      for (const command of commands.filter(isRestore)) await run(command);
      await cluster.kubectl(['-n', ours, 'rollout', 'status', 'statefulset/istio-discovery-redis', '--timeout=60s']);
      const listed = await waitUntil(async () => rules('list', '-o', 'name'), { what: 'Redis', everyMs: 500 });
      expect(listed).toBe('ignore kept.example.com\n');
    });
  }

  it.each([
    ['each of our pods', 'mail.example.com', async () => kill(ours, '--all')],
    ['a CoreDNS pod', 'end.example.org', async () => kill('kube-system', await aCoreDnsPod())],
    ['the kubelet', 'edge.example.net', async () => restart(cluster.kubelet)],
    ['the API server', 'https.example.com', async () => restart(cluster.apiServer)],
  ])(
    'goes on learning when %s is killed',
    async (_, host, killIt) => {
      await killIt();
      await expectToLearn(host);
    },
    STEP_TIMEOUT_MS,
  );

  async function kill(namespace: string, pods: string): Promise<void> {
    await cluster.kubectl(['-n', namespace, 'delete', 'pod', pods, '--grace-period=0', '--force']);
  }

  async function aCoreDnsPod(): Promise<string> {
    const at = ['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=kube-dns'];
    return cluster.kubectl([...at, '-o', 'jsonpath={.items[0].metadata.name}']);
  }

  async function restart(part: OneNodeCluster['kubelet']): Promise<void> {
    await part.kill('SIGKILL');
    await part.restart();
  }

  it(
    'leaves kube-system as it was, and loses no look-up',
    async () => {
      sinceMs = Date.now();
      await deploy('--uninstall');
      expect(await kubeSystemObjects(cluster)).toEqual(before);
      await expectNoLookupLost(sinceMs);
    },
    STEP_TIMEOUT_MS,
  );
});
