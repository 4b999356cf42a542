import { backoffMs, pause } from './backoff.js';
import type { KubernetesClient } from './client.js';
import { errorOfAnswer, KubernetesError } from './kubernetes-error.js';
import {
  isKubernetesObject,
  type KubernetesObject,
  type KubernetesResource,
  resourcePath,
} from './kubernetes-object.js';
import { listSelected, readResourceVersion } from './list.js';
import { isLaterVersion } from './resource-version.js';

export const WATCH_EVENT_TYPES = ['ADDED', 'MODIFIED', 'DELETED'] as const;
export type WatchEventType = (typeof WATCH_EVENT_TYPES)[number];

export interface WatchOptions<T> {
  readonly client: KubernetesClient;
  readonly resource: KubernetesResource;
  /** @defaultValue all namespaces */
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** Only apiVersion, kind and metadata of each object. */
  readonly metadataOnly?: boolean;
  readonly pageSize?: number;
  readonly signal: AbortSignal;
  /** What is kept of an object; an object of which nothing is kept is passed over. */
  readonly select: (object: KubernetesObject) => T | undefined;
  /** A complete list: at the start, and whenever the server cannot tell any more what happened in between. */
  readonly onList: (objects: readonly T[]) => void;
  readonly onEvent: (type: WatchEventType, object: T) => void;
  /** Up to which version of the resource everything was handed over. */
  readonly onVersion?: (resourceVersion: string) => void;
  /** Whether what was handed over is up to date; false from an error to the next time that the server answers. */
  readonly onCurrent?: (isCurrent: boolean) => void;
  readonly onError: (error: KubernetesError, retryInMs: number) => void;
  /**
   * Longest time without a byte before the connection is taken for dead. An API server sends a bookmark about once a
   * minute. @defaultValue 90,000
   */
  readonly silenceMs?: number;
  /** Delay after the first failure. @defaultValue 500 */
  readonly baseDelayMs?: number;
  /** @defaultValue Math.random */
  readonly random?: () => number;
}

const DEFAULT_SILENCE_MS = 90_000;
const BASE_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** A server that ends watches sooner than this is treated as failing, so that it is not asked without a pause. */
const SHORTEST_WATCH_MS = 1000;
/** So that not all watches of all clients end at the same moment, the server's default is also 30 to 60 minutes. */
const WATCH_TIMEOUT_SECONDS = { least: 300, spread: 300 };
/** etcd takes 1.5 MiB an object. */
const MAX_LINE_BYTES = 8_388_608;
/** What there was is no place to go on from. */
const FORGOTTEN: ReadonlySet<string> = new Set(['KUBERNETES_ERR_GONE', 'KUBERNETES_ERR_NOT_FOUND']);
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

/**
 * Lists a resource and follows what happens to it, until the signal aborts. Goes on where it stopped after every kind of
 * failure, and lists again when the server has forgotten that point (410 Gone) or the whole resource (404, for a custom
 * resource whose definition was removed). So it does when the cluster went back to a backup: a server is silent about
 * what happened before the version that a watch asks for, also when it has not come to that version yet.
 *
 * ```
 *            ┌─────── 410 Gone, 404 Not Found, an older state ──┐
 *            ▼                                                  │
 *  start ─▶ list ──▶ watch from its version ──▶ end, error, silence ──▶ back off ──▶ watch from the last version seen
 * ```
 */
export async function watchResource<T>(options: WatchOptions<T>): Promise<void> {
  const { signal, onError, onCurrent, random = Math.random, baseDelayMs = BASE_DELAY_MS } = options;
  let version: string | undefined;
  let failures = 0;
  const keep = (seen: string): void => {
    version = seen;
    failures = 0;
    options.onVersion?.(seen);
  };
  while (!signal.aborted) {
    try {
      version = await startFrom(options, { version, isInDoubt: failures > 0 });
      await follow(options, version, keep);
    } catch (err) {
      if (signal.aborted) return;
      if (!(err instanceof KubernetesError)) throw err;
      if (FORGOTTEN.has(err.code)) version = undefined;
      failures += 1;
      const delay = backoffMs(failures, { baseMs: baseDelayMs, maxMs: MAX_DELAY_MS, random });
      const delayMs = Math.max(delay, err.retryAfterMs ?? 0);
      onCurrent?.(false);
      onError(err, delayMs);
      await pause(delayMs, signal);
    }
  }
}

/** The version seen last, or that of a new list where the server's state is older by now. */
async function startFrom<T>(
  options: WatchOptions<T>,
  { version, isInDoubt }: { readonly version: string | undefined; readonly isInDoubt: boolean },
): Promise<string> {
  if (version === undefined) return list(options);
  const hasGoneBack = isInDoubt && isLaterVersion(version, await readResourceVersion(options));
  return hasGoneBack ? list(options) : version;
}

async function list<T>(options: WatchOptions<T>): Promise<string> {
  const { items, resourceVersion } = await listSelected(options, options.select);
  options.onList(items);
  options.onVersion?.(resourceVersion);
  return resourceVersion;
}

/** One watch, to its end. */
async function follow<T>(options: WatchOptions<T>, version: string, keep: (version: string) => void): Promise<void> {
  const { client, resource, namespace, labelSelector, metadataOnly, signal, random = Math.random } = options;
  const startedMs = performance.now();
  let isAnswered = false;
  const lines = new LineSplitter((line) => {
    const seen = handle(line, options);
    if (seen !== undefined) keep(seen);
  });
  const watching = client.stream(
    {
      method: 'GET',
      path: resourcePath(resource, namespace === undefined ? {} : { namespace }),
      query: {
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: version,
        labelSelector,
        timeoutSeconds: WATCH_TIMEOUT_SECONDS.least + Math.floor(WATCH_TIMEOUT_SECONDS.spread * random()),
      },
      ...(metadataOnly === true && { accept: METADATA }),
      signal,
    },
    {
      silenceMs: options.silenceMs ?? DEFAULT_SILENCE_MS,
      onStart: () => {
        isAnswered = true;
        options.onCurrent?.(true);
      },
      onPiece: (piece) => lines.push(piece),
    },
  );
  await watching;
  if (isAnswered && performance.now() - startedMs >= SHORTEST_WATCH_MS) return;
  throw new KubernetesError('KUBERNETES_ERR_UNREACHABLE', `watch of ${resource.plural}: ended at once`);
}

/** Returns the version from which to go on. */
function handle<T>(line: string, { resource, select, onEvent }: WatchOptions<T>): string | undefined {
  const { type, object } = parseEvent(line, resource.plural);
  if (type === 'ERROR') {
    const { code = 500 } = object as { code?: number }; // a Status object
    throw errorOfAnswer({ what: `watch of ${resource.plural}`, status: code, body: object });
  }
  if (!isKubernetesObject(object)) return undefined;
  const kept = isEventType(type) ? select(object) : undefined;
  if (isEventType(type) && kept !== undefined) onEvent(type, kept);
  return object.metadata.resourceVersion; // of a BOOKMARK, too: that is all that it says
}

function isEventType(type: unknown): type is WatchEventType {
  return WATCH_EVENT_TYPES.some((known) => known === type);
}

function parseEvent(line: string, plural: string): { readonly type?: unknown; readonly object?: unknown } {
  try {
    const event: unknown = JSON.parse(line);
    if (typeof event === 'object' && event !== null) return event;
  } catch (cause) {
    throw new KubernetesError('KUBERNETES_ERR_PROTOCOL', `watch of ${plural}: a line is not JSON`, { cause });
  }
  throw new KubernetesError('KUBERNETES_ERR_PROTOCOL', `watch of ${plural}: a line is no event`);
}

/** Splits pieces into lines; a line feed never occurs inside a character or a JSON text of the API server. */
class LineSplitter {
  readonly #onLine: (line: string) => void;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(piece: Uint8Array): void {
    let rest = piece;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      this.#keep(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      const line = Buffer.concat(this.#pieces).toString('utf8');
      this.#pieces = [];
      this.#bytes = 0;
      if (line !== '') this.#onLine(line);
    }
    this.#keep(rest);
  }

  #keep(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#bytes > MAX_LINE_BYTES) {
      throw new KubernetesError('KUBERNETES_ERR_TOO_LARGE', `watch event of more than ${MAX_LINE_BYTES} bytes`);
    }
    if (piece.length > 0) this.#pieces.push(piece);
  }
}
