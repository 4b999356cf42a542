import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { POD_CIDR, type ClusterNode } from './cluster-node.js';
import { commandEnvironment, runCommand } from './command.js';
import { IMAGES } from './container-images.js';
import { partPath } from './parts.js';
import { partMethods, startPart, type Part } from './process.js';

/** A containerd that runs in a node. */
export interface Containerd extends Part {
  readonly socket: string;
}

/** Starts containerd with runc and a bridge for pods, and loads docker archives. */
export async function startContainerd(node: ClusterNode, archives: readonly string[]): Promise<Containerd> {
  const { directory } = node;
  const socket = directory.file('containerd.sock');
  const programs = directory.file('bin');
  mkdirSync(programs);
  // It looks for its shim on the PATH, where the machine may have one of another version.
  symlinkSync(await partPath('containerd-shim-runc-v2'), `${programs}/containerd-shim-runc-v2`);
  mkdirSync(directory.file('cni'));
  writeFileSync(directory.file('cni/10-node.conflist'), networkConfiguration());
  writeFileSync(directory.file('containerd.toml'), await configuration(node, socket));
  const [enter = '', ...namespaces] = node.enter;
  const ctr = await partPath('ctr');
  const part = await startPart({
    name: 'containerd',
    command: enter,
    args: [...namespaces, await partPath('containerd'), '--config', directory.file('containerd.toml')],
    environment: { PATH: `${programs}:${commandEnvironment()['PATH'] ?? ''}` },
    ready: async () => runCommand(ctr, ['--address', socket, 'version']),
  });
  for (const archive of archives) {
    await runCommand(ctr, ['--address', socket, '--namespace', 'k8s.io', 'images', 'import', archive]);
  }
  return { ...partMethods(part), socket };
}

async function configuration({ directory }: ClusterNode, socket: string): Promise<string> {
  const plugins = [await partPath('cni-bridge'), await partPath('cni-host-local')].map((file) => dirname(file));
  return `version = 3
root = "${directory.file('containerd')}"
state = "/run/containerd"
imports = []
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
  address = "${socket}"
# Switched off, it would take the whole runtime service with it.
[plugins."io.containerd.image-verifier.v1.bindir"]
  bin_dir = "${directory.file('no-verifiers')}"
[plugins."io.containerd.metadata.v1.bolt"]
  no_sync = true
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${IMAGES.pause}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true # root of a container may have no CAP_SYS_RESOURCE
  disable_apparmor = true
  enable_cdi = false
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ${JSON.stringify(plugins)}
  conf_dir = "${directory.file('cni')}"
  use_internal_loopback = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
`;
}

function networkConfiguration(): string {
  const ipam = {
    type: 'host-local',
    dataDir: '/run/cni',
    ranges: [[{ subnet: POD_CIDR }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, hairpinMode: true, ipMasq: false, ipam };
  return JSON.stringify({ cniVersion: '1.0.0', name: 'node', plugins: [bridge] });
}
