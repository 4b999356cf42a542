import { hostname } from 'node:os';
import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { listResource } from '../kubernetes/list.js';
import { isForbidden } from './cluster-objects.js';
import { PODS } from './dns-workload.js';

/** Of the pods of the chart's Jobs. */
const LABELS = 'app.kubernetes.io/name=istio-discovery,app.kubernetes.io/component=installer';

interface Pod extends KubernetesObject {
  readonly status?: { readonly phase?: string };
}

/**
 * Whether a pod of one of our Jobs runs, other than this process's own. One that has not begun yet does not count; nor does
 * any for somebody who may not list them.
 *
 * @throws KubernetesError
 */
export async function isAnotherInstallerRunning(options: {
  readonly client: KubernetesClient;
  /** Our own namespace. */
  readonly namespace: string;
  readonly signal: AbortSignal;
}): Promise<boolean> {
  try {
    const { items } = await listResource({ ...options, resource: PODS, labelSelector: LABELS });
    return (items as readonly Pod[]).some(
      ({ metadata, status }) => status?.phase === 'Running' && metadata.name !== hostname(),
    );
  } catch (err) {
    if (isForbidden(err)) return false;
    throw err;
  }
}
