import { backoffMs, pause } from './backoff.js';
import type { KubernetesClient } from './client.js';
import { discoverVersion } from './discovery.js';
import { KubernetesError } from './kubernetes-error.js';
import type { KubernetesObject, KubernetesResource } from './kubernetes-object.js';
import { isLaterVersion } from './resource-version.js';
import { watchResource } from './watch.js';

export interface ResourceCacheOptions<T> {
  readonly client: KubernetesClient;
  readonly group: string;
  readonly plural: string;
  /** The preferred one first. */
  readonly versions: readonly string[];
  /** @defaultValue all namespaces */
  readonly namespace?: string;
  readonly metadataOnly?: boolean;
  /** What is kept of an object; an object of which nothing is kept is passed over. */
  readonly select: (object: KubernetesObject) => T | undefined;
  /** Something is different from before: an object, or whether the cache is current. */
  readonly onChange: () => void;
  /** Somebody else deleted an object. Not called for what went while the watch was interrupted: nobody saw how. */
  readonly onDeleted?: (object: T) => void;
  readonly onError?: (error: KubernetesError, retryInMs: number) => void;
  /** Delay after the first failure. @defaultValue 500 */
  readonly baseDelayMs?: number;
  /** Longest time without a byte, see `watchResource`. @defaultValue 90,000 */
  readonly silenceMs?: number;
  /** How often a version that is preferred to the one in use is looked for. @defaultValue 300,000 */
  readonly rediscoverMs?: number;
}

const REDISCOVER_MS = 300_000;
const BASE_DELAY_MS = 500;
/** A resource that was absent is looked for at least this often. */
const MAX_DELAY_MS = 10_000;

/**
 * What the API server has of a resource, kept up to date by a watch, so that looking at it costs nothing.
 *
 * ```
 *             served                      list, watch answered
 *  unknown ────────────▶ version found ─────────────────────────▶ current
 *     ▲                        ▲                                    │  │
 *     │                        └──── interrupted: behind ◀──────────┘  │
 *     └──── 404: no version is served; a preferred one is by now ◀─────┘
 * ```
 */
export class ResourceCache<T> {
  readonly #options: ResourceCacheOptions<T>;
  readonly #objects = new NamespacedMap<Cached<T>>();
  readonly #deleting = new Set<string>();
  #version: string | undefined;
  #resourceVersion: string | undefined;
  #isCurrent = false;
  #fault: KubernetesError | undefined;

  constructor(options: ResourceCacheOptions<T>) {
    this.#options = options;
  }

  /** The API version in which the objects are read. */
  get version(): string | undefined {
    return this.#version;
  }

  /** Up to which version of the API server's state the objects are known. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  /** Why the cache is not current: the last failure. */
  get fault(): KubernetesError | undefined {
    return this.#isCurrent ? undefined : this.#fault;
  }

  /** Whether {@link read} gives an answer. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /**
   * All objects, as the API server has them now.
   *
   * @throws KubernetesError the last failure, while the cache is not current
   */
  read(): readonly T[] {
    if (!this.#isCurrent) throw this.#fault ?? this.#error('KUBERNETES_ERR_NOT_READ', 'not read yet');
    return this.#objects.values().map(({ value }) => value);
  }

  /** The objects of one namespace as far as is known, current or not. */
  *readNamespace(namespace: string): Iterable<T> {
    for (const { value } of this.#objects.in(namespace)) yield value;
  }

  /** What an own write made of an object, so that the next read need not wait for the watch. */
  remember(object: KubernetesObject): void {
    const { value, ...head } = this.#keep(object);
    if (value !== undefined) this.#put({ ...head, value });
  }

  /** Deletes an object by `work`, so that its end is not taken for somebody else's doing. */
  async deleting(namespace: string, name: string, work: () => Promise<void>): Promise<void> {
    const key = keyOf({ namespace, name });
    this.#deleting.add(key);
    try {
      await work();
      this.#objects.delete({ namespace, name });
    } finally {
      this.#deleting.delete(key);
    }
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, group, plural, versions, baseDelayMs = BASE_DELAY_MS } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const version = await discoverVersion({ client, group, plural, versions, signal });
        this.#version = version;
        failures = 0;
        await this.#follow({ group, plural, version }, signal);
      } catch (err) {
        if (!(err instanceof KubernetesError)) throw err;
        if (signal.aborted) return;
        failures += 1;
        const delayMs = backoffMs(failures, { baseMs: baseDelayMs, maxMs: MAX_DELAY_MS, random: Math.random });
        this.#fail(err, Math.max(delayMs, err.retryAfterMs ?? 0));
        await pause(Math.max(delayMs, err.retryAfterMs ?? 0), signal);
      }
    }
  }

  /** Follows one version until it is served no more, or until the signal aborts. */
  async #follow(resource: KubernetesResource, signal: AbortSignal): Promise<void> {
    const gone = new AbortController();
    const { client, namespace, metadataOnly, baseDelayMs, silenceMs } = this.#options;
    const ended = AbortSignal.any([signal, gone.signal]);
    const looking = this.#findPreferred(resource, ended).then((isFound) => {
      if (!isFound) return;
      this.#isCurrent = false; // until the objects were read in that version
      gone.abort();
    });
    await watchResource({
      client,
      resource,
      select: (object) => this.#keep(object),
      ...(namespace !== undefined && { namespace }),
      ...(metadataOnly !== undefined && { metadataOnly }),
      ...(baseDelayMs !== undefined && { baseDelayMs }),
      ...(silenceMs !== undefined && { silenceMs }),
      signal: ended,
      onList: (objects) => this.#replace(objects),
      onEvent: (type, object) => this.#take(type, object),
      onVersion: (resourceVersion) => {
        this.#resourceVersion = resourceVersion;
      },
      onCurrent: (isCurrent) => {
        if (isCurrent) this.#succeed();
        else this.#isCurrent = false;
      },
      onError: (error, retryInMs) => {
        this.#fail(error, retryInMs);
        if (error.code === 'KUBERNETES_ERR_NOT_FOUND') gone.abort();
      },
    });
    gone.abort();
    await looking;
  }

  /** Waits until a version is served that is preferred to the one in use; false when the signal aborts before. */
  async #findPreferred({ group, plural, version }: KubernetesResource, signal: AbortSignal): Promise<boolean> {
    const { client, versions, rediscoverMs = REDISCOVER_MS } = this.#options;
    if (version === versions[0]) return false;
    for (;;) {
      await pause(rediscoverMs, signal);
      if (signal.aborted) return false;
      const found = await discoverVersion({ client, group, plural, versions, signal }).catch((err: unknown) => {
        if (err instanceof KubernetesError) return version; // the watch meets it as well, and tells
        throw err;
      });
      if (found !== version) return true;
    }
  }

  #keep(object: KubernetesObject): Selected<T> {
    const { namespace = '', name, resourceVersion = '' } = object.metadata;
    return { namespace, name, version: resourceVersion, value: this.#options.select(object) };
  }

  #replace(objects: readonly Selected<T>[]): void {
    this.#objects.clear();
    for (const { value, ...head } of objects) if (value !== undefined) this.#objects.set({ ...head, value });
    this.#options.onChange();
  }

  /** An object of which nothing is kept any more is as good as gone, but nobody deleted it. */
  #take(type: string, { value, ...head }: Selected<T>): void {
    if (type !== 'DELETED' && value !== undefined) {
      if (this.#put({ ...head, value })) this.#options.onChange();
      return;
    }
    const known = this.#objects.get(head);
    if (known === undefined) return; // the echo of an own delete
    this.#objects.delete(head);
    if (type === 'DELETED' && !this.#deleting.has(keyOf(head))) this.#options.onDeleted?.(value ?? known.value);
    this.#options.onChange();
  }

  /** Whether that is news. The echo of an own write is none, nor is what an own write has overtaken. */
  #put(object: Cached<T>): boolean {
    const known = this.#objects.get(object)?.version;
    if (known !== undefined && !isLaterVersion(object.version, known)) return false;
    this.#objects.set(object);
    return true;
  }

  #succeed(): void {
    if (this.#isCurrent) return;
    this.#isCurrent = true;
    this.#fault = undefined;
    this.#options.onChange();
  }

  #fail(error: KubernetesError, retryInMs: number): void {
    const wasCurrent = this.#isCurrent;
    this.#isCurrent = false;
    this.#fault = error;
    this.#options.onError?.(error, retryInMs);
    if (wasCurrent) this.#options.onChange();
  }

  #error(code: KubernetesError['code'], what: string): KubernetesError {
    return new KubernetesError(code, `${this.#options.plural}: ${what}`);
  }
}

/** An object of no namespace has the namespace of no name. */
interface Name {
  readonly namespace: string;
  readonly name: string;
}

interface Cached<T> extends Name {
  readonly version: string;
  readonly value: T;
}

/** What is kept of an object, if anything is. */
type Selected<T> = Omit<Cached<T>, 'value'> & { readonly value: T | undefined };

class NamespacedMap<T extends Name> {
  readonly #namespaces = new Map<string, Map<string, T>>();

  get({ namespace, name }: Name): T | undefined {
    return this.#namespaces.get(namespace)?.get(name);
  }

  set(object: T): void {
    const objects = this.#namespaces.get(object.namespace);
    if (objects === undefined) this.#namespaces.set(object.namespace, new Map([[object.name, object]]));
    else objects.set(object.name, object);
  }

  delete({ namespace, name }: Name): boolean {
    const objects = this.#namespaces.get(namespace);
    const wasThere = objects?.delete(name) ?? false;
    if (objects?.size === 0) this.#namespaces.delete(namespace);
    return wasThere;
  }

  clear(): void {
    this.#namespaces.clear();
  }

  values(): T[] {
    return [...this.#namespaces.values()].flatMap((objects) => [...objects.values()]);
  }

  in(namespace: string): Iterable<T> {
    return this.#namespaces.get(namespace)?.values() ?? [];
  }
}

function keyOf({ namespace, name }: Name): string {
  return `${namespace}/${name}`;
}
