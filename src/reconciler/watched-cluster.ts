import { isOwned } from '../istio/ownership.js';
import { readServiceEntry, type ServiceEntry } from '../istio/service-entry.js';
import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesError } from '../kubernetes/kubernetes-error.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { isLaterVersion } from '../kubernetes/resource-version.js';
import { ResourceCache } from '../kubernetes/resource-cache.js';
import {
  MESH_KINDS,
  MESH_RESOURCES,
  SERVICE_ENTRIES,
  toSinkState,
  type MeshFacts,
  type MeshKind,
} from './cluster-resources.js';
import type { ClusterState } from './cluster-state.js';
import { Interner } from './interner.js';
import { DELETION_SETTLED_MS, type SinkState } from './sink.js';

export interface WatchedClusterOptions {
  readonly client: KubernetesClient;
  /** Installation whose entries are ours. */
  readonly owner: string;
  /** Only these namespaces are read. @defaultValue all */
  readonly namespaces?: readonly string[];
  /** Something that a plan depends on is different from before. */
  readonly onChange: () => void;
  /** Clock that never jumps. @defaultValue performance.now */
  readonly monotonicMs?: () => number;
  readonly onError: (plural: string, error: KubernetesError, retryInMs: number) => void;
}

const MAX_DELETED = 10_000;

/** Keeps what a plan depends on up to date by watches: a run in which nothing has changed asks the API server nothing. */
export class WatchedCluster implements ClusterState {
  readonly #namespaces: readonly string[] | undefined;
  readonly #monotonicMs: () => number;
  /** One for each namespace, or one for all. */
  readonly #entries: readonly ResourceCache<ServiceEntry>[];
  readonly #mesh = new Map<MeshKind, readonly ResourceCache<MeshFacts>[]>();
  readonly #interner = new Interner();
  readonly #deleted = new Map<string, { readonly entry: ServiceEntry; readonly atMs: number }>();

  constructor(options: WatchedClusterOptions) {
    const { client, namespaces, onChange, monotonicMs = () => performance.now() } = options;
    this.#namespaces = namespaces;
    this.#monotonicMs = monotonicMs;
    const places = (namespaces ?? [undefined]).map((namespace) => (namespace === undefined ? {} : { namespace }));
    this.#entries = places.map((place) => this.#cacheEntries(place, options));
    for (const kind of MESH_KINDS) {
      // Of no namespace, so who may read some namespaces only may not read them.
      if (kind === 'namespaces' && namespaces !== undefined) continue;
      const resource = MESH_RESOURCES[kind];
      const select = (object: KubernetesObject): MeshFacts | undefined =>
        resource.read({ ...object, kind: resource.kind });
      const onError = (error: KubernetesError, delayMs: number): void => {
        if (!isAbsent(error)) options.onError(resource.plural, error, delayMs);
      };
      const caches = places.map(
        (place) => new ResourceCache({ client, ...resource, ...place, select, onChange, onError }),
      );
      this.#mesh.set(kind, caches);
    }
  }

  #cacheEntries(
    place: { readonly namespace?: string },
    { client, owner, onChange, onError }: WatchedClusterOptions,
  ): ResourceCache<ServiceEntry> {
    return new ResourceCache({
      client,
      ...SERVICE_ENTRIES,
      ...place,
      // What is no ServiceEntry with hosts covers nothing.
      select: (object) => readServiceEntry(this.#interner.intern(object)),
      onChange,
      onDeleted: (entry) => {
        const { namespace, name } = entry.metadata;
        if (!isOwned(entry, owner)) return;
        if (this.#deleted.size >= MAX_DELETED) this.#deleted.clear(); // nobody leads here and reads them
        this.#deleted.set(`${namespace}/${name}`, { entry, atMs: this.#monotonicMs() });
      },
      onError: (error, retryInMs) => {
        this.#deleted.clear(); // they may have gone with what is wrong now
        onError(SERVICE_ENTRIES.plural, error, retryInMs);
      },
    });
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const caches = [...this.#entries, ...[...this.#mesh.values()].flat()];
    await Promise.all(caches.map(async (cache) => cache.run(signal)));
  }

  /** @throws KubernetesError; KUBERNETES_ERR_RESOURCE_ABSENT where Istio's CRDs are not installed */
  async read(): Promise<SinkState> {
    const entries = this.#entries.flatMap((cache) => cache.read());
    const facts = new Map<MeshKind, readonly MeshFacts[]>();
    for (const [kind, caches] of this.#mesh) {
      const known = factsOf(caches);
      if (known !== undefined) facts.set(kind, known);
    }
    const version = this.#entries[0]?.version;
    const versions = this.#entries.flatMap(({ resourceVersion }) => resourceVersion ?? []);
    const clusterVersion = versions.reduce<string | undefined>(earlier, undefined);
    const state = toSinkState({ entries, version, facts, namespaces: this.#namespaces, clusterVersion });
    return { ...state, deletedByOthers: this.#readDeleted() };
  }

  /** Each is told until it has settled, and at least once after that. */
  #readDeleted(): readonly ServiceEntry[] {
    const toldMs = this.#monotonicMs() - 2 * DELETION_SETTLED_MS;
    return [...this.#deleted].map(([key, { entry, atMs }]) => {
      if (atMs <= toldMs) this.#deleted.delete(key);
      return entry;
    });
  }

  isLive(): boolean {
    return this.#entries.every(({ isCurrent }) => isCurrent);
  }

  *entriesIn(namespace: string): Iterable<ServiceEntry> {
    for (const cache of this.#entries) yield* cache.readNamespace(namespace);
  }

  wrote(object: KubernetesObject): void {
    this.#cacheOf(object.metadata.namespace)?.remember(object);
  }

  async deleting(entry: ServiceEntry, work: () => Promise<void>): Promise<void> {
    const { namespace, name } = entry.metadata;
    const cache = this.#cacheOf(namespace);
    await (cache === undefined ? work() : cache.deleting(namespace, name, work));
  }

  #cacheOf(namespace: string | undefined): ResourceCache<ServiceEntry> | undefined {
    if (this.#namespaces === undefined) return this.#entries[0];
    return this.#entries[this.#namespaces.indexOf(namespace ?? '')];
  }
}

function earlier(one: string | undefined, other: string): string {
  return one === undefined || isLaterVersion(one, other) ? other : one;
}

/** Undefined where the kind may not be read; none where it is not installed. */
function factsOf(caches: readonly ResourceCache<MeshFacts>[]): readonly MeshFacts[] | undefined {
  if (caches.some(({ fault }) => fault?.code === 'KUBERNETES_ERR_FORBIDDEN')) return undefined;
  return caches.flatMap((cache) => (isAbsent(cache.fault) ? [] : cache.read()));
}

function isAbsent(error: KubernetesError | undefined): boolean {
  return error?.code === 'KUBERNETES_ERR_RESOURCE_ABSENT';
}
