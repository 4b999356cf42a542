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

/**
 * Makes a pod that runs at an address. No kubelet is there to report its status, so this does.
 */
export async function createRunningPod(server: KubeApiserver, pod: RunningPod): Promise<void> {
  const { namespace, name, podIp, hostIp = '192.0.2.250', hostNetwork = false, labels = {} } = pod;
  const manifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels, ownerReferences: pod.ownerReferences ?? [] },
    spec: { nodeName: 'node', hostNetwork, containers: [{ name: 'main', image: 'example.com/main:1' }] },
  };
  const status = {
    phase: 'Running',
    podIP: podIp,
    podIPs: [{ ip: podIp }],
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    startTime: new Date().toISOString(),
    conditions: [{ type: 'Ready', status: 'True' }],
  };
  await server.kubectl(['create', '-f', '-'], JSON.stringify(manifest));
  const patch = ['--subresource=status', '--type=merge', '--patch', JSON.stringify({ status })];
  await server.kubectl(['patch', 'pod', name, `--namespace=${namespace}`, ...patch]);
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
export async function createOwner(server: KubeApiserver, { kind, namespace, name, owner }: Owner): Promise<object> {
  const labels = { app: name };
  const manifest = {
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
  const created: { metadata: { uid: string } } = JSON.parse(
    await server.kubectl(['create', '-f', '-', '-o', 'json'], JSON.stringify(manifest)),
  );
  return { apiVersion: 'apps/v1', kind, name, uid: created.metadata.uid, controller: true };
}
