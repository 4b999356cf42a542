import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { applyPlatform, removePlatform } from '../install/platform.js';
import { ROOT, runCommand } from '../support/command.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { startKubeControllerManager } from '../support/kube-controller-manager.js';
import { partPath } from '../support/parts.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { TestSupportError } from '../support/test-support-error.js';
import { waitUntil } from '../support/wait-until.js';

interface Outcome {
  readonly status: number;
  readonly output: string;
}

// Nothing runs a Job here: test/cluster is where CoreDNS is changed.
const INSTALL = ['--yes', '--no-wait', '--set', 'clusterDns.configure=false'];
const SYSTEM_PATH = '/usr/bin:/bin';
const COREFILE =
  '.:53 {\n    errors\n    kubernetes k8s.example.net in-addr.arpa\n    forward . /etc/resolv.conf\n    reload\n}\n';

let server: KubeApiserver;
let tools: string;

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds', serviceAccounts: true });
  await startKubeControllerManager(server);
  tools = await directoryOf('kubectl', 'helm');
  await applyPlatform(server, 'kubeadm'); // or the doctor, where there is Node to run it, finds no DNS
  await writeCorefile(COREFILE);
});

/** A directory with links to some parts, for a PATH on which nothing else of the kind is found. */
async function directoryOf(...parts: readonly ('helm' | 'kubectl')[]): Promise<string> {
  const directory = createTemporaryDirectory().file('bin');
  mkdirSync(directory);
  for (const part of parts) symlinkSync(await partPath(part), join(directory, part));
  return directory;
}

async function writeCorefile(text: string): Promise<void> {
  const configMap = { kind: 'ConfigMap', apiVersion: 'v1', data: { Corefile: text } };
  const metadata = { name: 'coredns', namespace: 'kube-system' };
  await server.kubectl(['apply', '-f', '-'], JSON.stringify({ ...configMap, metadata }));
}

/** Runs deploy.sh as a stranger would: only the tools on the PATH and the kubeconfig in its variable. */
async function deploy(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const home = createTemporaryDirectory().path;
  try {
    const { stdout, stderr } = await runCommand('/bin/sh', [join(ROOT, 'deploy.sh'), ...args], {
      environment: {
        PATH: `${tools}:${SYSTEM_PATH}`,
        HOME: home,
        KUBECONFIG: server.kubeconfigFile,
        ...environment,
      },
    });
    return { status: 0, output: `${stdout}${stderr}` };
  } catch (err) {
    if (!(err instanceof TestSupportError)) throw err;
    const { code } = err.cause as { code?: number }; // execFile's error has the exit status there
    return { status: code ?? -1, output: err.message };
  }
}

async function installInto(namespace: string): Promise<void> {
  const { status, output } = await deploy([...INSTALL, '--namespace', namespace]);
  if (status !== 0) throw new Error(output);
}

async function read(what: readonly string[], jsonpath: string): Promise<string> {
  return server.kubectl(['get', ...what, '--ignore-not-found', '-o', `jsonpath=${jsonpath}`]);
}

async function collectorAddress(namespace: string): Promise<string> {
  return read(['service', 'istio-discovery-collector', '-n', namespace], '{.spec.clusterIP}');
}

// First of all: where something is installed, to install again is how it is mended, and nothing is refused.
describe('with the program built', () => {
  // As on a machine where `npm ci` and a build were run: deploy.sh asks the doctor.
  const withNode = async (args: readonly string[]): Promise<Outcome> =>
    deploy(args, { PATH: `${dirname(process.execPath)}:${tools}:${SYSTEM_PATH}` });

  /** Runs with the cluster DNS of a platform in place of what the other tests have. */
  async function onPlatform(platform: string, work: () => Promise<void>): Promise<void> {
    await exchange('kubeadm', platform);
    try {
      await work();
    } finally {
      await exchange(platform, 'kubeadm');
      await writeCorefile(COREFILE);
    }
  }

  async function exchange(before: string, after: string): Promise<void> {
    await removePlatform(server, before);
    await applyPlatform(server, after);
  }

  it('shows with --dry-run what becomes of the Corefile and of the Deployment, as a diff', async () => {
    const at = ['--dry-run', '--namespace', 'nowhere'];
    const line = '+    dnstap tcp://ADDRESS-OF-SERVICE-istio-discovery-collector:6000 full';
    const head = '--- ConfigMap kube-system/coredns, key Corefile';
    const collector = await withNode(at);
    expect(collector).toMatchObject({ status: 0 });
    expect(collector.output.split('\n')).toEqual(expect.arrayContaining([head, ' .:53 {', line, 'kind: StatefulSet']));
    const sidecar = await withNode([...at, '--mode=sidecar']);
    const changed = sidecar.output.split('\n').filter((each) => /^[-+]/.test(each));
    expect(changed).toEqual(
      expect.arrayContaining([
        '+    dnstap unix:///run/istio-discovery/dnstap.sock full',
        '--- Deployment kube-system/coredns, spec.template',
        '+      name: istio-discovery',
        `+          value: '["k8s.example.net"]'`, // below it names are internal
      ]),
    );
    expect(changed.filter((each) => /^-(?!--)/.test(each))).toEqual([]); // nothing is taken out
    const off = await withNode([...at, '--set', 'clusterDns.configure=false']);
    expect(off.output).not.toContain(head);
  });

  it('does not begin what its Job would refuse, and goes on where that is left to the operator', async () => {
    await onPlatform('k3s', async () => {
      const at = ['--namespace', 'by-hand'];
      const stopped = await withNode(['--yes', '--no-wait', ...at]);
      expect(stopped).toMatchObject({ status: 1, output: expect.stringContaining('coredns-custom') });
      expect(await read(['namespace', 'by-hand'], '{.metadata.name}')).toBe('');
      expect(await withNode([...INSTALL, ...at])).toMatchObject({ status: 0 });
      expect(await withNode(['--uninstall', '--yes', '--no-wait', ...at])).toMatchObject({ status: 0 });
    });
  });

  it('does not begin what would be pointless, unless it is forced', async () => {
    await onPlatform('openshift', async () => {
      const at = ['--namespace', 'pointless'];
      const stopped = await withNode([...INSTALL, ...at]);
      expect(stopped).toMatchObject({ status: 1, output: expect.stringContaining('dns-openshift') });
      expect(await read(['namespace', 'pointless'], '{.metadata.name}')).toBe('');
      expect(await withNode([...INSTALL, ...at, '--force'])).toMatchObject({ status: 0 });
    });
  });
});

describe('install', () => {
  const at = ['-n', 'istio-discovery'];
  let first: Outcome;

  beforeAll(async () => {
    first = await deploy([...INSTALL, '--image', 'example.com:5000/team/istio-discovery:1.2.3']);
  });

  it('installs the chart into a namespace with the restricted Pod Security level', async () => {
    expect(first).toMatchObject({ status: 0 });
    const enforce = String.raw`{.metadata.labels.pod-security\.kubernetes\.io/enforce}`;
    expect(await read(['namespace', 'istio-discovery'], enforce)).toBe('restricted');
    const images = await read(['deployments', ...at], '{.items[*].spec.template.spec.containers[*].image}');
    expect(new Set(images.split(' '))).toEqual(new Set(['example.com:5000/team/istio-discovery:1.2.3']));
  });

  it('makes pods that the API server admits', async () => {
    const pods = async (): Promise<readonly string[]> =>
      (await read(['pods', ...at], '{.items[*].metadata.labels.app\\.kubernetes\\.io/component}')).split(' ');
    await waitUntil(async () => (await pods()).length === 4, { what: 'the pods' });
    expect((await pods()).toSorted()).toEqual(['collector', 'collector', 'reconciler', 'redis']);
  });

  it('prints the Corefile line with the address of the Service', async () => {
    const address = await collectorAddress('istio-discovery');
    expect(address).toMatch(/^10\.96\./);
    expect(first.output.split('\n')).toContain(`       dnstap tcp://${address}:6000 full`);
  });

  it('run again, changes nothing that matters', async () => {
    const facts = async (): Promise<readonly string[]> => [
      await read(['secret', 'istio-discovery-redis', ...at], '{.data.password}'),
      await collectorAddress('istio-discovery'),
      await read(['deployments,statefulsets', ...at], '{.items[*].metadata.generation}'),
    ];
    const before = await facts();
    expect(before[0]).toMatch(/.{20}/);
    const again = await deploy([...INSTALL, '--image=example.com:5000/team/istio-discovery:1.2.3']);
    expect(again).toMatchObject({ status: 0 });
    expect(await facts()).toEqual(before);
  });

  it('with other values, changes what they say', async () => {
    const values = createTemporaryDirectory().file('some values.yaml');
    writeFileSync(values, 'collector: { replicas: 3 }\nimage: { tag: fromfile }\n');
    const changed = await deploy([...INSTALL, '--values', values, '--set', 'image.tag=fromset', '--context', 'test']);
    expect(changed).toMatchObject({ status: 0 });
    const { spec } = JSON.parse(
      await server.kubectl(['get', 'deployment', 'istio-discovery-collector', ...at, '-o', 'json']),
    );
    expect(spec.replicas).toBe(3);
    expect(spec.template.spec.containers[0].image).toBe('istio-discovery:fromset');
  });

  it('fails with what Helm says when a value is wrong', async () => {
    const wrong = await deploy([...INSTALL, '--set', 'collector.replica=3']);
    expect(wrong).toMatchObject({ status: 1, output: expect.stringContaining('replica') });
  });

  it('fails when the pods do not become ready in time', async () => {
    expect(await deploy(['--yes', '--timeout', '1s'])).toMatchObject({ status: 1 });
  });
});

describe('uninstall', () => {
  const namespaces = Array.from({ length: 6 }, (_, index) => `egress-${index + 1}`); // one for each test: it takes its time to go
  let namespace = '';

  beforeAll(async () => {
    const rest = namespaces.values();
    const worker = async (): Promise<void> => {
      for (const each of rest) await installInto(each);
    };
    await Promise.all([worker(), worker(), worker()]);
  }, 120_000);

  beforeEach(async () => {
    namespace = namespaces.pop() ?? '';
    await waitUntil(async () => (await read(['pvc', '-n', namespace], '{.items[*].metadata.name}')) !== '', {
      what: 'the claim of Redis',
    });
  });

  afterEach(async () => writeCorefile(COREFILE));

  const uninstall = async (...more: readonly string[]): Promise<Outcome> =>
    deploy(['--uninstall', '--yes', '--namespace', namespace, ...more]);

  it('refuses while the Corefile still has the line', async () => {
    const address = await collectorAddress(namespace);
    await writeCorefile(COREFILE.replace('errors\n', `errors\n    dnstap tcp://${address}:6000 full\n`));
    expect(await uninstall()).toMatchObject({ status: 1, output: expect.stringContaining(address) });
    expect(await collectorAddress(namespace)).toBe(address);
    await writeCorefile(COREFILE.replace('errors\n', `errors\n    dnstap tcp://${address}:60001 full\n`));
    expect(await uninstall()).toMatchObject({ status: 0 });
  });

  it('removes everything, also what is of no namespace, and once more does nothing', async () => {
    await createFailedHook();
    expect(await uninstall()).toMatchObject({ status: 0 });
    await waitUntil(async () => (await read(['namespace', namespace], '{.metadata.name}')) === '', {
      what: 'the namespace to go',
    });
    const global = await server.kubectl([
      'get',
      'clusterroles,clusterrolebindings',
      '-l',
      'app.kubernetes.io/part-of=istio-discovery',
      '-o',
      'name',
    ]);
    expect(global).not.toContain(`${namespace}:`);
    expect(await uninstall()).toMatchObject({ status: 0 });
  });

  /** The Job of a hook that did not succeed; Helm does not take it for its own. */
  async function createFailedHook(): Promise<void> {
    const labels = { 'app.kubernetes.io/instance': 'istio-discovery', 'app.kubernetes.io/component': 'installer' };
    const containers = [{ name: 'installer', image: 'example.com/istio-discovery:1' }];
    const template = { metadata: { labels }, spec: { restartPolicy: 'Never', containers } };
    const metadata = { name: 'istio-discovery-install', namespace, labels };
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { backoffLimit: 0, template } };
    await server.kubectl(['create', '-f', '-'], JSON.stringify(job));
  }

  it('keeps the data when told, and takes it up again', async () => {
    const volume = async (): Promise<string> => read(['pvc', '-n', namespace], '{.items[*].metadata.uid}');
    const before = await volume();
    expect(await uninstall('--keep-data')).toMatchObject({ status: 0 });
    expect(await read(['deployments,statefulsets', '-n', namespace], '{.items[*].metadata.name}')).toBe('');
    expect(await deploy([...INSTALL, '--namespace', namespace])).toMatchObject({ status: 0 });
    expect(await volume()).toBe(before);
  });

  it('leaves a namespace in which there is something else', async () => {
    await server.kubectl(['create', 'configmap', 'theirs', '-n', namespace]);
    expect(await uninstall()).toMatchObject({ status: 0, output: expect.stringContaining('configmap/theirs') });
    expect(await read(['namespace', namespace], '{.status.phase}')).toBe('Active');
  });

  it('leaves the ServiceEntries of the workloads', async () => {
    const entry = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: {
        name: 'api-example-com',
        namespace: 'default',
        labels: { 'app.kubernetes.io/managed-by': 'istio-discovery' },
      },
      spec: { hosts: ['api.example.com'], ports: [{ number: 443, name: 'tls', protocol: 'TLS' }] },
    };
    await server.kubectl(['apply', '-f', '-'], JSON.stringify(entry));
    expect(await uninstall()).toMatchObject({ status: 0 });
    expect(await read(['serviceentry', 'api-example-com'], '{.metadata.name}')).toBe('api-example-com');
  });

  it('says with --dry-run what would go, and leaves it', async () => {
    const would = await uninstall('--dry-run');
    expect(would).toMatchObject({ status: 0, output: expect.stringContaining('istio-discovery-collector') });
    expect(would.output).toContain('persistentvolumeclaim/');
    expect(await collectorAddress(namespace)).not.toBe('');
  });
});

it('leaves a namespace that was there before', async () => {
  await server.kubectl(['create', 'namespace', 'older']);
  expect(await deploy([...INSTALL, '--namespace=older'])).toMatchObject({ status: 0 });
  expect(await read(['namespace', 'older'], '{.metadata.labels}')).not.toContain('pod-security');
  expect(await deploy(['--uninstall', '--yes', '--namespace=older'])).toMatchObject({ status: 0 });
  expect(await read(['namespace', 'older'], '{.status.phase}')).toBe('Active');
});

it('with --dry-run shows every object and no password, and changes nothing', async () => {
  const shown = await deploy(['--dry-run', '--namespace', 'nowhere']);
  expect(shown).toMatchObject({ status: 0 });
  for (const kind of ['Namespace', 'Deployment', 'StatefulSet', 'ClusterRole', 'NetworkPolicy']) {
    expect(shown.output).toContain(`kind: ${kind}\n`);
  }
  expect(shown.output).not.toMatch(/^ {2}password: /m);
  expect(await read(['namespace', 'nowhere'], '{.metadata.name}')).toBe('');
});

describe('refuses to start', () => {
  it.each(['helm', 'kubectl'] as const)('without %s', async (missing) => {
    const directory = await directoryOf(missing === 'helm' ? 'kubectl' : 'helm');
    const system = await systemDirectory();
    const outcome = await deploy(INSTALL, { PATH: `${directory}:${system}` });
    expect(outcome).toMatchObject({ status: 1, output: expect.stringContaining(`${missing} is not on the PATH`) });
  });

  it('with a Helm that is too old', async () => {
    const directory = createTemporaryDirectory();
    writeFileSync(directory.file('helm'), '#!/bin/sh\necho v3.9.4\n', { mode: 0o755 });
    const outcome = await deploy(INSTALL, { PATH: `${directory.path}:${tools}:${SYSTEM_PATH}` });
    expect(outcome).toMatchObject({ status: 1, output: expect.stringContaining('v3.9.4') });
  });

  it('with a context that is not there, and names those that are', async () => {
    const outcome = await deploy([...INSTALL, '--context', 'tset']);
    expect(outcome).toMatchObject({ status: 1, output: expect.stringContaining('found: test') });
  });

  it('without a kubeconfig', async () => {
    expect(await deploy(INSTALL, { KUBECONFIG: '/nonexistent' })).toMatchObject({ status: 1 });
    expect(await deploy([...INSTALL, '--kubeconfig', '/nonexistent'])).toMatchObject({ status: 1 });
  });

  it('with an API server that does not answer', async () => {
    const kubeconfig = createTemporaryDirectory().file('kubeconfig');
    const cluster = { server: 'https://127.0.0.1:1' };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'gone', cluster }],
        contexts: [{ name: 'gone', context: { cluster: 'gone', user: '' } }],
        'current-context': 'gone',
      }),
    );
    const outcome = await deploy([...INSTALL, '--kubeconfig', kubeconfig]);
    expect(outcome).toMatchObject({ status: 1, output: expect.stringContaining('https://127.0.0.1:1') });
  });

  it.each([
    ['an unknown option', ['--namespaces', 'x']],
    ['an option without its value', ['--yes', '--namespace']],
    ['an argument', ['install']],
    ['--keep-data alone', ['--keep-data']],
    ['nobody to ask', ['--namespace', 'unasked']],
  ])('with %s', async (_, args) => {
    expect(await deploy(args)).toMatchObject({ status: 2 });
    expect(await read(['namespace', 'unasked'], '{.metadata.name}')).toBe('');
  });
});

it.each(['--help', '-h'])('prints its usage with %s, without a cluster', async (option) => {
  const outcome = await deploy([option], { PATH: SYSTEM_PATH, KUBECONFIG: '/nonexistent' });
  expect(outcome).toMatchObject({ status: 0, output: expect.stringMatching(/^Usage: /) });
});

/** What deploy.sh needs of the system, and neither kubectl nor helm. */
async function systemDirectory(): Promise<string> {
  const directory = createTemporaryDirectory().file('system');
  mkdirSync(directory);
  for (const name of ['cat', 'dirname', 'grep', 'sed', 'sort', 'tr']) {
    const { stdout } = await runCommand('/bin/sh', ['-c', `command -v ${name}`], { environment: {} });
    symlinkSync(stdout.trim(), join(directory, name));
  }
  return directory;
}
