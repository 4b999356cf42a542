import type { KubernetesClient } from '../kubernetes/client.js';
import { KubernetesError, type KubernetesErrorCode } from '../kubernetes/kubernetes-error.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { listResource } from '../kubernetes/list.js';
import { replaceObject } from '../kubernetes/objects.js';
import type { Logger } from '../telemetry/logger.js';
import { FIELD_MANAGER } from './cluster-changes.js';
import { PODS } from './dns-workload.js';

/**
 * How long a pod is left in its Service after it began to end: the proxies of the nodes send nothing new to it by then, and
 * what they had sent is answered. Well under the lameduck time of 5 s that kubeadm's Corefile has.
 */
const DRAIN_MS = 1500;

/** Changed in between, gone already, or not allowed: then it ends as it would have without us. */
const HARMLESS: ReadonlySet<KubernetesErrorCode> = new Set([
  'KUBERNETES_ERR_CONFLICT',
  'KUBERNETES_ERR_FORBIDDEN',
  'KUBERNETES_ERR_NOT_FOUND',
]);

export interface HandOverOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** Of the pods of CoreDNS. */
  readonly labelSelector: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Lets pods of CoreDNS end without losing a look-up.
 *
 * A pod that ends stays an endpoint of its Service until it is gone, and so long kube-proxy keeps what conntrack knows of the
 * UDP ports that were sent to it (kubernetes/kubernetes pkg/proxy/conntrack/cleanup.go): a client that happens to use such a
 * port again asks a CoreDNS that has closed its socket. So each pod that is being deleted loses the labels by which the Service
 * finds it while it still answers, and conntrack forgets it in time.
 */
export class HandOver {
  readonly #options: HandOverOptions;
  /** When each pod was first seen to end, by name; on the clock of `performance.now`. */
  readonly #firstSeenMs = new Map<string, number>();
  readonly #refused = new Set<string>();

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  /**
   * Takes out of the Service what has been ending for long enough; to be called again and again during a rollout. Returns
   * whether no pod is left to be taken out.
   *
   * @throws KubernetesError
   */
  async takeOut(): Promise<boolean> {
    const { items } = await listResource({ ...this.#options, resource: PODS });
    const ending = items.filter(
      ({ metadata }) => metadata.deletionTimestamp !== undefined && !this.#refused.has(metadata.name),
    );
    for (const pod of ending) {
      if (this.#endingForMs(pod) >= DRAIN_MS) await this.#takeOut(pod);
    }
    return ending.length === 0;
  }

  /** At least so long: as we saw it, or, for what began before we did, as the API server's clock has it. */
  #endingForMs({ metadata }: KubernetesObject): number {
    const nowMs = performance.now();
    const firstSeenMs = this.#firstSeenMs.get(metadata.name) ?? nowMs;
    this.#firstSeenMs.set(metadata.name, firstSeenMs);
    return Math.max(nowMs - firstSeenMs, Date.now() - deletedAtMs(metadata));
  }

  async #takeOut(pod: KubernetesObject): Promise<void> {
    const { client, labelSelector, log, signal } = this.#options;
    const selected = new Set(labelSelector.split(',').map((label) => label.split('=')[0] ?? ''));
    const labels = Object.entries((pod.metadata['labels'] ?? {}) as Readonly<Record<string, string>>); // by the API's types
    const kept = Object.fromEntries(labels.filter(([label]) => !selected.has(label)));
    const object = { ...pod, apiVersion: 'v1', kind: 'Pod', metadata: { ...pod.metadata, labels: kept } };
    try {
      await replaceObject({ client, resource: PODS, object, fieldManager: FIELD_MANAGER, signal });
      log.debug({ pod: pod.metadata.name }, 'taken out of the Service');
    } catch (err) {
      if (!(err instanceof KubernetesError && HARMLESS.has(err.code))) throw err;
      log.debug({ err, pod: pod.metadata.name }, 'not taken out of the Service');
      if (err.code !== 'KUBERNETES_ERR_CONFLICT') this.#refused.add(pod.metadata.name);
    }
  }
}

/** At the latest: the API has whole seconds. */
function deletedAtMs({ deletionTimestamp = '', ...metadata }: KubernetesObject['metadata']): number {
  const graceSeconds = Number(metadata['deletionGracePeriodSeconds'] ?? 0);
  return Date.parse(deletionTimestamp) - graceSeconds * 1000 + 1000;
}
