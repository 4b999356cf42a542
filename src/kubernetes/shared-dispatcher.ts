import { createHash, type Hash } from 'node:crypto';
import { type DispatcherOptions, type HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node';

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

/**
 * A KubeConfig whose requests share one pool of connections.
 *
 * The client makes a new dispatcher, and with it a new TLS connection, for every call; see kubernetes-client/javascript
 * issue 2893. Here the first one stays, until the certificates or the proxy that it was made of change.
 */
export class SharingKubeConfig extends KubeConfig {
  #made: string | undefined;
  #sharedOf: string | undefined;
  #shared: Dispatcher | undefined;

  override createDispatcherOptions(
    ...parameters: Parameters<KubeConfig['createDispatcherOptions']>
  ): ReturnType<KubeConfig['createDispatcherOptions']> {
    const options = super.createDispatcherOptions(...parameters);
    this.#made = fingerprintOf(options);
    return options;
  }

  /** The dispatcher to use instead of one that was just made. Called in the same step as the making, so nothing can mix. */
  share(made: Dispatcher): Dispatcher {
    if (this.#shared !== undefined && this.#sharedOf === this.#made) return this.#shared;
    // The one before is not closed: requests may be under way on it. Its connections end by their idle time.
    this.#shared = made;
    this.#sharedOf = this.#made;
    return made;
  }

  /** Ends all connections at once. */
  async destroy(): Promise<void> {
    await this.#shared?.destroy();
  }
}

/** A request that takes the shared dispatcher when it is given one. */
export class SharingRequestContext extends RequestContext {
  readonly #config: SharingKubeConfig;

  constructor(config: SharingKubeConfig, url: string, method: HttpMethod) {
    super(url, method);
    this.#config = config;
  }

  override setDispatcher(dispatcher: Dispatcher): void {
    super.setDispatcher(this.#config.share(dispatcher));
  }
}

function fingerprintOf(options: DispatcherOptions): string {
  const hash = createHash('sha256').update(options.type);
  if (options.type === 'proxy' || options.type === 'socks') addTo(hash.update(options.uri), options.requestTls);
  if (options.type === 'agent') addTo(hash, options.connect);
  return hash.digest('base64');
}

function addTo(hash: Hash, tlsOptions: object): void {
  for (const [name, value] of Object.entries(tlsOptions)) {
    hash.update(`\0${name}\0`).update(Buffer.isBuffer(value) ? value : String(value));
  }
}
