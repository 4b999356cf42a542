import { type HttpMethod, IsomorphicFetchHttpLibrary, type ResponseContext } from '@kubernetes/client-node';
import { errorOfAnswer, KubernetesError } from './kubernetes-error.js';
import { SharingKubeConfig, SharingRequestContext } from './shared-dispatcher.js';
import { TokenFile } from './token-file.js';

export interface KubernetesClientOptions {
  /** Path of a kubeconfig file. @defaultValue what kubectl takes (KUBECONFIG, `~/.kube/config`), else the pod's account */
  readonly kubeconfig?: string;
  /** Context of the kubeconfig. @defaultValue its current context */
  readonly context?: string;
  /** Longest time for a whole answer, or for the beginning of a stream. @defaultValue 30,000 */
  readonly timeoutMs?: number;
}

export interface KubernetesRequest {
  readonly method: HttpMethod;
  /** Path from the server's root, as {@link resourcePath} makes it. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** @defaultValue application/json */
  readonly contentType?: string;
  /** @defaultValue application/json */
  readonly accept?: string;
  /** Called when the request is about to leave, after all waiting; what it throws stops it. */
  readonly beforeSend?: () => void;
  readonly signal?: AbortSignal;
}

export interface KubernetesAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Texts of the `Warning` headers. */
  readonly warnings: readonly string[];
}

export interface StreamOptions {
  /** Longest time without a piece; a connection that is half open never ends by itself. */
  readonly silenceMs: number;
  /** The server takes the request. */
  readonly onStart: () => void;
  readonly onPiece: (piece: Uint8Array) => void;
}

/** A page of 500 pods is about 5 MB. */
const MAX_ANSWER_BYTES = 67_108_864;
const DEFAULT_TIMEOUT_MS = 30_000;
const UNAUTHORIZED = 401;

/** Calls the API server of one kubeconfig context. All calls share one pool of connections. */
export class KubernetesClient {
  readonly #config: SharingKubeConfig;
  readonly #server: string;
  readonly #timeoutMs: number;
  readonly #http = new IsomorphicFetchHttpLibrary();
  readonly #tokenFile: TokenFile | undefined;

  private constructor(config: SharingKubeConfig, server: string, timeoutMs: number) {
    this.#config = config;
    this.#server = server.replace(/\/$/, '');
    this.#timeoutMs = timeoutMs;
    // What a pod's account has; typed as any by the client.
    const { tokenFile } = (config.getCurrentUser()?.authProvider?.config ?? {}) as { tokenFile?: unknown };
    if (typeof tokenFile === 'string') this.#tokenFile = new TokenFile(tokenFile);
  }

  /** @throws KubernetesError KUBERNETES_ERR_CONFIG */
  static load(options: KubernetesClientOptions = {}): KubernetesClient {
    const config = new SharingKubeConfig();
    try {
      if (options.kubeconfig === undefined) config.loadFromDefault();
      else config.loadFromFile(options.kubeconfig);
    } catch (cause) {
      throw configError(`${options.kubeconfig ?? 'the kubeconfig'} cannot be read`, cause);
    }
    if (options.context !== undefined) config.setCurrentContext(options.context);
    const cluster = config.getCurrentCluster();
    if (cluster === null) {
      const known = config.contexts.map(({ name }) => name).join(', ');
      throw configError(`context ${JSON.stringify(config.currentContext)} has no cluster; contexts are ${known}`);
    }
    if (options.kubeconfig === undefined && cluster.server === 'http://localhost:8080') {
      // That is what the client takes when it has found nothing.
      throw configError('there is no kubeconfig, and this is not a pod');
    }
    return new KubernetesClient(config, cluster.server, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  }

  /** Namespace of the context or of the pod's account. */
  get namespace(): string | undefined {
    return this.#config.getContextObject(this.#config.getCurrentContext())?.namespace;
  }

  /** The server's address, for people. */
  get server(): string {
    return this.#server;
  }

  /**
   * Sends a request and reads its whole answer.
   *
   * @throws KubernetesError by what went wrong; every status from 400 is an error
   */
  async request(request: KubernetesRequest): Promise<KubernetesAnswer> {
    return this.#withDeadline(request, async (answer) => {
      const body = await readJson(answer, request);
      if (answer.httpStatusCode >= 400) throw this.#failureOf(request, answer, body);
      return { status: answer.httpStatusCode, body, warnings: parseWarnings(answer.headers['warning']) };
    });
  }

  /**
   * Sends a request and hands over its answer in pieces. Returns when the server ends it.
   *
   * @throws KubernetesError by what went wrong; KUBERNETES_ERR_TIMEOUT for silence
   */
  async stream(request: KubernetesRequest, { silenceMs, onStart, onPiece }: StreamOptions): Promise<void> {
    await this.#withDeadline(request, async (answer, extend) => {
      if (answer.httpStatusCode >= 400) throw this.#failureOf(request, answer, await readJson(answer, request));
      const body = answer.body.stream();
      if (body === null) return;
      onStart();
      extend(silenceMs);
      for await (const piece of body) {
        extend(silenceMs);
        consume(() => onPiece(piece));
      }
    });
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.#config.destroy();
  }

  /** Runs what reads an answer; the deadline ends both the wait for the answer and the reading. */
  async #withDeadline<T>(
    request: KubernetesRequest,
    read: (answer: ResponseContext, extend: (ms: number) => void) => Promise<T>,
  ): Promise<T> {
    const deadline = new Deadline(this.#timeoutMs, request.signal);
    try {
      const answer = await this.#send(request, deadline.signal);
      return await read(answer, (ms) => deadline.extend(ms));
    } catch (err) {
      if (err instanceof ConsumerFault) throw err.cause;
      throw toKubernetesError(err, { what: describe(request), deadline, signal: request.signal });
    } finally {
      deadline.end();
    }
  }

  async #send(request: KubernetesRequest, signal: AbortSignal): Promise<ResponseContext> {
    const url = new URL(this.#server + request.path);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const context = new SharingRequestContext(this.#config, url.toString(), request.method);
    context.setHeaderParam('Accept', request.accept ?? 'application/json');
    if (request.body !== undefined) {
      context.setHeaderParam('Content-Type', request.contentType ?? 'application/json');
      context.setBody(JSON.stringify(request.body));
    }
    context.setSignal(signal);
    await this.#config.applySecurityAuthentication(context);
    if (this.#tokenFile !== undefined) context.setHeaderParam('Authorization', `Bearer ${this.#tokenFile.read()}`);
    consume(() => request.beforeSend?.());
    const answer = await this.#http.send(context).toPromise();
    if (answer.httpStatusCode === UNAUTHORIZED) this.#tokenFile?.forget();
    return answer;
  }

  #failureOf(request: KubernetesRequest, answer: ResponseContext, body: unknown): KubernetesError {
    const seconds = Number(answer.headers['retry-after'] ?? Number.NaN);
    const retry = Number.isFinite(seconds) ? { retryAfterMs: seconds * 1000 } : {};
    return errorOfAnswer({ what: describe(request), status: answer.httpStatusCode, body, ...retry });
  }
}

/** A signal that aborts with another one or when its time is up. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #abort = (): void => this.#controller.abort();
  #timer: NodeJS.Timeout;
  hasPassed = false;

  constructor(ms: number, outer: AbortSignal | undefined) {
    this.#outer = outer;
    this.#timer = this.#arm(ms);
    if (outer?.aborted === true) this.#abort();
    else outer?.addEventListener('abort', this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  extend(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = this.#arm(ms);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#abort);
    this.#controller.abort(); // frees the connection of an answer that was not read to its end
  }

  #arm(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.hasPassed = true;
      this.#abort();
    }, ms);
  }
}

/** An error of the caller's own code, which must not look like one of the connection. */
class ConsumerFault extends Error {}

function consume(work: () => void): void {
  try {
    work();
  } catch (cause) {
    throw new ConsumerFault('of the caller', { cause });
  }
}

async function readJson(answer: ResponseContext, request: KubernetesRequest): Promise<unknown> {
  const stream = answer.body.stream();
  if (stream === null) return undefined;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new KubernetesError(
        'KUBERNETES_ERR_TOO_LARGE',
        `${describe(request)}: more than ${MAX_ANSWER_BYTES} bytes`,
      );
    }
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    if (answer.httpStatusCode >= 400) return { message: text.slice(0, 200) }; // a proxy's page, say
    throw new KubernetesError('KUBERNETES_ERR_PROTOCOL', `${describe(request)}: the answer is not JSON`, { cause });
  }
}

/**
 * Texts of `Warning: 299 - "text"` headers; the client joins several with a comma.
 *
 * @see RFC 7234 section 5.5
 */
export function parseWarnings(header: string | undefined): readonly string[] {
  const quoted = (header ?? '').matchAll(/\b[0-9]{3} \S+ "((?:[^"\\]|\\.)*)"/g);
  return [...quoted].map(([, text = '']) => text.replaceAll(/\\(.)/g, '$1'));
}

function describe({ method, path }: KubernetesRequest): string {
  return `${method} ${path}`;
}

function configError(message: string, cause?: unknown): KubernetesError {
  return new KubernetesError('KUBERNETES_ERR_CONFIG', message, { cause });
}

function toKubernetesError(
  err: unknown,
  context: { readonly what: string; readonly deadline: Deadline; readonly signal: AbortSignal | undefined },
): KubernetesError {
  if (err instanceof KubernetesError) return err;
  const { what, deadline, signal } = context;
  if (signal?.aborted === true)
    return new KubernetesError('KUBERNETES_ERR_ABORTED', `${what}: aborted`, { cause: err });
  if (deadline.hasPassed) {
    return new KubernetesError('KUBERNETES_ERR_TIMEOUT', `${what}: no answer in time`, { cause: err });
  }
  const cause = err instanceof Error && err.cause instanceof Error ? err.cause : err;
  return new KubernetesError('KUBERNETES_ERR_UNREACHABLE', `${what}: ${String(cause)}`, { cause: err });
}
