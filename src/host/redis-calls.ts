import type { ChainableCommander } from 'ioredis';
import { hostsKey, pendingKeyPrefix, shardOf, workloadsKeyPrefix } from './keys.js';
import { ATTRIBUTE } from './lua/attribute.js';
import { ADD_HOST, COMPARE_AND_SET, EDIT_STORY } from './lua/compare-and-set.js';
import { COUNT_BATCH, COUNT_REJECTIONS } from './lua/count-batch.js';
import { FOLD } from './lua/fold.js';
import { FORGET } from './lua/forget.js';
import { END_INDEX, MOVE, MOVE_COUNTS } from './lua/move.js';
import { READ } from './lua/read.js';
import { RECORD } from './lua/record.js';
import { TRANSITION } from './lua/transition.js';
import type { RedisConnection } from './redis-connection.js';

const SCRIPTS = {
  recordObservations: RECORD,
  countBatch: COUNT_BATCH,
  countRejections: COUNT_REJECTIONS,
  attributeEvidence: ATTRIBUTE,
  transitionHost: TRANSITION,
  compareAndSet: COMPARE_AND_SET,
  editStory: EDIT_STORY,
  addHost: ADD_HOST,
  foldChild: FOLD,
  forgetHost: FORGET,
  readHosts: READ,
  moveHost: MOVE,
  endIndex: END_INDEX,
  moveCounts: MOVE_COUNTS,
} as const;

/** Scripts that are called in one round trip. */
const PAGE_SCRIPTS = 1000;

type Script = (keys: readonly string[], ...args: readonly (string | number)[]) => void;
/** The scripts by name; a call puts one into the pipeline. */
export type Scripts = Readonly<Record<keyof typeof SCRIPTS, Script>>;

/** What the store asks of Redis: commands, and scripts, many in one round trip. */
export class RedisCalls {
  readonly #connection: RedisConnection;
  readonly #ready: () => Promise<void>;

  /** @param ready is awaited before each call. */
  constructor(connection: RedisConnection, ready: () => Promise<void>) {
    this.#connection = connection;
    this.#ready = ready;
    for (const [name, lua] of Object.entries(SCRIPTS)) connection.client.defineCommand(name, { lua });
  }

  async call<T>(command: (client: RedisConnection['client']) => Promise<T>): Promise<T> {
    await this.#ready();
    return this.#connection.call(() => command(this.#connection.client));
  }

  async pipeline(fill: (of: (shard: number) => ChainableCommander) => void): Promise<readonly unknown[]> {
    await this.#ready();
    return this.#connection.pipeline(fill);
  }

  /** Sends scripts in one round trip and gives their replies, those of one shard in their order. */
  async run(fill: (of: (shard: number) => Scripts) => void): Promise<readonly unknown[]> {
    const made = new Map<ChainableCommander, Scripts>();
    return this.pipeline((of) =>
      fill((shard) => {
        const pipeline = of(shard);
        const scripts = made.get(pipeline) ?? scriptsOf(pipeline);
        made.set(pipeline, scripts);
        return scripts;
      }),
    );
  }

  /** As {@link run}, one script for each of any number of items, a page of them in a round trip: a call has a time-out. */
  async runEach<T>(items: readonly T[], put: (of: (shard: number) => Scripts, item: T) => void): Promise<void> {
    for (const page of pagesOf(items, PAGE_SCRIPTS)) {
      await this.run((of) => {
        for (const item of page) put(of, item);
      });
    }
  }

  /** What `lua/read.ts` says of hosts, in their order. */
  async read(names: readonly string[]): Promise<readonly string[]> {
    const shards = new Map<number, number[]>();
    for (const [index, name] of names.entries()) {
      const shard = shardOf(name);
      const indexes = shards.get(shard);
      if (indexes === undefined) shards.set(shard, [index]);
      else indexes.push(index);
    }
    const replies = await this.run((of) => {
      for (const [shard, indexes] of shards) {
        const some = indexes.map((index) => names[index] ?? '');
        const [pending, workloads] = [pendingKeyPrefix(shard), workloadsKeyPrefix(shard)];
        of(shard).readHosts([hostsKey(shard), ...some.flatMap((name) => [pending + name, workloads + name])], ...some);
      }
    });
    const texts = names.map(() => '');
    for (const [at, indexes] of [...shards.values()].entries()) {
      const reply = replies[at] as readonly string[]; // by lua/read.ts
      for (const [nth, index] of indexes.entries()) texts[index] = reply[nth] ?? '';
    }
    return texts;
  }
}

export function* pagesOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size);
}

type Defined = Readonly<Record<string, (...args: readonly (string | number)[]) => void>>;

function scriptsOf(pipeline: ChainableCommander): Scripts {
  const defined = pipeline as unknown as Defined; // by defineCommand, for each of SCRIPTS
  const calls = Object.keys(SCRIPTS).map((name) => {
    const call: Script = (keys, ...args) => defined[name]?.call(pipeline, keys.length, ...keys, ...args);
    return [name, call];
  });
  return Object.fromEntries(calls) as Scripts; // its keys
}
