import { readServiceEntry, type ServiceEntry } from '../istio/service-entry.js';
import type { KubernetesClient } from '../kubernetes/client.js';
import { discoverVersion } from '../kubernetes/discovery.js';
import { KubernetesError } from '../kubernetes/kubernetes-error.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { listSelected } from '../kubernetes/list.js';
import {
  MESH_KINDS,
  MESH_RESOURCES,
  SERVICE_ENTRIES,
  toSinkState,
  type ClusterResource,
  type MeshFacts,
  type MeshKind,
} from './cluster-resources.js';
import type { SinkState } from './sink.js';

/** Where a cluster sink knows the cluster from, and whom it tells of its own writes. */
export interface ClusterState {
  /** Rejects rather than giving a part: a partial read plans nothing. */
  read(signal: AbortSignal): Promise<SinkState>;
  /** Whether {@link entriesIn} knows everything, some milliseconds after the API server. */
  isLive(): boolean;
  /** Entries of a namespace that are known without asking, if any are. */
  entriesIn(namespace: string): Iterable<ServiceEntry>;
  wrote(object: KubernetesObject): void;
  /** Runs what deletes an entry. */
  deleting(entry: ServiceEntry, work: () => Promise<void>): Promise<void>;
}

export interface ListedClusterOptions {
  readonly client: KubernetesClient;
  /** Only these namespaces are read. @defaultValue all */
  readonly namespaces?: readonly string[];
}

/** Reads the cluster anew each time: for what runs once. */
export class ListedCluster implements ClusterState {
  readonly #options: ListedClusterOptions;

  constructor(options: ListedClusterOptions) {
    this.#options = options;
  }

  /** @throws KubernetesError; KUBERNETES_ERR_RESOURCE_ABSENT where Istio's CRDs are not installed */
  async read(signal: AbortSignal): Promise<SinkState> {
    const { namespaces } = this.#options;
    // What is no ServiceEntry with hosts covers nothing.
    const { items, version, clusterVersion } = await this.#list(SERVICE_ENTRIES, readServiceEntry, signal);
    const facts = new Map<MeshKind, readonly MeshFacts[]>();
    for (const kind of MESH_KINDS) {
      const known = await this.#readMesh(kind, signal);
      if (known !== undefined) facts.set(kind, known);
    }
    return toSinkState({ entries: items, version, facts, namespaces, clusterVersion });
  }

  /** The facts of a kind; undefined where it may not be read. */
  async #readMesh(kind: MeshKind, signal: AbortSignal): Promise<readonly MeshFacts[] | undefined> {
    const resource = MESH_RESOURCES[kind];
    // Of no namespace, so who may read some namespaces only may not read them.
    if (kind === 'namespaces' && this.#options.namespaces !== undefined) return undefined;
    try {
      const select = (object: KubernetesObject): MeshFacts | undefined =>
        resource.read({ ...object, kind: resource.kind });
      return (await this.#list(resource, select, signal)).items;
    } catch (err) {
      if (!(err instanceof KubernetesError)) throw err;
      if (err.code === 'KUBERNETES_ERR_RESOURCE_ABSENT') return [];
      if (err.code === 'KUBERNETES_ERR_FORBIDDEN') return undefined;
      throw err;
    }
  }

  async #list<T>(
    resource: ClusterResource & { readonly metadataOnly?: true },
    select: (object: KubernetesObject) => T | undefined,
    signal: AbortSignal,
  ): Promise<{
    readonly items: readonly T[];
    readonly version: string;
    readonly clusterVersion: string | undefined;
  }> {
    const { client, namespaces } = this.#options;
    const version = await discoverVersion({ client, ...resource, signal });
    const items: T[] = [];
    let clusterVersion: string | undefined;
    for (const namespace of namespaces ?? [undefined]) {
      const options = { client, ...resource, resource: { ...resource, version }, signal };
      const list = await listSelected({ ...options, ...(namespace !== undefined && { namespace }) }, select);
      items.push(...list.items);
      clusterVersion ??= list.resourceVersion; // of the first, which is the earliest
    }
    return { items, version, clusterVersion };
  }

  isLive(): boolean {
    return false;
  }

  entriesIn(): readonly ServiceEntry[] {
    return [];
  }

  wrote(): void {
    // The next read finds out.
  }

  async deleting(_entry: ServiceEntry, work: () => Promise<void>): Promise<void> {
    await work();
  }
}
