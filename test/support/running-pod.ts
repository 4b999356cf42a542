import type { KubeApiserver } from './kube-apiserver.js';

/** A pod as the API server is to know it. */
export interface RunningPod {
  readonly namespace: string;
  readonly name: string;
  readonly podIp: string;
  readonly hostIp?: string;
  readonly hostNetwork?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly object[];
}

/** Makes a pod that runs at an address. No kubelet is there to report its status, so this does. */
export async function createRunningPod(server: KubeApiserver, pod: RunningPod): Promise<void> {
  await createRunningPods(server, [pod]);
}

/** The same for many: a run of kubectl costs more than what it does. */
export async function createRunningPods(server: KubeApiserver, pods: readonly RunningPod[]): Promise<void> {
  const manifests = pods.map(manifestOf);
  await server.kubectl(['create', '-f', '-'], listOf(manifests));
  const running = manifests.map((manifest, index) => ({ ...manifest, status: statusOf(pods[index] as RunningPod) })); // one each
  await server.kubectl(['replace', '--subresource=status', '-f', '-'], listOf(running));
}

function manifestOf({ namespace, name, hostNetwork = false, labels = {}, ownerReferences = [] }: RunningPod): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels, ownerReferences },
    spec: { nodeName: 'node', hostNetwork, containers: [{ name: 'main', image: 'example.com/main:1' }] },
  };
}

function statusOf({ podIp, hostIp = '192.0.2.250' }: RunningPod): object {
  return {
    phase: 'Running',
    podIP: podIp,
    podIPs: [{ ip: podIp }],
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    startTime: new Date().toISOString(),
    conditions: [{ type: 'Ready', status: 'True' }],
  };
}

function listOf(items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** What pods belong to. */
export interface Owner {
  readonly kind: 'Deployment' | 'ReplicaSet' | 'StatefulSet';
  readonly namespace: string;
  readonly name: string;
  /** The reference to its own owner. */
  readonly owner?: object;
}

/** Makes an owner. No controller is there, so it has no pods of its own. @returns the reference to it for `ownerReferences` */
export async function createOwner(server: KubeApiserver, owner: Owner): Promise<object> {
  const [reference = {}] = await createOwners(server, [owner]);
  return reference;
}

/** The same for many. */
export async function createOwners(server: KubeApiserver, owners: readonly Owner[]): Promise<readonly object[]> {
  const uids = await server.kubectl(
    ['create', '-f', '-', '-o', 'jsonpath={.metadata.uid}{"\\n"}'],
    listOf(owners.map(ownerManifest)),
  );
  return uids
    .split('\n')
    .filter((uid) => uid !== '')
    .map((uid, index) => ({
      apiVersion: 'apps/v1',
      kind: owners[index]?.kind,
      name: owners[index]?.name,
      uid,
      controller: true,
    }));
}

function ownerManifest({ kind, namespace, name, owner }: Owner): object {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace, ...(owner === undefined ? {} : { ownerReferences: [owner] }) },
    spec: {
      replicas: 1,
      ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'example.com/main:1' }] } },
    },
  };
}
