import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runCommand } from './command.js';
import { removeAtDeath } from './lifetime.js';
import { startPart } from './process.js';
import { createTemporaryDirectory, type TemporaryDirectory } from './temporary-directory.js';
import { TestSupportError } from './test-support-error.js';
import { waitUntil } from './wait-until.js';

/** A machine for a kubelet: namespaces of its own (mount, pid, net, uts, ipc), a cgroup, a link to this machine. */
export interface ClusterNode {
  readonly name: string;
  /** Address of this machine on the link, where the node finds the API server and the world outside. */
  readonly hostAddress: string;
  readonly address: string;
  /** Start of the name of its link, and name of its group in each cgroup hierarchy. */
  readonly link: string;
  readonly directory: TemporaryDirectory;
  /** What to put before a command so that it runs in the node. */
  readonly enter: readonly string[];
  /** Ends everything that runs in the node and removes it. Idempotent. */
  remove(): Promise<void>;
}

/** Addresses of pods; their way out of the node is hidden behind the node's own address. */
export const POD_CIDR = '10.244.0.0/24';

const SCRIPT = fileURLToPath(new URL('cluster-node.sh', import.meta.url));
const MAX_NODES = 250;

/**
 * Makes a node. Everything in it is a descendant of the first process of its pid namespace, so that the kernel ends all of
 * it with that one, however the test ends; network, mounts and nftables rules go with their namespaces, and what is left of
 * the cgroups is removed after that.
 *
 * ```text
 *   this machine                                  the node
 *   isdkN-host 10.243.N.1 ─────── veth ─────── eth0 10.243.N.2, 10.244.0.0/24 (pods), 10.96.0.0/16 (Services)
 *   API server, the small internet                containerd, kubelet, kube-proxy
 * ```
 *
 * @throws TestSupportError `TEST_ERR_NEEDS_ROOT` unless run by root, on Linux
 */
export async function createClusterNode(): Promise<ClusterNode> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new TestSupportError('TEST_ERR_NEEDS_ROOT', 'a one-node cluster needs Linux and root');
  }
  const directory = createTemporaryDirectory();
  const number = await takeLink();
  const link = `isdk${number}`;
  const release = removeAtDeath({ kind: 'command', command: ['sh', SCRIPT, 'remove', link] });
  const prefix = `10.243.${number}`;
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--mount-proc', '--net', '--uts', '--ipc'];
  const holder = await startPart({
    name: 'node',
    command: 'unshare',
    args: [...namespaces, '--fork', '--kill-child', 'sh', SCRIPT, 'hold', link, directory.path, prefix, POD_CIDR],
    directory,
    ready: () => true,
  });
  const first = await waitUntil(() => firstChild(holder.pid()), { what: 'the first process of the node' });
  await runCommand('sh', [SCRIPT, 'attach', link, first]);
  await waitUntil(() => existsSync(directory.file('is-set-up')), { what: 'the node' });
  return {
    name: 'node',
    hostAddress: `${prefix}.1`,
    address: `${prefix}.2`,
    link,
    directory,
    enter: ['nsenter', `--target=${first}`, '--mount', '--pid', '--net', '--uts', '--ipc', '--'],
    remove: async () => {
      await holder.stop();
      await runCommand('sh', [SCRIPT, 'remove', link]);
      release();
    },
  };
}

function firstChild(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').find(Boolean);
}

/** A number that no other run uses: only one can make the link. */
async function takeLink(): Promise<number> {
  const first = Math.floor(Math.random() * MAX_NODES);
  let cause: unknown;
  for (let tries = 0; tries < MAX_NODES; tries += 1) {
    const number = (first + tries) % MAX_NODES;
    try {
      await runCommand('sh', [SCRIPT, 'link', `isdk${number}`, `10.243.${number}`]);
      return number;
    } catch (error) {
      cause = error;
    }
  }
  throw new TestSupportError('TEST_ERR_COMMAND_FAILED', 'no link for a node could be made', { cause });
}
