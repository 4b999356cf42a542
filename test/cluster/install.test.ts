import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
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
import { onReusedPorts, type Prober, startProber } from './prober.js';
import { commandsOf, needsPods } from '../docs/documented-commands.js';
import { ROOT } from '../support/command.js';
import { IMAGES } from '../support/container-images.js';
import type { OneNodeCluster } from '../support/one-node-cluster.js';
import { runProgram } from '../support/program.js';
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

/** A container that keeps what it learns to itself. */
const SIDECAR = {
  container: {
    image: IMAGES['istio-discovery'],
    args: [
      'collect',
      '--dnstap=unix:///run/istio-discovery/dnstap.sock',
      '--http-address=:8054',
      '--store=embedded:///store/hosts',
    ],
    startupProbe: { httpGet: { path: '/livez', port: 8054 }, periodSeconds: 1, failureThreshold: 60 },
    volumeMounts: [{ name: 'istio-discovery-store', mountPath: '/store' }],
  },
  volumes: [{ name: 'istio-discovery-store', emptyDir: {} }],
};

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

/**
 * Who was there when pods of CoreDNS were replaced: the installer, who hands each over, or for a while nobody but Kubernetes,
 * which sends a port used before to a pod that has stopped (`src/install/hand-over.ts`), with us or without us.
 */
type Replacement = 'handed over' | 'by Kubernetes alone';

/** Every look-up since a time was answered, and none took a second. */
async function expectNoLookupLost(sinceMs: number, replacement: Replacement): Promise<void> {
  const probes = await waitUntil(
    async () => {
      const all = await prober.probes();
      return all.filter(({ atMs }) => atMs >= sinceMs).length > 200 && all; // ten seconds' worth
    },
    { what: 'look-ups', everyMs: 500 },
  );
  const excused = replacement === 'handed over' ? new Set() : onReusedPorts(probes);
  const lost = probes.filter(({ error, tookMs, stalledMs }) => error !== undefined || tookMs - stalledMs > 1000);
  expect(lost.filter((probe) => probe.atMs >= sinceMs && !excused.has(probe))).toEqual([]);
}

describe('an installer that is killed', () => {
  const NO_MORE = 'no change was left to make';
  let run: (command: readonly string[], moment?: KillMoment) => Promise<string>;

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
      const program = [process.execPath, join(ROOT, 'dist/main.js'), ...command];
      const settings = [`--kubeconfig=${kubeconfig}`, '--namespace=istio-discovery'];
      const child = spawn(enter, [...namespaces, ...program, ...settings], { detached: true, stdio: 'ignore' });
      let outcome = NO_MORE;
      if (moment !== undefined) {
        proxy.arm(moment, () => {
          outcome = `killed ${moment} a change`;
          process.kill(-(child.pid ?? 0), 'SIGKILL');
        });
      }
      const [status] = (await once(child, 'exit')) as [number | null];
      proxy.disarm();
      return outcome === NO_MORE && status !== 0 ? `status ${status}` : outcome;
    };
  }, STEP_TIMEOUT_MS);

  /** Kills it before and after each change that it makes, and lets it go on each time; how often it was killed. */
  async function runToTheEnd(...command: readonly string[]): Promise<number> {
    for (let kills = 0; kills < 20; kills += 1) {
      const moment = kills % 2 === 0 ? 'before' : 'after';
      const outcome = await run(command, moment);
      if (outcome === NO_MORE) return kills;
      expect(outcome).toBe(`killed ${moment} a change`);
    }
    throw new Error(`${command.join(' ')} never comes to its end`);
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
      expect(await runToTheEnd('uninstall')).toBe(6); // that the record is closed, the Corefile, the record
      expect(await kubeSystemObjects(cluster)).toEqual(before);
    },
    STEP_TIMEOUT_MS,
  );

  it(
    'does both with a sidecar as well',
    async () => {
      const sidecar = createTemporaryDirectory().file('sidecar.json');
      writeFileSync(sidecar, JSON.stringify(SIDECAR));
      // The record, the Deployment, the Corefile, the record that it is verified; and each pod that is handed over in time.
      const kills = await runToTheEnd('install', '--mode=sidecar', `--install-sidecar=${sidecar}`);
      expect(kills).toBeGreaterThanOrEqual(8);
      expect(await corefile()).toContain('dnstap unix://');
      expect(await runToTheEnd('uninstall')).toBeGreaterThanOrEqual(6); // the Corefile, the Deployment, the record; pods
      expect(await kubeSystemObjects(cluster)).toEqual(before);
    },
    STEP_TIMEOUT_MS,
  );

  it(
    'puts everything back when its sidecar cannot start, and exits with 3',
    async () => {
      const sidecar = createTemporaryDirectory().file('sidecar.json');
      const container = { ...SIDECAR.container, image: 'localhost/missing:1', imagePullPolicy: 'Never' };
      writeFileSync(sidecar, JSON.stringify({ ...SIDECAR, container }));
      const settings = ['--mode=sidecar', `--install-sidecar=${sidecar}`, '--install-timeout-seconds=10'];
      expect(await run(['install', ...settings])).toBe('status 3');
      const isBack = async (): Promise<boolean> => isDeepStrictEqual(await kubeSystemObjects(cluster), before);
      await waitUntil(isBack, { what: 'that kube-system is as it was', everyMs: 500 });
    },
    STEP_TIMEOUT_MS,
  );

  it('loses no look-up', async () => {
    await expectNoLookupLost(0, 'by Kubernetes alone');
  });
});

const ours = 'istio-discovery';
const RECORD = 'istio-discovery-cluster-dns';
const REPAIR = 'istio-discovery-repair';

describe.each(['collector', 'sidecar'] as const)('in mode %s', (mode) => {
  let sinceMs = 0;

  beforeAll(async () => {
    await cluster.kubectl(['delete', 'serviceentries', '-A', '--all']);
    sinceMs = Date.now();
    const deploying = mode === 'collector' ? deploy('--set', 'clusterDns.repair=true') : deploy('--mode', mode);
    if (mode === 'sidecar') await killInstallJob();
    await deploying;
    // So that a full minute comes while other tests run.
    if (mode === 'collector') await patchRepair({ schedule: '* * * * *' });
  }, STEP_TIMEOUT_MS);

  /** Once it is at work, which its record shows. */
  async function killInstallJob(): Promise<void> {
    const path = '{.data.record\\.json}';
    await waitUntil(async () => (await read('configmap', RECORD, path)).includes('"verified": false'), {
      what: 'the installer at work',
      timeoutMs: STEP_TIMEOUT_MS,
      everyMs: 100,
    });
    const pods = ['-l', 'app.kubernetes.io/component=installer'];
    const deletion = ['delete', 'pods', ...pods, '--grace-period=0', '--force'];
    expect(await cluster.kubectl(['-n', ours, ...deletion])).toContain('deleted');
  }

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
    // In mode collector no pod is replaced; in mode sidecar some are while the Job that was killed starts again.
    await expectNoLookupLost(sinceMs, mode === 'collector' ? 'handed over' : 'by Kubernetes alone');
  });

  async function patchRepair(spec: object): Promise<void> {
    const patch = ['--type=merge', '-p', JSON.stringify({ spec })];
    await cluster.kubectl(['-n', ours, 'patch', 'cronjob', REPAIR, ...patch]);
  }

  async function read(kind: string, name: string, path: string): Promise<string> {
    return cluster.kubectl(['-n', ours, 'get', kind, name, '-o', `jsonpath=${path}`]);
  }

  /** What `status` says of the cluster DNS. */
  async function clusterDns(): Promise<unknown> {
    return (JSON.parse(await runInstalled(cluster, ['status', '-o', 'json'])) as { clusterDns: unknown }).clusterDns;
  }

  /** As the CronJob does by its schedule. */
  async function repairNow(name: string): Promise<void> {
    const job = `${REPAIR}-${name}`;
    await cluster.kubectl(['-n', ours, 'create', 'job', job, `--from=cronjob/${REPAIR}`]);
    await cluster.kubectl(['-n', ours, 'wait', '--for=condition=Complete', `job/${job}`, '--timeout=120s']);
  }

  /** So many attempts were made, the last one long ago. */
  async function pretendAttempts(attempts: number): Promise<void> {
    const record = JSON.parse(await read('configmap', RECORD, '{.data.record\\.json}')) as object;
    const repairs = { attempts, lastAtMs: Date.now() - 86_400_000 / 2 };
    const patch = JSON.stringify({ data: { 'record.json': JSON.stringify({ ...record, repairs }) } });
    await cluster.kubectl(['-n', ours, 'patch', 'configmap', RECORD, '--type=merge', '-p', patch]);
  }

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

  const [whatHappens, thenLearns, happen] =
    mode === 'collector'
      ? (['CoreDNS is rolled out in another version', 'version.wild.example.org', rollOutAnotherVersion] as const)
      : (['a value is changed by helm upgrade', 'upgrade.wild.example.org', changeValue] as const);

  it(
    `loses no look-up, and goes on learning, when ${whatHappens}`,
    async () => {
      const startedMs = Date.now();
      await happen();
      await expectToLearn(thenLearns);
      await expectNoLookupLost(startedMs, mode === 'sidecar' ? 'handed over' : 'by Kubernetes alone');
    },
    STEP_TIMEOUT_MS,
  );

  async function rollOutAnotherVersion(): Promise<void> {
    await setImage(IMAGES.coredns);
    await cluster.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=120s']);
  }

  async function setImage(image: string): Promise<void> {
    await cluster.kubectl(['-n', 'kube-system', 'set', 'image', 'deployment/coredns', `coredns=${image}`]);
  }

  async function changeValue(): Promise<void> {
    await deploy('--mode', mode, '--set', 'sidecar.resources.requests.cpu=20m');
    const path = '{.spec.template.spec.initContainers[0].resources.requests.cpu}';
    const at = ['-n', 'kube-system', 'get', 'deployment', 'coredns'];
    expect(await cluster.kubectl([...at, '-o', `jsonpath=${path}`])).toBe('20m');
  }

  if (mode === 'collector') {
    it(
      'is put back by its CronJob when somebody has taken the line out, until that has given up',
      async () => {
        const startedMs = Date.now();
        await waitUntil(async () => (await read('cronjob', REPAIR, '{.status.lastSuccessfulTime}')) !== '', {
          what: 'a run by its schedule, which found nothing to do',
          timeoutMs: 90_000,
          everyMs: 500,
        });
        await patchRepair({ suspend: true });
        const tapped = await corefile();
        const bare = await read('configmap', RECORD, '{.data.Corefile}');
        await writeCorefile(bare);
        expect(await clusterDns()).toMatchObject({ state: 'drifted', drifts: ['corefile'] });
        await repairNow('first');
        expect(await corefile()).toBe(tapped);
        expect(await clusterDns()).toMatchObject({ state: 'intact', repairs: { attempts: 1, givenUp: false } });
        await writeCorefile(bare);
        await pretendAttempts(4);
        await repairNow('last');
        expect(await corefile()).toBe(tapped);
        await writeCorefile(bare);
        await pretendAttempts(5);
        await repairNow('none');
        expect(await corefile()).toBe(bare);
        expect(await clusterDns()).toMatchObject({ state: 'drifted', repairs: { attempts: 5, givenUp: true } });
        await writeCorefile(tapped);
        await expectToLearn('repaired.wild.example.org');
        await expectNoLookupLost(startedMs, 'handed over'); // and no pod was replaced
      },
      STEP_TIMEOUT_MS,
    );
  }

  it(
    'goes on learning when a Corefile with a mistake is saved, which doctor tells',
    async () => {
      const good = await corefile();
      await writeCorefile(good.replace('errors', 'errors }'));
      await waitUntil(async () => (await dnsLogs()).includes('parse failed'), { timeoutMs: 60_000, everyMs: 500 });
      await expectToLearn(`mistake-${mode}.wild.example.org`);
      const { kubeconfigFile } = cluster.apiServer;
      const doctor = runProgram('doctor', '--kubeconfig', kubeconfigFile, '-n', ours, '-o', 'json');
      await expect(doctor).rejects.toMatchObject({ message: expect.stringContaining('"corefile-refused"') });
      await writeCorefile(good);
    },
    STEP_TIMEOUT_MS,
  );

  async function writeCorefile(text: string): Promise<void> {
    const patch = ['--type=merge', '-p', JSON.stringify({ data: { Corefile: text } })];
    await cluster.kubectl(['-n', 'kube-system', 'patch', 'configmap', 'coredns', ...patch]);
  }

  async function dnsLogs(): Promise<string> {
    return cluster.kubectl(['-n', 'kube-system', 'logs', '-l', 'k8s-app=kube-dns', '-c', 'coredns', '--tail=20']);
  }

  it(
    'leaves kube-system as it was, and loses no look-up',
    async () => {
      sinceMs = Date.now();
      if (mode === 'collector') await setImage(IMAGES['coredns-1.11']); // the removal waits for the rollout
      await deploy('--uninstall');
      expect(await kubeSystemObjects(cluster)).toEqual(before);
      await expectNoLookupLost(sinceMs, mode === 'sidecar' ? 'handed over' : 'by Kubernetes alone');
    },
    STEP_TIMEOUT_MS,
  );
});
