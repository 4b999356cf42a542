import { createClusterNode, type ClusterNode } from './cluster-node.js';
import { imageArchives, type ImageName } from './container-images.js';
import { startContainerd } from './containerd.js';
import { freePort } from './free-port.js';
import { startKubeApiserver, type KubeApiserver } from './kube-apiserver.js';
import { startKubeControllerManager } from './kube-controller-manager.js';
import { startKubelet, startKubeProxy } from './kubelet.js';
import { partPath } from './parts.js';
import { answersHttps } from './probe.js';
import { partMethods, startPart, type Part } from './process.js';
import { startSmallInternet, type SmallInternet } from './small-internet.js';
import { createTemporaryDirectory } from './temporary-directory.js';

/** A Kubernetes cluster of one node with real pods. */
export interface OneNodeCluster {
  readonly node: ClusterNode;
  readonly apiServer: KubeApiserver;
  readonly containerd: Part;
  readonly kubelet: Part;
  /** The DNS of the world outside, which the node's resolv.conf names. */
  readonly internet: SmallInternet;
  /** Runs kubectl as an administrator and returns what it printed. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** Ends it with everything in it. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts etcd, the API server with Istio's CRDs, the controllers and the scheduler on this machine, and containerd, kubelet
 * and kube-proxy in a node of their own, which has the images. It has no cluster DNS yet.
 *
 * @throws TestSupportError `TEST_ERR_NEEDS_ROOT`
 */
export async function startOneNodeCluster(images: readonly ImageName[]): Promise<OneNodeCluster> {
  const archives = await imageArchives(['pause', ...images]);
  const node = await createClusterNode();
  const internet = await startSmallInternet({ host: node.hostAddress, port: 53 });
  const starting = startContainerd(node, archives);
  const apiServer = await startKubeApiserver({ host: node.hostAddress, serviceAccounts: true, crds: 'istio-crds' });
  const [containerd, controllerManager, scheduler] = await Promise.all([
    starting,
    startKubeControllerManager(apiServer),
    startKubeScheduler(apiServer),
  ]);
  const kubelet = await startKubelet(node, apiServer, containerd);
  const kubeProxy = await startKubeProxy(node, apiServer);
  await apiServer.kubectl(['wait', '--for=condition=Ready', `node/${node.name}`, '--timeout=60s']);
  return {
    node,
    apiServer,
    containerd,
    kubelet,
    internet,
    kubectl: async (args, input) => apiServer.kubectl(args, input),
    stop: async () => {
      for (const part of [kubeProxy, kubelet, scheduler, controllerManager, containerd]) await part.stop();
      await node.remove();
      await apiServer.stop();
      await internet.stop();
    },
  };
}

async function startKubeScheduler(server: KubeApiserver): Promise<Part> {
  const directory = createTemporaryDirectory();
  const port = await freePort();
  const part = await startPart({
    name: 'kube-scheduler',
    command: await partPath('kube-scheduler'),
    args: [
      `--kubeconfig=${server.kubeconfigFile}`,
      `--authentication-kubeconfig=${server.kubeconfigFile}`,
      `--authorization-kubeconfig=${server.kubeconfigFile}`,
      `--cert-dir=${directory.path}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--leader-elect=false',
    ],
    directory,
    ready: async () => answersHttps(`https://127.0.0.1:${port}/healthz`),
  });
  return partMethods(part);
}
