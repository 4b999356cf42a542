import { readKubernetesObject, type KubernetesObject } from '../../src/workload/kubernetes-object.js';
import type { ObjectEvent, ObjectEventType } from '../../src/workload/object-event.js';
import { PodIndex } from '../../src/workload/pod-index.js';

/** 2026-01-05 10:00:00 UTC; the times of the tests are seconds after it. */
const START_MS = Date.UTC(2026, 0, 5, 10);

export function ms(seconds: number): number {
  return START_MS + seconds * 1000;
}

/** As Kubernetes writes times: whole seconds, rounded down. */
export function time(seconds: number): string {
  return new Date(ms(Math.floor(seconds))).toISOString().replace('.000Z', 'Z');
}

export interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly uid?: string;
}

export interface PodSpec {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly owner?: Owner;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ip?: string;
  readonly ips?: readonly string[];
  readonly node?: string;
  readonly hostIp?: string;
  readonly hostNetwork?: boolean;
  readonly phase?: string;
  /** Seconds. */
  readonly start?: number;
  readonly container?: number;
  readonly finish?: number;
  readonly restarts?: number;
  readonly deletion?: number;
}

/** A pod as the API server shows it. */
export function podJson(pod: PodSpec): object {
  const { name = 'web', namespace = 'shop', start = 0 } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: pod.uid ?? `uid-${name}`,
      creationTimestamp: time(start),
      labels: pod.labels,
      annotations: pod.annotations,
      ...ownerReferences(pod.owner),
      ...(pod.deletion === undefined ? {} : { deletionTimestamp: time(pod.deletion), deletionGracePeriodSeconds: 30 }),
    },
    spec: { nodeName: pod.node ?? 'node-1', hostNetwork: pod.hostNetwork },
    status: {
      phase: pod.phase ?? 'Running',
      startTime: time(start),
      hostIP: pod.hostIp ?? '192.0.2.1',
      podIP: pod.ip,
      podIPs: (pod.ips ?? (pod.ip === undefined ? [] : [pod.ip])).map((ip) => ({ ip })),
      containerStatuses: containerStatuses(pod),
    },
  };
}

function containerStatuses({ container, finish, restarts = 0 }: PodSpec): readonly object[] {
  if (container === undefined && finish === undefined) return [];
  const startedAt = container === undefined ? undefined : time(container);
  const state =
    finish === undefined ? { running: { startedAt } } : { terminated: { startedAt, finishedAt: time(finish) } };
  return [{ name: 'main', restartCount: restarts, state }];
}

function ownerReferences(owner: Owner | undefined): object {
  if (owner === undefined) return {};
  const uid = owner.uid ?? `uid-${owner.name}`;
  return { ownerReferences: [{ ...owner, uid, controller: true }] };
}

export function ownedJson({ kind, name, uid, owner }: Owner & { readonly owner?: Owner }): object {
  return { kind, metadata: { name, namespace: 'shop', uid: uid ?? `uid-${name}`, ...ownerReferences(owner) } };
}

export function nodeJson(name: string, address: string, start = 0): object {
  return {
    kind: 'Node',
    metadata: { name, uid: `uid-${name}`, creationTimestamp: time(start) },
    status: {
      addresses: [
        { type: 'InternalIP', address },
        { type: 'ExternalIP', address: '198.51.100.1' },
        { type: 'Hostname', address: name },
      ],
    },
  };
}

export function object(json: object): KubernetesObject {
  const read = readKubernetesObject(json);
  if ('skipped' in read) throw new Error(`the test's object is skipped: ${read.skipped}`);
  return read;
}

/** An event heard of `seconds` after the start. */
export function event(seconds: number, type: ObjectEventType, json: object): ObjectEvent {
  return { atMs: ms(seconds), type, object: object(json) };
}

/** Objects of a list: all ADDED, heard of long after they began. */
export function indexOf(...objects: readonly object[]): PodIndex {
  return indexAfter(...objects.map((json) => event(1000, 'ADDED', json)));
}

export function indexAfter(...events: readonly ObjectEvent[]): PodIndex {
  const index = new PodIndex();
  for (const event of events) index.apply(event);
  return index;
}

/** `namespace/name` of the pod that had the address, `node NAME`, `ambiguous` or `nobody`. */
export function holder(index: PodIndex, address: string, seconds: number): string {
  const found = index.find(address, ms(seconds));
  if (found === undefined) return 'nobody';
  if ('ambiguous' in found) return 'ambiguous';
  return 'node' in found ? `node ${found.node}` : `${found.pod.namespace}/${found.pod.name}`;
}
