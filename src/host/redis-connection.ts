import { readFileSync } from 'node:fs';
import { Cluster, Redis, type ChainableCommander, type RedisOptions } from 'ioredis';
import { HostStoreError } from './host-store-error.js';
import { parseRedisUrl, type RedisLocation } from './redis-url.js';

/** Replies keep their usual shapes, whatever the protocol. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

export interface RedisConnectionOptions {
  /** See {@link parseRedisUrl}. */
  readonly url: string;
  /** Of a user of the ACL, if the URL names none. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Read again at every attempt to connect, so that a password can change while we run (not with a cluster). */
  readonly passwordFile?: string | undefined;
  /** Of the sentinels themselves, where they ask for one. */
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
  /** PEM files, read again at every attempt to connect. */
  readonly tlsCaFile?: string | undefined;
  readonly tlsCertFile?: string | undefined;
  readonly tlsKeyFile?: string | undefined;
  /** The name in the servers' certificates, if it is not what they are reached by (sentinels and clusters give addresses). */
  readonly tlsServerName?: string | undefined;
  /** Told of each change of the connection, for logs and metrics. */
  readonly onConnection?: (event: { readonly connected: boolean; readonly err?: Error }) => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A server that hangs and does not close its connection would otherwise hold a command for ever. */
const COMMAND_TIMEOUT_MS = 5_000;
/** As above, for what waits inside the client: a pipeline to a cluster has no time-out of its own. */
const CALL_TIMEOUT_MS = 10_000;
const MIN_RECONNECT_DELAY_MS = 50;
const MAX_RECONNECT_DELAY_MS = 2_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** How soon a client that only reads old slots learns of a fail-over; MOVED tells it at once otherwise. */
const SLOTS_REFRESH_MS = 10_000;

const reconnectDelay = (attempt: number): number =>
  Math.min(MIN_RECONNECT_DELAY_MS * 2 ** Math.min(attempt, 10), MAX_RECONNECT_DELAY_MS) * (0.5 + Math.random() / 2);

/**
 * A connection to one Redis, to the master behind sentinels, or to a cluster. While there is none, calls fail at once with
 * HOST_STORE_UNAVAILABLE, nothing is queued, and it is tried again for ever.
 */
export class RedisConnection {
  readonly client: Redis | Cluster;
  readonly #firstAttempt: Promise<void>;
  /** Why there is no connection. */
  #fault: Error | undefined;
  #isClosed = false;

  /** @throws HostStoreError HOST_STORE_URL, HOST_STORE_CREDENTIALS when a file cannot be read. */
  constructor(options: RedisConnectionOptions) {
    const { onConnection } = options;
    const client = connect(options, parseRedisUrl(options.url));
    this.client = client;
    // Until the first attempt has succeeded or failed, calls wait for it: a command that runs once needs no loop around it.
    this.#firstAttempt = new Promise<void>((resolve) => {
      for (const event of ['ready', 'error', 'close']) client.once(event, () => resolve());
    });
    client.on('ready', () => {
      this.#fault = undefined;
      onConnection?.({ connected: true });
    });
    client.on('error', (err: Error) => {
      this.#fault = reasonOf(err);
      onConnection?.({ connected: false, err: this.#fault });
    });
    client.on('close', () => onConnection?.({ connected: false })); // also what has no error, as a cluster that is down
    // ioredis gives up when an attempt itself throws, as with a certificate that is only half written.
    client.on('end', () => setTimeout(() => this.#reconnect(), MAX_RECONNECT_DELAY_MS).unref());
  }

  /** Whether only keys of one shard may go into one pipeline. */
  get isCluster(): boolean {
    return this.client instanceof Cluster;
  }

  /** Runs commands. @throws HostStoreError HOST_STORE_UNAVAILABLE, or HOST_STORE_DENIED when the user lacks a right. */
  async call<T>(command: () => Promise<T>): Promise<T> {
    await this.#firstAttempt;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`)), CALL_TIMEOUT_MS);
    });
    try {
      return await Promise.race([command(), timeout]);
    } catch (err) {
      // What ioredis says of a command that it could not send tells nothing.
      throw toStoreError(this.#fault ?? err);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Sends commands in one round trip, or with a cluster in one for each shard, since a pipeline has one node.
   *
   * @param fill puts commands whose keys are of a shard into the pipeline that it is given for that shard.
   * @returns the replies, those of one shard in their order.
   */
  async pipeline(fill: (of: (shard: number) => ChainableCommander) => void): Promise<readonly unknown[]> {
    const pipelines = new Map<number, ChainableCommander>();
    fill((shard) => {
      const group = this.isCluster ? shard : 0;
      const pipeline = pipelines.get(group) ?? this.client.pipeline();
      pipelines.set(group, pipeline);
      return pipeline;
    });
    const replies = await this.call(() => Promise.all(Array.from(pipelines.values(), execute)));
    return replies.flat();
  }

  /** Listens to a channel over a connection of its own; resolves to how to stop. */
  async subscribe(channel: string, onMessage: (text: string) => void): Promise<() => Promise<void>> {
    const options = { enableOfflineQueue: true }; // it subscribes as soon as it is connected, and again after each loss
    const listener =
      this.client instanceof Cluster ? this.client.duplicate([], options) : this.client.duplicate(options);
    listener.on('error', () => undefined); // it tries again for ever
    listener.on('message', (_, text: string) => onMessage(text));
    try {
      await this.call(() => listener.subscribe(channel));
    } catch (err) {
      listener.disconnect(); // or it tries again for ever, and the process does not end
      throw err;
    }
    return async () => listener.disconnect();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // ioredis neither rejects nor resolves what is queued when it is told to disconnect while it reconnects.
    const quit = this.client.quit().catch(() => undefined);
    await Promise.race([quit, new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())]);
    this.client.disconnect();
  }

  #reconnect(): void {
    if (!this.#isClosed) this.client.connect().catch(() => undefined); // its error event tells of it
  }
}

/** That no node of a cluster answers says nothing; why the last one did not says all. */
function reasonOf(err: Error & { readonly lastNodeError?: unknown }): Error {
  return typeof err.lastNodeError === 'object' && err.lastNodeError !== null ? (err.lastNodeError as Error) : err; // ClusterAllFailedError
}

/** A pipeline does not reject while Redis is away: each reply is looked at. */
async function execute(pipeline: ChainableCommander): Promise<readonly unknown[]> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([err, reply]) => {
    if (err !== null) throw err;
    return reply;
  });
}

/** What a server says when the user may not do something. */
const DENIED = /^(?:NOPERM|NOAUTH|WRONGPASS)\b|user executing the script can't run/;

/** What a script says of what it cannot take apart. */
const CORRUPT = /WRONGTYPE|user_script:\d+: (?:attempt to|bad argument)/;

function toStoreError(cause: unknown): HostStoreError {
  if (cause instanceof HostStoreError) return cause;
  const message = typeof cause === 'object' && cause !== null && 'message' in cause ? String(cause.message) : '';
  if (DENIED.test(message)) return new HostStoreError('HOST_STORE_DENIED', 'the Redis user lacks a right', { cause });
  if (CORRUPT.test(message)) return new HostStoreError('HOST_STORE_CORRUPT', 'Redis holds what is no host', { cause });
  return new HostStoreError('HOST_STORE_UNAVAILABLE', 'Redis call failed', { cause });
}

function connect(options: RedisConnectionOptions, location: RedisLocation): Redis | Cluster {
  const readPassword = passwordReader(options, location);
  const shared = sharedOptions(options, location, readPassword());
  if (location.kind === 'cluster') return connectCluster(location, shared);
  const target: ClientOptions =
    location.kind === 'single' ? { ...location.endpoints[0] } : sentinelOptions(options, location, shared);
  const retryStrategy = (attempt: number): number => {
    const password = readPassword();
    if (password !== undefined) client.options.password = password;
    return reconnectDelay(attempt);
  };
  const client: Redis = new Redis({ ...shared, ...target, db: location.database, retryStrategy });
  return client;
}

function sharedOptions(
  options: RedisConnectionOptions,
  location: RedisLocation,
  password: string | undefined,
): ClientOptions {
  const username = location.username ?? options.username;
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(location.tls ? { tls: tlsOptions(options) } : {}),
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // The offline queue has no bound. Observations wait in the collector's table, where they merge.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    disableClientInfo: true, // CLIENT SETINFO is a right that a user need not have
    // After a fail-over the old master is a replica: behind one address only a new connection finds the new master.
    reconnectOnError: (err) => err.message.includes('READONLY'),
  };
}

function sentinelOptions(
  options: RedisConnectionOptions,
  location: RedisLocation,
  shared: ClientOptions,
): ClientOptions {
  return {
    sentinels: [...location.endpoints],
    name: location.master,
    failoverDetector: true,
    sentinelRetryStrategy: reconnectDelay,
    sentinelReconnectStrategy: reconnectDelay,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    ...(options.sentinelUsername === undefined ? {} : { sentinelUsername: options.sentinelUsername }),
    ...(options.sentinelPassword === undefined ? {} : { sentinelPassword: options.sentinelPassword }),
    ...(shared.tls === undefined ? {} : { sentinelTLS: shared.tls, enableTLSForSentinelMode: true }),
  };
}

function connectCluster({ endpoints }: RedisLocation, redisOptions: ClientOptions): Cluster {
  return new Cluster([...endpoints], {
    redisOptions,
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelay,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    // Not addresses but what was configured: with TLS it is what certificates name.
    dnsLookup: (name, callback) => callback(null, name),
  });
}

function passwordReader(options: RedisConnectionOptions, location: RedisLocation): () => string | undefined {
  if (location.password !== undefined) return () => location.password;
  if (options.passwordFile === undefined) return () => options.password;
  const read = rereadable(options.passwordFile);
  return () => read()?.replace(/\r?\n$/, '');
}

/** Getters, since ioredis copies these options at every attempt: certificates are replaced while we run. */
function tlsOptions(options: RedisConnectionOptions): NonNullable<ClientOptions['tls']> {
  const ca = rereadable(options.tlsCaFile);
  const cert = rereadable(options.tlsCertFile);
  const key = rereadable(options.tlsKeyFile);
  return {
    ...(options.tlsServerName === undefined ? {} : { servername: options.tlsServerName }),
    get ca() {
      return ca();
    },
    get cert() {
      return cert();
    },
    get key() {
      return key();
    },
  };
}

/**
 * A file's text as it is now, or as it last was: while a file is being replaced, an attempt to connect must not throw.
 *
 * @throws HostStoreError HOST_STORE_CREDENTIALS when it cannot be read the first time.
 */
function rereadable(file: string | undefined): () => string | undefined {
  if (file === undefined) return () => undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new HostStoreError('HOST_STORE_CREDENTIALS', `cannot read ${file}`, { cause });
  }
  return () => {
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      // The next attempt reads it.
    }
    return text;
  };
}
