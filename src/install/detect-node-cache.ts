import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { type ClusterObjects, isForbidden } from './cluster-objects.js';
import { parseCorefile } from './corefile/parser.js';
import { zoneOf } from './corefile/served-zones.js';
import { type LiveCorefile, readLiveCorefile } from './live-corefile.js';
import { type ContainerFields, labelsOf, podSpec } from './pod-template.js';

/** A DNS cache on each node. With it the cluster DNS may see no external name at all. */
export interface NodeCache {
  /** `node-local-dns`: a DaemonSet, which is a CoreDNS. `aks-localdns`: a service of the node, which is no pod. */
  readonly kind: 'node-local-dns' | 'aks-localdns';
  /** Of the DaemonSet. */
  readonly name?: string;
  readonly image?: string;
  /** Version of the CoreDNS inside, where it is known. */
  readonly version?: string;
  readonly corefile?: LiveCorefile;
  /** Whether external names pass by the cluster DNS. */
  readonly bypassesClusterDns: boolean;
}

const NAMESPACE = 'kube-system';
/** The cache makes the Corefile that it reads out of this one; some installers have one without variables instead. */
const TEMPLATE_PATH = '/etc/coredns/Corefile.base';
const CLUSTER_DNS_VARIABLE = '__PILLAR__CLUSTER__DNS__';
const AKS_LABEL = 'kubernetes.azure.com/localdns-state';

/** CoreDNS inside `k8s-dns-node-cache`. @see kubernetes/dns go.mod at each tag */
const COREDNS_OF_IMAGE: Readonly<Record<string, string>> = { '1.26.4': '1.11.3', '1.26.7': '1.13.1' };

/** Finds NodeLocal DNSCache or AKS LocalDNS. `clusterIp` is that of the cluster DNS. */
export async function detectNodeCache(
  objects: ClusterObjects,
  nodes: readonly KubernetesObject[],
  clusterIp: string,
): Promise<NodeCache | undefined> {
  for (const workload of await objects.list('DaemonSet', NAMESPACE)) {
    const container = podSpec(workload).containers?.find(isNodeCache);
    if (container !== undefined) return describe(objects, { workload, container, clusterIp });
  }
  const hasLocalDns = nodes.some((node) => labelsOf(node)[AKS_LABEL] === 'enabled');
  return hasLocalDns ? { kind: 'aks-localdns', bypassesClusterDns: true } : undefined;
}

function isNodeCache({ image = '', command = [], args = [] }: ContainerFields): boolean {
  return /dns-node-cache/.test(image) || [...command, ...args].some((word) => /(?:^|\/)node-cache$/.test(word));
}

interface Found {
  readonly workload: KubernetesObject;
  readonly container: ContainerFields;
  readonly clusterIp: string;
}

async function describe(objects: ClusterObjects, { workload, container, clusterIp }: Found): Promise<NodeCache> {
  const image = container.image ?? '';
  const version = COREDNS_OF_IMAGE[/:v?(\d+\.\d+\.\d+)/.exec(image)?.[1] ?? ''];
  const corefile = await readCorefile(objects, workload, container);
  return {
    kind: 'node-local-dns',
    name: workload.metadata.name,
    image,
    bypassesClusterDns: corefile === undefined || bypasses(corefile.text, clusterIp),
    ...(version !== undefined && { version }),
    ...(corefile && { corefile }),
  };
}

/** Undefined also where it may not be read: it then counts as one that sends external names elsewhere. */
async function readCorefile(
  objects: ClusterObjects,
  workload: KubernetesObject,
  container: ContainerFields,
): Promise<LiveCorefile | undefined> {
  try {
    const template = await readLiveCorefile(objects, { workload, container, path: TEMPLATE_PATH });
    return template ?? (await readLiveCorefile(objects, { workload, container }));
  } catch (err) {
    if (isForbidden(err)) return undefined;
    throw err;
  }
}

/** Whether the block of the root forwards to something else than the cluster DNS; if it cannot be read, that is assumed. */
function bypasses(corefile: string, clusterIp: string): boolean {
  const parsed = parseCorefile(Buffer.from(corefile));
  if ('problem' in parsed) return true;
  const root = parsed.blocks.find(({ keys }) => keys.some((key) => zoneOf(key) === '.'));
  const forward = root?.directives.find(({ name }) => name.text === 'forward');
  const clusterDns = [CLUSTER_DNS_VARIABLE, clusterIp, `${clusterIp}:53`];
  return forward === undefined || !forward.tokens.some(({ text }) => clusterDns.includes(text));
}
