import { FIELD_MANAGER } from '../istio/ownership.js';
import { readServiceEntry, type ServiceEntry } from '../istio/service-entry.js';
import { backoffMs, pause } from '../kubernetes/backoff.js';
import type { KubernetesClient } from '../kubernetes/client.js';
import { KubernetesError, type KubernetesErrorCode } from '../kubernetes/kubernetes-error.js';
import { listResource } from '../kubernetes/list.js';
import type { TokenBucket } from '../kubernetes/token-bucket.js';
import { applyObject, deleteObject, type Applied } from '../kubernetes/write.js';
import { resourceOf } from './cluster-resources.js';
import type { ClusterState } from './cluster-state.js';
import type { PostponedEntries } from './postponed-entries.js';
import { ReconcilerError } from './reconciler-error.js';
import { toFailure, type SinkFailure } from './sink.js';

/** One entry that is to be as planned. */
export interface Change {
  readonly kind: 'created' | 'updated' | 'deleted';
  /** As it should be; of a delete, as it is. */
  readonly entry: ServiceEntry;
  /** Of an update: the object that was seen, and no other one, is changed. */
  readonly seen?: { readonly uid?: string; readonly resourceVersion?: string };
}

export interface ApplyRunOptions {
  readonly client: KubernetesClient;
  readonly state: ClusterState;
  readonly mayWrite: () => boolean;
  readonly bucket: TokenBucket;
  readonly postponed: PostponedEntries;
  readonly signal: AbortSignal;
}

/** Errors that the next entry would meet as well: the rest of the run is given up. */
const GENERAL_ERRORS: ReadonlySet<string> = new Set([
  'KUBERNETES_ERR_ABORTED',
  'KUBERNETES_ERR_UNREACHABLE',
  'KUBERNETES_ERR_TIMEOUT',
  'KUBERNETES_ERR_UNAUTHORIZED',
  'KUBERNETES_ERR_TOO_MANY_REQUESTS',
  'RECONCILER_ERR_NOT_LEADER',
]);
/** After these nothing was changed, whatever the request was. */
const REFUSED_UNDONE: ReadonlySet<KubernetesErrorCode> = new Set(['KUBERNETES_ERR_TOO_MANY_REQUESTS']);
/** After these nothing was changed if the request changes nothing. */
const PASSING: ReadonlySet<KubernetesErrorCode> = new Set([
  'KUBERNETES_ERR_SERVER',
  'KUBERNETES_ERR_TIMEOUT',
  'KUBERNETES_ERR_TOO_MANY_REQUESTS',
  'KUBERNETES_ERR_UNREACHABLE',
]);
const MAX_TRIES = 4;
const RETRY_BASE_MS = 200;
const RETRY_MAX_MS = 5000;
/** A server that asks for more is taken at its word by giving up the run; the next one comes later. */
const LONGEST_RETRY_AFTER_MS = 30_000;

/** One plan on its way to the API server. */
export class ApplyRun {
  readonly done: Change[] = [];
  readonly failures: SinkFailure[] = [];
  readonly #options: ApplyRunOptions;
  /** Set when going on is pointless. */
  #general: Error | undefined;

  constructor(options: ApplyRunOptions) {
    this.#options = options;
  }

  /** Entries of one namespace: one look at what is there now, then the writes. */
  async writeBatch(batch: readonly Change[]): Promise<void> {
    let neighbours: readonly ServiceEntry[];
    try {
      const [first] = batch;
      neighbours = first === undefined ? [] : await this.#retrying(PASSING, async () => this.#readNeighbours(first));
    } catch (err) {
      for (const change of batch) this.#fail(change, err);
      return;
    }
    for (const change of batch) await this.#carryOut(change, async () => this.#write(change, neighbours));
  }

  async remove(entry: ServiceEntry): Promise<void> {
    await this.#carryOut({ kind: 'deleted', entry }, async () => this.#remove(entry));
  }

  async #carryOut(change: Change, work: () => Promise<void>): Promise<void> {
    try {
      await this.#options.bucket.take(this.#options.signal);
      await work();
      this.done.push(change);
      this.#options.postponed.succeed(keyOf(change.entry.metadata));
    } catch (err) {
      this.#fail(change, err);
    }
  }

  #fail(change: Change, err: unknown): void {
    const { entry } = change;
    const failure = toFailure(entry, err);
    this.failures.push(failure);
    const isGeneral = err instanceof Error && GENERAL_ERRORS.has(failure.code);
    if (isGeneral) this.#general ??= err;
    // What is wrong with all of them is no reason to keep one of them waiting.
    else this.#options.postponed.fail(keyOf(entry.metadata), JSON.stringify(change), failure);
  }

  /** Tries again after errors that pass, as long as this process leads. */
  async #retrying<T>(passing: ReadonlySet<KubernetesErrorCode>, work: () => Promise<T>): Promise<T> {
    const { bucket, signal } = this.#options;
    for (let tries = 1; ; tries += 1) {
      this.#checkFence();
      try {
        return await work();
      } catch (err) {
        if (!(err instanceof KubernetesError) || !passing.has(err.code) || tries === MAX_TRIES) throw err;
        const { retryAfterMs = 0 } = err;
        if (retryAfterMs > LONGEST_RETRY_AFTER_MS) throw err;
        const delayMs = backoffMs(tries, { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random: Math.random });
        if (err.code === 'KUBERNETES_ERR_TOO_MANY_REQUESTS') bucket.hold(Math.max(delayMs, retryAfterMs));
        await pause(Math.max(delayMs, retryAfterMs), signal);
      }
    }
  }

  readonly #checkFence = (): void => {
    if (this.#general !== undefined) throw this.#general;
    if (this.#options.mayWrite()) return;
    throw new ReconcilerError('RECONCILER_ERR_NOT_LEADER', 'another process leads now');
  };

  async #readNeighbours({ entry }: Change): Promise<readonly ServiceEntry[]> {
    const { client, signal } = this.#options;
    const { namespace } = entry.metadata;
    const { items } = await listResource({ client, resource: resourceOf(entry), namespace, signal });
    return items.flatMap((item) => readServiceEntry(item) ?? []);
  }

  async #write(change: Change, neighbours: readonly ServiceEntry[]): Promise<void> {
    const { client, signal, state } = this.#options;
    const { entry } = change;
    checkNeighbours(change, neighbours);
    // The look is some writes old by now; a watch, where there is one, is some milliseconds old.
    checkNeighbours(change, state.entriesIn(entry.metadata.namespace));
    const object = { ...entry, metadata: { ...entry.metadata, ...change.seen } };
    const request = { client, resource: resourceOf(entry), object, fieldManager: FIELD_MANAGER, signal };
    const trial = await this.#retrying(PASSING, async () => applyObject({ ...request, dryRun: true }));
    checkTrial(change, trial);
    const beforeSend = (): void => {
      this.#checkFence();
      checkNeighbours(change, state.entriesIn(entry.metadata.namespace)); // however long it had to wait
    };
    let tries = 0;
    // Not again after an error that may have come too late: the next run sees what there is.
    const { object: written } = await this.#retrying(REFUSED_UNDONE, async () => {
      tries += 1;
      if (tries > 1 && !state.isLive()) checkNeighbours(change, await this.#readNeighbours(change));
      return applyObject({ ...request, beforeSend });
    });
    state.wrote(written);
  }

  async #remove(entry: ServiceEntry): Promise<void> {
    const { namespace, name, uid, resourceVersion } = entry.metadata;
    if (uid === undefined || resourceVersion === undefined) {
      throw new ReconcilerError('RECONCILER_ERR_NOT_SEEN', 'an object is deleted only in the version that was seen');
    }
    const { client, signal, state } = this.#options;
    const resource = resourceOf(entry);
    const preconditions = { uid, resourceVersion };
    const request = { client, resource, namespace, name, preconditions, signal, beforeSend: this.#checkFence };
    await state.deleting(entry, async () => {
      try {
        // Its preconditions make it the same to delete once or twice.
        await this.#retrying(PASSING, async () => deleteObject(request));
      } catch (err) {
        if (!(err instanceof KubernetesError) || err.code !== 'KUBERNETES_ERR_NOT_FOUND') throw err;
      }
    });
  }
}

/** @throws ReconcilerError when a new entry would merge into somebody's object, or there is one for the host */
function checkNeighbours({ kind, entry }: Change, neighbours: Iterable<ServiceEntry>): void {
  const host = entry.spec.hosts[0] ?? '';
  for (const neighbour of neighbours) {
    const isNamesake = neighbour.metadata.name === entry.metadata.name;
    if (isNamesake && kind === 'created') throw nameAppeared();
    if (isNamesake || !neighbour.spec.hosts.some((name) => isSameHost(name, host))) continue;
    throw new ReconcilerError('RECONCILER_ERR_HOST_APPEARED', `${keyOf(neighbour.metadata)} has the host by now`);
  }
}

function checkTrial({ kind }: Change, { isNew, warnings }: Applied): void {
  if (kind === 'created' && !isNew) throw nameAppeared();
  if (warnings.length > 0) throw new ReconcilerError('RECONCILER_ERR_WARNING', warnings.join('; '));
}

function nameAppeared(): ReconcilerError {
  return new ReconcilerError('RECONCILER_ERR_NAME_APPEARED', 'there is an object of that name by now');
}

function isSameHost(a: string, b: string): boolean {
  return a.replace(/\.$/, '').toLowerCase() === b.replace(/\.$/, '').toLowerCase();
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
