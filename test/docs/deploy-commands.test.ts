import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from '../support/command.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { startKubeControllerManager } from '../support/kube-controller-manager.js';
import { runProgram } from '../support/program.js';
import { partPath } from '../support/parts.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { commandsOf, needsCluster, needsPods, readPage } from './documented-commands.js';

const PAGES = ['README.md', 'deploy/README.md', 'deploy/OPERATIONS.md'];
const CLUSTER_TEST = 'test/cluster/install.test.ts';

/** Commands that need what is not here, each with the place where it is run, or with why it is not. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['docker build -t istio-discovery:0.1.0 .', 'scripts/images'], // there is no Docker daemon: the same Dockerfile by buildah
  ['./deploy.sh --mode sidecar', CLUSTER_TEST], // without nodes no Job adds a container
]);

const documented = [...new Set(PAGES.flatMap((page) => commandsOf(page)).filter(needsCluster))];
const here = documented.filter((command) => !ELSEWHERE.has(command) && !needsPods(command));

let server: KubeApiserver;
const directory = createTemporaryDirectory().file('checkout');

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds', serviceAccounts: true });
  await startKubeControllerManager(server);
  mkdirSync(join(directory, 'bin'), { recursive: true });
  for (const part of ['kubectl', 'helm'] as const) symlinkSync(await partPath(part), join(directory, 'bin', part));
  for (const path of ['deploy', 'deploy.sh']) symlinkSync(join(ROOT, path), join(directory, path));
  writeFileSync(join(directory, 'my-values.yaml'), 'collector: { replicas: 3 }\n');
  // What make demo writes, for the command that applies it.
  const demo = [
    'run',
    '--once',
    '--read',
    'test/data/coredns.fstrm.gz',
    '--objects',
    'test/data/coredns-objects.json.gz',
  ];
  const output = ['--output', join(directory, 'out/demo/service-entries')];
  await runProgram(...demo, '--store', `embedded://${join(directory, 'store')}`, ...output);
  for (const namespace of ['bank', 'shop', 'wild']) await server.kubectl(['create', 'namespace', namespace]);
}, 120_000);

async function run(command: string): Promise<string> {
  const environment = {
    HOME: directory,
    KUBECONFIG: server.kubeconfigFile,
    PATH: `${join(directory, 'bin')}:/usr/bin:/bin`,
  };
  const { stdout } = await runCommand('sh', ['-c', command], { environment, workingDirectory: directory });
  return stdout;
}

// Nobody is here to be asked, and no node to run a pod.
const ALONE = '--yes --no-wait --set clusterDns.configure=false';

const installs = (command: string): boolean => /^\.\/deploy\.sh(?!.*--(?:dry-run|help|uninstall))/.test(command);
const uninstalls = (command: string): boolean => command.includes('uninstall');
/** The namespace goes with the last one. */
const order = (command: string): number => Number(uninstalls(command)) + Number(command.endsWith('--uninstall'));

async function release(): Promise<string> {
  return run('helm list --namespace istio-discovery --all --short');
}

describe('the commands for a cluster', () => {
  it.each(here.toSorted((a, b) => order(a) - order(b)))('%s', async (command) => {
    if (uninstalls(command)) {
      if ((await release()) === '') await run(`./deploy.sh ${ALONE}`);
      await run(command.startsWith('./deploy.sh') ? `${command} --yes --no-wait` : command);
      expect(await release()).toBe('');
      return;
    }
    const printed = await run(installs(command) ? `${command.replace('REGISTRY', 'example.com')} ${ALONE}` : command);
    if (installs(command)) expect(await release()).toContain('istio-discovery');
    if (command.includes('--dry-run')) expect(printed).toContain('kind: Deployment');
  });

  it.each([...ELSEWHERE])('%s is run in %s', (command, place) => {
    expect(documented).toContain(command);
    expect(readPage(place)).toContain(place === CLUSTER_TEST ? "deploy('--mode', mode)" : 'buildah_ bud');
  });

  it('what needs pods is run in the whole cluster', () => {
    expect(documented.filter(needsPods)).toHaveLength(5);
    expect(readPage(CLUSTER_TEST)).toContain("commandsOf('deploy/OPERATIONS.md')");
  });
});
