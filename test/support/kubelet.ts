import { writeFileSync } from 'node:fs';
import { POD_CIDR, type ClusterNode } from './cluster-node.js';
import type { Containerd } from './containerd.js';
import type { KubeApiserver } from './kube-apiserver.js';
import { partPath } from './parts.js';
import { answersHttp } from './probe.js';
import { partMethods, startPart, type Part } from './process.js';

/** Address of the Service of the cluster DNS, which the kubelet writes into each pod's resolv.conf. */
export const CLUSTER_DNS_ADDRESS = '10.96.0.10';

const KUBELET_HEALTH_PORT = 10_248;
const KUBE_PROXY_HEALTH_PORT = 10_256;

/** Starts the kubelet of a node; `node.hostAddress` is the name server that its pods with `dnsPolicy: Default` get. */
export async function startKubelet(node: ClusterNode, server: KubeApiserver, containerd: Containerd): Promise<Part> {
  const { directory, enter } = node;
  const [command = '', ...namespaces] = enter;
  writeFileSync(directory.file('resolv.conf'), `nameserver ${node.hostAddress}\n`);
  writeFileSync(directory.file('kubelet.json'), JSON.stringify(kubeletConfiguration(node, containerd)));
  const part = await startPart({
    name: 'kubelet',
    command,
    args: [
      ...namespaces,
      await partPath('kubelet'),
      `--config=${directory.file('kubelet.json')}`,
      `--kubeconfig=${server.kubeconfigFile}`,
      `--hostname-override=${node.name}`,
      `--node-ip=${node.address}`,
      `--cert-dir=${directory.file('kubelet-certificates')}`,
      `--root-dir=${directory.file('kubelet')}`,
    ],
    ready: async () => answersHttp(`http://${node.address}:${KUBELET_HEALTH_PORT}/healthz`),
  });
  return partMethods(part);
}

function kubeletConfiguration({ address, link, directory }: ClusterNode, { socket }: Containerd): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${link}`,
    containerRuntimeEndpoint: `unix://${socket}`,
    healthzBindAddress: address,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    clusterDNS: [CLUSTER_DNS_ADDRESS],
    clusterDomain: 'cluster.local',
    resolvConf: directory.file('resolv.conf'),
    failSwapOn: false,
    oomScoreAdj: 0, // less needs CAP_SYS_RESOURCE
    makeIPTablesUtilChains: false,
    syncFrequency: '5s', // how long a changed ConfigMap takes to its pods
    imageGCHighThresholdPercent: 100,
    // This machine's disk is not the node's: its fill level must not evict pods.
    evictionHard: {
      'memory.available': '50Mi',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'imagefs.inodesFree': '0%',
    },
  };
}

/** Starts kube-proxy, which makes Services reachable from pods and from the node. */
export async function startKubeProxy(node: ClusterNode, server: KubeApiserver): Promise<Part> {
  const { address, directory, enter, name } = node;
  const [command = '', ...namespaces] = enter;
  const configuration = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: server.kubeconfigFile },
    mode: 'nftables',
    clusterCIDR: POD_CIDR,
    healthzBindAddress: `${address}:${KUBE_PROXY_HEALTH_PORT}`,
    oomScoreAdj: 0,
    // Its limits are the machine's, and may not be set from a network namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    nodePortAddresses: ['primary'],
  };
  writeFileSync(directory.file('kube-proxy.json'), JSON.stringify(configuration));
  const part = await startPart({
    name: 'kube-proxy',
    command,
    args: [
      ...namespaces,
      await partPath('kube-proxy'),
      `--config=${directory.file('kube-proxy.json')}`,
      `--hostname-override=${name}`,
    ],
    ready: async () => answersHttp(`http://${address}:${KUBE_PROXY_HEALTH_PORT}/livez`),
  });
  return partMethods(part);
}
