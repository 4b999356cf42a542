import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { commandEnvironment, ROOT, runCommand } from '../support/command.js';
import { IMAGES } from '../support/container-images.js';
import { startOneNodeCluster, type OneNodeCluster } from '../support/one-node-cluster.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

const FIXTURE = 'test/cluster/left-behind.fixture.ts';
const START_TIMEOUT_MS = 300_000; // the images may have to be built first

/** What of a node is on this machine: its link, its cgroups, and processes that name its directory. */
async function remains(link: string, directory: string): Promise<readonly string[]> {
  const { stdout: links } = await runCommand('ip', ['-brief', 'link']);
  const { stdout: processes } = await runCommand('ps', ['-e', '-o', 'args']);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  // One hierarchy (v2), or one for each controller (v1).
  const hierarchies = ['', ...(await readdir('/sys/fs/cgroup'))];
  const groups = hierarchies.map((hierarchy) => join('/sys/fs/cgroup', hierarchy, link));
  return [
    ...links.split('\n').filter((line) => line.startsWith(`${link}-`)),
    ...groups.filter((group) => existsSync(group)),
    ...`${processes}${mounts}`.split('\n').filter((line) => line.includes(`${directory}/`)),
    ...[directory].filter((path) => existsSync(path)),
  ];
}

describe('the one-node cluster', () => {
  let cluster: OneNodeCluster;

  beforeAll(async () => {
    cluster = await startOneNodeCluster(['coredns-1.11', 'node']);
    await cluster.kubectl(['apply', '-f', '-'], readFileSync(join(ROOT, 'test/cluster/cluster-dns.yaml'), 'utf8'));
    await cluster.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s']);
  }, START_TIMEOUT_MS);

  it('has pods that find the names of Services and of the world outside', async () => {
    const run = ['run', 'client', `--image=${IMAGES.node}`, '--command', '--', 'sleep', 'infinity'];
    await cluster.kubectl(run);
    await cluster.kubectl(['wait', '--for=condition=Ready', 'pod/client', '--timeout=60s']);
    const lookUp = async (name: string): Promise<string> =>
      cluster.kubectl(['exec', 'client', '--', 'getent', 'ahostsv4', name]);
    expect(await lookUp('kubernetes.default')).toContain('10.96.0.1 ');
    expect(await lookUp('www.example.com')).toContain('192.0.2.10 ');
  });

  it('leaves nothing on the machine', async () => {
    const { link, directory } = cluster.node;
    expect(await remains(link, directory.path)).not.toEqual([]);
    await cluster.stop();
    expect(await remains(link, directory.path)).toEqual([]);
  });

  it(
    'leaves nothing when the tests are killed',
    async () => {
      const report = createTemporaryDirectory().file('left-behind.json');
      const jest = spawn(
        process.execPath,
        ['node_modules/jest/bin/jest.js', '--runInBand', '--testMatch', `**/${FIXTURE}`],
        { cwd: ROOT, env: commandEnvironment({ LEFT_BEHIND_REPORT: report }), stdio: 'ignore' },
      );
      const { link, directory } = await waitUntil(
        () => JSON.parse(readFileSync(report, 'utf8')) as { link: string; directory: string }, // the fixture writes it so
        { what: 'the cluster of the fixture', timeoutMs: START_TIMEOUT_MS },
      );
      jest.kill('SIGKILL');
      await once(jest, 'exit');
      await waitUntil(async () => (await remains(link, directory)).length === 0, { what: 'the end of the cluster' });
      expect(await remains(link, directory)).toEqual([]);
    },
    START_TIMEOUT_MS,
  );
});
