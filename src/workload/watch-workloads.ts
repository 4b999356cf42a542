import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesError } from '../kubernetes/kubernetes-error.js';
import type { KubernetesObject as RawObject } from '../kubernetes/kubernetes-object.js';
import { watchResource } from '../kubernetes/watch.js';
import { readKubernetesObject, WORKLOAD_KINDS, type KubernetesObject } from './kubernetes-object.js';
import type { PodIndex } from './pod-index.js';

type WorkloadKind = (typeof WORKLOAD_KINDS)[number];

export interface WorkloadWatchOptions {
  readonly client: KubernetesClient;
  readonly index: PodIndex;
  /** Only these namespaces are read. @defaultValue all */
  readonly namespaces?: readonly string[];
  readonly now: () => number;
  readonly onError: (kind: WorkloadKind, error: KubernetesError, retryInMs: number) => void;
}

/**
 * Of owners only the metadata counts; addresses and container times are in the status of pods and nodes, schedules in the
 * spec of CronJobs.
 */
const RESOURCES = {
  Pod: { group: '', version: 'v1', plural: 'pods', metadataOnly: false },
  Node: { group: '', version: 'v1', plural: 'nodes', metadataOnly: false },
  ReplicaSet: { group: 'apps', version: 'v1', plural: 'replicasets', metadataOnly: true },
  Job: { group: 'batch', version: 'v1', plural: 'jobs', metadataOnly: true },
  CronJob: { group: 'batch', version: 'v1', plural: 'cronjobs', metadataOnly: false },
} as const;

/**
 * Keeps a {@link PodIndex} up to date from the API server.
 *
 * Only Pods are needed. Without the right to read Nodes, ReplicaSets or Jobs attribution says a little less: a node's
 * address is also in its pods, and the name of a Deployment in the name of its ReplicaSet. Without that to read CronJobs
 * their periods are those of their look-ups.
 */
export class WorkloadWatch {
  readonly #options: WorkloadWatchOptions;
  /** The namespaces whose pods are known, undefined for all of them. */
  readonly #current = new Set<string | undefined>();
  readonly #places: readonly (string | undefined)[];

  constructor(options: WorkloadWatchOptions) {
    this.#options = options;
    this.#places = options.namespaces ?? [undefined];
  }

  /**
   * Whether the index holds what the API server knows about pods. While it does not, an address that nobody is known to
   * have says nothing, and attribution has to wait.
   */
  isCurrent(): boolean {
    return this.#current.size === this.#places.length;
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const watches = this.#places.flatMap((namespace) => {
      // Nodes are of no namespace, so who may read some namespaces only may not read them.
      const kinds = WORKLOAD_KINDS.filter((kind) => kind !== 'Node' || namespace === undefined);
      return kinds.map(async (kind) => this.#watch(kind, namespace, signal));
    });
    await Promise.all(watches);
  }

  async #watch(kind: WorkloadKind, namespace: string | undefined, signal: AbortSignal): Promise<void> {
    const { client, index, now, onError } = this.#options;
    const { metadataOnly, ...resource } = RESOURCES[kind];
    const place = namespace === undefined ? {} : { namespace };
    await watchResource({
      client,
      resource,
      metadataOnly,
      ...place,
      signal,
      select: (object) => read(kind, object),
      onList: (objects) => index.applyList({ kind, objects, ...place, atMs: now() }),
      onEvent: (type, object) => index.apply({ atMs: now(), type, object }),
      onCurrent: (isCurrent) => {
        if (kind !== 'Pod') return;
        if (isCurrent) this.#current.add(namespace);
        else this.#current.delete(namespace);
      },
      onError: (error, retryInMs) => onError(kind, error, retryInMs),
    });
  }
}

/** Objects of which only the metadata was asked for call themselves PartialObjectMetadata. */
function read(kind: WorkloadKind, object: RawObject): KubernetesObject | undefined {
  const facts = readKubernetesObject({ ...object, kind });
  return 'skipped' in facts ? undefined : facts;
}
