import { readKubernetesObject } from '../../src/workload/kubernetes-object.js';
import type { ObjectEvent, ObjectEventType } from '../../src/workload/object-event.js';
import { ScenarioError, type ScenarioCronJob, type ScenarioPod } from './scenario-schema.js';

export interface PodTimes {
  /** When the API server tells of it. */
  readonly atMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs?: number;
}

const TEMPLATE_HASH = '5d9c7b8f6d';

/** A pod and the objects between it and its controller, as the API server tells of them. */
export function podEvents(name: string, pod: ScenarioPod, times: PodTimes): readonly ObjectEvent[] {
  const [namespace = '', podName = ''] = name.split('/');
  const [kind, owner = ''] = pod.owner?.split('/') ?? [];
  const chain = kind === undefined ? [] : ownersOf(namespace, kind, owner);
  const reference = kind === undefined ? {} : controllerReference(chain.at(-1) ?? { kind, name: owner });
  const json = {
    kind: 'Pod',
    metadata: {
      name: podName,
      namespace,
      uid: `pod-${name}-${pod.ips?.[0] ?? pod.ip}`,
      creationTimestamp: timestamp(times.startedAtMs),
      labels: { ...pod.labels, ...(kind === 'Deployment' ? { 'pod-template-hash': TEMPLATE_HASH } : {}) },
      ...reference,
    },
    spec: { nodeName: pod.node, hostNetwork: pod.hostNetwork, dnsPolicy: pod.dnsPolicy, dnsConfig: pod.dnsConfig },
    status: podStatus(pod, times),
  };
  return [...chain, json].map((object) => event(times.atMs, 'ADDED', object));
}

function podStatus({ ip, ips = ip === undefined ? [] : [ip], phase }: ScenarioPod, times: PodTimes): object {
  return {
    phase,
    startTime: timestamp(times.startedAtMs),
    podIP: ips[0],
    podIPs: ips.map((address) => ({ ip: address })),
    containerStatuses: [{ name: 'main', restartCount: 0, state: containerState(times) }],
  };
}

/** The deletion of a pod that was there before. */
export function deletionOf(added: ObjectEvent, atMs: number): ObjectEvent {
  return { ...added, atMs, type: 'DELETED' };
}

export function cronJobEvent(path: string, spec: ScenarioCronJob | null, atMs: number): ObjectEvent {
  const [namespace, name] = path.split('/');
  const json = { kind: 'CronJob', metadata: { namespace, name, uid: `CronJob-${path}` }, spec };
  return event(atMs, spec === null ? 'DELETED' : 'ADDED', json);
}

export function nodeEvent(name: string, address: string, atMs: number): ObjectEvent {
  return event(atMs, 'ADDED', {
    kind: 'Node',
    metadata: { name, uid: `node-${name}`, creationTimestamp: timestamp(atMs) },
    status: { addresses: [{ type: 'InternalIP', address }] },
  });
}

/** What stands between a controller and its pods, nearest to the pod last. */
function ownersOf(namespace: string, kind: string, name: string): readonly Owner[] {
  const between: Readonly<Record<string, string>> = { Deployment: 'ReplicaSet', Rollout: 'ReplicaSet', CronJob: 'Job' };
  const middle = between[kind];
  if (middle === undefined) return [];
  const middleName = `${name}-${middle === 'Job' ? '29000000' : TEMPLATE_HASH}`;
  const metadata = { name: middleName, namespace, uid: `${middle}-${name}`, ...controllerReference({ kind, name }) };
  return [{ kind: middle, name: middleName, metadata }];
}

interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly metadata?: { readonly uid: string };
}

function controllerReference({ kind, name, metadata }: Owner): object {
  return { ownerReferences: [{ kind, name, uid: metadata?.uid ?? `${kind}-${name}`, controller: true }] };
}

function containerState({ startedAtMs, finishedAtMs }: PodTimes): object {
  const startedAt = timestamp(startedAtMs);
  if (finishedAtMs === undefined) return { running: { startedAt } };
  return { terminated: { startedAt, finishedAt: timestamp(finishedAtMs) } };
}

/** Whole seconds, as Kubernetes writes times. */
function timestamp(atMs: number): string {
  return new Date(Math.floor(atMs / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

function event(atMs: number, type: ObjectEventType, json: object): ObjectEvent {
  const object = readKubernetesObject(json);
  if ('skipped' in object) throw new ScenarioError(`an object of the scenario is skipped: ${object.skipped}`);
  return { atMs, type, object };
}
