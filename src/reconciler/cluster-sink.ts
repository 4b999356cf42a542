import { FIELD_MANAGER } from '../istio/ownership.js';
import { readServiceEntry, SERVICE_ENTRY_API_VERSIONS, type ServiceEntry } from '../istio/service-entry.js';
import type { KubernetesClient } from '../kubernetes/client.js';
import { discoverVersion } from '../kubernetes/discovery.js';
import { KubernetesError } from '../kubernetes/kubernetes-error.js';
import type { KubernetesResource } from '../kubernetes/kubernetes-object.js';
import { listResource } from '../kubernetes/list.js';
import { applyObject, deleteObject } from '../kubernetes/write.js';
import type { ServiceEntryPlan } from '../plan/service-entry-plan.js';
import { forEachInFlight } from './in-flight.js';
import { ReconcilerError } from './reconciler-error.js';
import { toFailure, type ServiceEntrySink, type SinkFailure, type SinkResult, type SinkState } from './sink.js';

export interface ClusterSinkOptions {
  readonly client: KubernetesClient;
  /** Asked before every batch: whether this process is still the leader. */
  readonly mayWrite: () => boolean;
  /** Only this namespace is read and written. @defaultValue all namespaces */
  readonly namespace?: string;
  /** Batches at a time. @defaultValue 8 */
  readonly inFlight?: number;
}

const GROUP = 'networking.istio.io';
const SERVICE_ENTRIES = { group: GROUP, plural: 'serviceentries' };
const NAMESPACES = { group: '', version: 'v1', plural: 'namespaces' };
/** Entries written after one look at their namespace: few, so that the look is fresh. */
const BATCH_ENTRIES = 8;
const DEFAULT_IN_FLIGHT = 8;
/** Errors that the next entry would meet as well. */
const GENERAL_ERRORS: readonly string[] = [
  'KUBERNETES_ERR_ABORTED',
  'KUBERNETES_ERR_UNREACHABLE',
  'KUBERNETES_ERR_TIMEOUT',
  'KUBERNETES_ERR_UNAUTHORIZED',
  'KUBERNETES_ERR_TOO_MANY_REQUESTS',
  'RECONCILER_ERR_NOT_LEADER',
];

type Kind = 'created' | 'updated';

interface Write {
  readonly kind: Kind;
  readonly entry: ServiceEntry;
  /** Of the object that is updated. */
  readonly uid?: string;
}

/** Writes to the cluster by server-side apply. Never forces, never adopts, never touches what it did not plan for. */
export class ClusterSink implements ServiceEntrySink {
  readonly #options: ClusterSinkOptions;

  constructor(options: ClusterSinkOptions) {
    this.#options = options;
  }

  /** @throws KubernetesError; KUBERNETES_ERR_RESOURCE_ABSENT where Istio's CRDs are not installed */
  async read(signal: AbortSignal): Promise<SinkState> {
    const { client, namespace } = this.#options;
    const version = await this.#discover(signal);
    const resource = { ...SERVICE_ENTRIES, version };
    const { items } = await listResource({ client, resource, signal, ...(namespace !== undefined && { namespace }) });
    // What is no ServiceEntry with hosts covers nothing.
    const entries = items.flatMap((item) => readServiceEntry(item) ?? []);
    const namespaces = namespace === undefined ? await this.#readNamespaces(signal) : new Set([namespace]);
    const apiVersion = SERVICE_ENTRY_API_VERSIONS.find((known) => known === `${GROUP}/${version}`);
    return { entries, ...(namespaces && { namespaces }), ...(apiVersion && { apiVersion }) };
  }

  /** Asked anew on every read: the CRDs may be installed, upgraded or removed at any time. */
  async #discover(signal: AbortSignal): Promise<string> {
    const versions = SERVICE_ENTRY_API_VERSIONS.map((apiVersion) => apiVersion.slice(GROUP.length + 1));
    return discoverVersion({ client: this.#options.client, ...SERVICE_ENTRIES, versions, signal });
  }

  /** Namespaces that take objects; undefined where they may not be read, since each write will tell, too. */
  async #readNamespaces(signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
    try {
      const { client } = this.#options;
      const { items } = await listResource({ client, resource: NAMESPACES, metadataOnly: true, signal });
      return new Set(
        items.filter((item) => item.metadata.deletionTimestamp === undefined).map((item) => item.metadata.name),
      );
    } catch (err) {
      if (err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_FORBIDDEN') return undefined;
      throw err;
    }
  }

  async apply(plan: ServiceEntryPlan, signal: AbortSignal): Promise<SinkResult> {
    const writes: readonly Write[] = [
      ...plan.create.map(({ entry }): Write => ({ kind: 'created', entry })),
      ...plan.update.map(({ entry, current }): Write => {
        const { uid } = current.metadata;
        return { kind: 'updated', entry, ...(uid !== undefined && { uid }) };
      }),
    ];
    const run = new ApplyRun(this.#options, signal);
    const inFlight = this.#options.inFlight ?? DEFAULT_IN_FLIGHT;
    await forEachInFlight(batchesOf(writes), inFlight, async (batch) => run.writeBatch(batch));
    await forEachInFlight(plan.delete, inFlight, async ({ current }) => run.remove(current));
    return run.result();
  }
}

/** One plan on its way to the API server. */
class ApplyRun {
  readonly #options: ClusterSinkOptions;
  readonly #signal: AbortSignal;
  readonly #created: ServiceEntry[] = [];
  readonly #updated: ServiceEntry[] = [];
  readonly #deleted: ServiceEntry[] = [];
  readonly #failures: SinkFailure[] = [];
  /** Set when going on is pointless. */
  #general: Error | undefined;

  constructor(options: ClusterSinkOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  result(): SinkResult {
    const sort = (entries: readonly ServiceEntry[]): readonly ServiceEntry[] =>
      entries.toSorted((a, b) => (keyOf(a.metadata) < keyOf(b.metadata) ? -1 : 1));
    return {
      created: sort(this.#created),
      updated: sort(this.#updated),
      deleted: sort(this.#deleted),
      failures: this.#failures.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    };
  }

  /** Entries of one namespace: one look at what is there now, then the writes. */
  async writeBatch(batch: readonly Write[]): Promise<void> {
    let neighbours: readonly ServiceEntry[];
    try {
      this.#checkFence();
      const [first] = batch;
      neighbours = first === undefined ? [] : await this.#readNamespaceOf(first.entry);
    } catch (err) {
      for (const { entry } of batch) this.#fail(entry, err);
      return;
    }
    for (const write of batch) await this.#guard(write.entry, async () => this.#write(write, neighbours));
  }

  async remove(current: ServiceEntry): Promise<void> {
    await this.#guard(current, async () => {
      const { namespace, name, uid, resourceVersion } = current.metadata;
      if (uid === undefined || resourceVersion === undefined) {
        throw new ReconcilerError('RECONCILER_ERR_NOT_SEEN', 'an object is deleted only in the version that was seen');
      }
      const { client } = this.#options;
      const preconditions = { uid, resourceVersion };
      try {
        await deleteObject({
          client,
          resource: resourceOf(current),
          namespace,
          name,
          preconditions,
          signal: this.#signal,
        });
      } catch (err) {
        if (!(err instanceof KubernetesError) || err.code !== 'KUBERNETES_ERR_NOT_FOUND') throw err;
      }
      this.#deleted.push(current);
    });
  }

  async #guard(entry: ServiceEntry, work: () => Promise<void>): Promise<void> {
    try {
      this.#checkFence();
      await work();
    } catch (err) {
      this.#fail(entry, err);
    }
  }

  #checkFence(): void {
    if (this.#general !== undefined) throw this.#general;
    if (this.#options.mayWrite()) return;
    throw new ReconcilerError('RECONCILER_ERR_NOT_LEADER', 'another process leads now');
  }

  #fail(entry: ServiceEntry, err: unknown): void {
    const failure = toFailure(entry, err);
    if (err instanceof Error && GENERAL_ERRORS.includes(failure.code)) this.#general ??= err;
    this.#failures.push(failure);
  }

  async #readNamespaceOf(entry: ServiceEntry): Promise<readonly ServiceEntry[]> {
    const { client } = this.#options;
    const { namespace } = entry.metadata;
    const { items } = await listResource({ client, resource: resourceOf(entry), namespace, signal: this.#signal });
    return items.flatMap((item) => readServiceEntry(item) ?? []);
  }

  async #write({ kind, entry, uid }: Write, neighbours: readonly ServiceEntry[]): Promise<void> {
    const host = entry.spec.hosts[0] ?? '';
    const namesake = neighbours.find(({ metadata }) => metadata.name === entry.metadata.name);
    // Apply would merge into it.
    if (kind === 'created' && namesake !== undefined) throw nameAppeared();
    const other = neighbours.find(
      (neighbour) => neighbour !== namesake && neighbour.spec.hosts.some((name) => isSameHost(name, host)),
    );
    if (other !== undefined) {
      throw new ReconcilerError('RECONCILER_ERR_HOST_APPEARED', `${keyOf(other.metadata)} has the host by now`);
    }
    const object = uid === undefined ? entry : { ...entry, metadata: { ...entry.metadata, uid } };
    const { client } = this.#options;
    const request = { client, resource: resourceOf(entry), object, fieldManager: FIELD_MANAGER, signal: this.#signal };
    const trial = await applyObject({ ...request, dryRun: true });
    if (kind === 'created' && !trial.isNew) throw nameAppeared();
    if (trial.warnings.length > 0) throw new ReconcilerError('RECONCILER_ERR_WARNING', trial.warnings.join('; '));
    await applyObject(request);
    (kind === 'created' ? this.#created : this.#updated).push(entry);
  }
}

function resourceOf({ apiVersion }: ServiceEntry): KubernetesResource {
  return { ...SERVICE_ENTRIES, version: apiVersion.slice(GROUP.length + 1) };
}

function nameAppeared(): ReconcilerError {
  return new ReconcilerError('RECONCILER_ERR_NAME_APPEARED', 'somebody else has an object of that name by now');
}

/** At most {@link BATCH_ENTRIES} entries of one namespace each, in their order. */
function batchesOf(writes: readonly Write[]): readonly (readonly Write[])[] {
  const batches: Write[][] = [];
  const open = new Map<string, Write[]>();
  for (const write of writes) {
    const { namespace } = write.entry.metadata;
    let batch = open.get(namespace);
    if (batch === undefined || batch.length === BATCH_ENTRIES) {
      batch = [];
      batches.push(batch);
      open.set(namespace, batch);
    }
    batch.push(write);
  }
  return batches;
}

function isSameHost(a: string, b: string): boolean {
  return a.replace(/\.$/, '').toLowerCase() === b.replace(/\.$/, '').toLowerCase();
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
