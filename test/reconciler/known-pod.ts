import { readKubernetesObject } from '../../src/workload/kubernetes-object.js';
import type { PodIndex } from '../../src/workload/pod-index.js';

export interface KnownPod {
  readonly namespace: string;
  readonly address: string;
  /** Since when it has run (Unix milliseconds). */
  readonly startedMs: number;
}

/** Makes a pod known that runs at an address. */
export function knowPod(index: PodIndex, { namespace, address, startedMs }: KnownPod): void {
  const started = new Date(startedMs).toISOString();
  const object = readKubernetesObject({
    kind: 'Pod',
    metadata: { name: 'web-0', namespace, uid: `${namespace}-${address}`, creationTimestamp: started },
    spec: { nodeName: 'node' },
    status: { phase: 'Running', podIP: address, startTime: started },
  });
  if ('skipped' in object) throw new Error(object.skipped);
  index.apply({ atMs: startedMs, type: 'ADDED', object });
}
