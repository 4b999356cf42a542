import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { type KubernetesResource, resourcePath } from '../../src/kubernetes/kubernetes-object.js';
import { listResource } from '../../src/kubernetes/list.js';
import { ROOT } from './command.js';
import { startKubeApiserver, type KubeApiserver } from './kube-apiserver.js';
import { startKubeControllerManager } from './kube-controller-manager.js';
import { closeAtEnd } from './lifetime.js';
import { partPath } from './parts.js';
import { answersHttp } from './probe.js';
import { startPart, type Part } from './process.js';
import { asRoot, rootPrefix } from './root.js';
import { createTemporaryDirectory, type TemporaryDirectory } from './temporary-directory.js';
import { waitUntil } from './wait-until.js';

/** A cluster whose CoreDNS can be changed. */
export interface CoreDnsCluster {
  readonly server: KubeApiserver;
  readonly client: KubernetesClient;
  corefile(): Promise<string>;
  /** Replaces the Corefile as a person with kubectl would. */
  writeCorefile(text: string): Promise<void>;
  /** What the containers of each pod that runs have printed. */
  logs(): readonly string[];
  /** Ends each CoreDNS, as if their node was gone. */
  killCoreDns(): Promise<void>;
  /** The version that the kubelet says it has. */
  setKubeletVersion(version: string): Promise<void>;
}

/** Image of a container that cannot be pulled: a pod with it does not become ready. */
export const MISSING_IMAGE = 'example.com/missing:1';

const REPLICAS = 2;
const SYNC_MS = 100;
const SOCKET_DIRECTORY = '/run/istio-discovery';
const PODS = { group: '', version: 'v1', plural: 'pods' } as const;
const NAMESPACE = 'kube-system';
const SIDECAR_PORT = 8054;

/** On the loopback interface; not the same for two clusters on one machine. */
export interface ClusterAddresses {
  readonly serviceCidr: string;
  /** Of the Service of the cluster DNS. */
  readonly dns: string;
  /** Of the Service and the pod of the collector. */
  readonly collector: string;
  readonly pods: string;
}

export function chooseAddresses(): ClusterAddresses {
  const prefix = `127.${64 + Math.floor(Math.random() * 128)}`;
  return {
    serviceCidr: `${prefix}.0.0/16`,
    dns: `${prefix}.0.10`,
    collector: `${prefix}.0.20`,
    pods: `${prefix}.1`,
  };
}

/**
 * Starts an API server with its controllers, and in the place of a kubelet something that runs a real CoreDNS for each pod
 * of the Deployment `coredns`, and our collector for each sidecar. All CoreDNS listen at the address of their Service,
 * where the system hands each query to one of them. The Corefile should have `reload 2s 1s`. Linux; root, for port 53.
 */
export async function startCoreDnsCluster(
  corefile: string,
  { serviceCidr, dns, pods }: ClusterAddresses,
): Promise<CoreDnsCluster> {
  const server = await startKubeApiserver({ serviceCidr });
  // No kubelet says that the node is alive.
  await startKubeControllerManager(server, ['--node-monitor-grace-period=1h', '--node-startup-grace-period=1h']);
  const program = await partPath('coredns');
  if (rootPrefix().length > 0) await asRoot('setcap', 'cap_net_bind_service=+ep', program);
  const client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
  const list = { apiVersion: 'v1', kind: 'List', items: objects(corefile, dns) };
  await server.kubectl(['create', '-f', '-'], JSON.stringify(list));
  const kubelet = new StandInKubelet({ client, program, podNetwork: pods });
  closeAtEnd({
    close: async () => {
      await kubelet.close();
      await client.close();
    },
  });
  const get = async (kind: string, jsonpath: string): Promise<string> =>
    server.kubectl(['-n', NAMESPACE, 'get', kind, 'coredns', '-o', `jsonpath=${jsonpath}`]);
  const cluster = {
    server,
    client,
    corefile: async () => get('configmap', '{.data.Corefile}'),
    writeCorefile: async (text: string) => {
      const patch = ['--type=merge', '-p', JSON.stringify({ data: { Corefile: text } })];
      await server.kubectl(['-n', NAMESPACE, 'patch', 'configmap', 'coredns', ...patch]);
    },
    logs: () => kubelet.logs(),
    killCoreDns: async () => kubelet.killCoreDns(),
    setKubeletVersion: async (kubeletVersion: string) => {
      const patch = [
        '--subresource=status',
        '--type=merge',
        '-p',
        JSON.stringify({ status: { nodeInfo: { kubeletVersion } } }),
      ];
      await server.kubectl(['patch', 'node', 'node', ...patch]);
    },
  };
  await cluster.setKubeletVersion('v1.36.0');
  kubelet.start();
  const available = async (): Promise<boolean> =>
    (await get('deployment', '{.status.availableReplicas}')) === `${REPLICAS}`;
  await waitUntil(available, { what: 'CoreDNS', timeoutMs: 60_000 });
  return cluster;
}

/** The cluster DNS as kubeadm makes it, as far as installation looks at it. */
function objects(corefile: string, clusterIP: string): readonly object[] {
  const labels = { 'k8s-app': 'kube-dns' };
  const metadata = { name: 'coredns', namespace: NAMESPACE, labels };
  const volume = {
    name: 'config-volume',
    configMap: { name: 'coredns', items: [{ key: 'Corefile', path: 'Corefile' }] },
  };
  const container = {
    name: 'coredns',
    image: 'example.com/coredns:v1.14.2',
    args: ['-conf', '/etc/coredns/Corefile'],
    volumeMounts: [{ name: volume.name, mountPath: '/etc/coredns', readOnly: true }],
  };
  return [
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: corefile } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: NAMESPACE, labels },
      spec: { clusterIP, selector: labels, ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: REPLICAS,
        selector: { matchLabels: labels },
        strategy: { rollingUpdate: { maxUnavailable: 1, maxSurge: '25%' } },
        template: { metadata: { labels }, spec: { nodeName: 'node', containers: [container], volumes: [volume] } },
      },
    },
  ];
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly Container[]; readonly initContainers?: readonly Container[] };
}

interface RunningPod {
  readonly ip: string;
  readonly directory: TemporaryDirectory;
  readonly parts: Part[];
  /** Settles when its containers run, or one of them cannot. */
  starting: Promise<void>;
}

interface KubeletOptions {
  readonly client: KubernetesClient;
  /** CoreDNS. */
  readonly program: string;
  /** The first three numbers of the addresses of pods. */
  readonly podNetwork: string;
}

/** As much of a kubelet as the pods of CoreDNS need: containers in their order, the Corefile, readiness, deletion. */
class StandInKubelet {
  readonly #options: KubeletOptions;
  readonly #pods = new Map<string, RunningPod>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #started = 0;
  #corefile = '';

  constructor(options: KubeletOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  logs(): readonly string[] {
    return [...this.#pods.values()].map(({ parts }) => parts.map((part) => part.log()).join(''));
  }

  async killCoreDns(): Promise<void> {
    for (const { parts } of this.#pods.values()) for (const part of parts) await part.kill('SIGKILL');
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#sync().catch(() => undefined); // the API server may be busy, or gone at the end
      await delay(SYNC_MS);
    }
  }

  async #sync(): Promise<void> {
    const { client } = this.#options;
    const corefile = await this.#readCorefile();
    const { items } = await listResource({ client, resource: PODS, namespace: NAMESPACE });
    const pods = items as unknown as readonly Pod[]; // of the Deployment above
    await Promise.all(
      pods.map(async (pod) => {
        const { name, deletionTimestamp } = pod.metadata;
        if (deletionTimestamp !== undefined) return this.#remove(name);
        if (!this.#pods.has(name)) return this.#start(pod);
      }),
    );
    if (corefile !== this.#corefile) {
      for (const { directory } of this.#pods.values()) await writeCorefile(directory, corefile);
    }
    this.#corefile = corefile;
  }

  async #readCorefile(): Promise<string> {
    const resource: KubernetesResource = { group: '', version: 'v1', plural: 'configmaps' };
    const path = resourcePath(resource, { namespace: NAMESPACE, name: 'coredns' });
    const { body } = await this.#options.client.request({ method: 'GET', path });
    return (body as { readonly data: { readonly Corefile: string } }).data.Corefile; // the tests keep that key
  }

  /** Does not wait until the pod is ready: others are waiting. */
  async #start(pod: Pod): Promise<void> {
    this.#started += 1;
    const running: RunningPod = {
      ip: `${this.#options.podNetwork}.${this.#started}`,
      directory: createTemporaryDirectory(),
      parts: [],
      starting: Promise.resolve(),
    };
    this.#pods.set(pod.metadata.name, running);
    await writeCorefile(running.directory, await this.#readCorefile());
    // One that cannot be started does not become ready, and what a test waits for does not come.
    running.starting = this.#runContainers(pod, running).catch(() => undefined);
  }

  async #runContainers({ metadata, spec }: Pod, running: RunningPod): Promise<void> {
    const { containers, initContainers = [] } = spec;
    for (const container of initContainers) {
      if (container.image === MISSING_IMAGE) return;
      running.parts.push(await this.#startSidecar(running));
    }
    for (const container of containers) {
      if (container.image === MISSING_IMAGE) return;
      const isOurs = container.name === 'istio-discovery';
      running.parts.push(await (isOurs ? this.#startSidecar(running) : this.#startCoreDns(running)));
    }
    if (this.#pods.get(metadata.name) !== running) return;
    const conditions = ['Ready', 'ContainersReady'].map((type) => ({ type, status: 'True' }));
    const status = { phase: 'Running', podIP: running.ip, podIPs: [{ ip: running.ip }], conditions };
    await this.#options.client.request({
      method: 'PATCH',
      path: `${resourcePath(PODS, { namespace: NAMESPACE, name: metadata.name })}/status`,
      contentType: 'application/merge-patch+json',
      body: { status },
    });
  }

  async #startCoreDns({ directory }: RunningPod): Promise<Part> {
    const pidFile = directory.file('pid'); // written once it serves; its address is not its own
    return startPart({
      name: 'coredns',
      command: this.#options.program,
      args: ['-conf', directory.file('Corefile'), '-pidfile', pidFile],
      ready: () => existsSync(pidFile),
      stopTimeoutMs: 500,
    });
  }

  async #startSidecar({ directory, ip }: RunningPod): Promise<Part> {
    return startCollector({
      endpoint: `unix://${directory.file('dnstap.sock')}`,
      http: `${ip}:${SIDECAR_PORT}`,
    });
  }

  async #remove(name: string): Promise<void> {
    const { client } = this.#options;
    const running = this.#pods.get(name);
    this.#pods.delete(name);
    await running?.starting; // or what is being started would stay, at the address of the others
    await Promise.all(running?.parts.map(async (part) => part.stop()) ?? []);
    const path = resourcePath(PODS, { namespace: NAMESPACE, name });
    await client.request({ method: 'DELETE', path, body: { gracePeriodSeconds: 0 } });
  }
}

/** As the kubelet does, by a rename. What is a directory of the pod is one of its own here. */
async function writeCorefile(directory: TemporaryDirectory, text: string): Promise<void> {
  const file = directory.file('Corefile');
  await writeFile(`${file}.new`, text.replaceAll(`unix://${SOCKET_DIRECTORY}`, `unix://${directory.path}`));
  await rename(`${file}.new`, file);
}

/** Our collector, with a store of its own. */
export async function startCollector({ endpoint, http }: { endpoint: string; http: string }): Promise<Part> {
  const store = `embedded://${createTemporaryDirectory().file('store')}`;
  return startPart({
    name: 'collector',
    command: process.execPath,
    args: [join(ROOT, 'dist/main.js'), 'collect', '--dnstap', endpoint, '--store', store, '--http-address', http],
    ready: async () => answersHttp(`http://${http}/livez`),
    stopTimeoutMs: 500,
  });
}
