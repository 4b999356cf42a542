import type { HostStore } from '../host/host-store.js';
import type { Logger } from '../telemetry/logger.js';

export interface PeerCountOptions {
  readonly store: Pick<HostStore, 'sources'>;
  /** This collector's own source. */
  readonly source: string;
  /** Whether other processes can record into the same store. */
  readonly isShared: boolean;
  readonly fromMs: number;
  readonly log: Logger;
}

const REFRESH_MS = 30_000;
/** Collectors report every 10 s; one that has not for so long is no longer at work. */
const ALIVE_MS = 60_000;

/**
 * How many other collectors are at work: those beside the other replicas of the DNS server, which see the other steps of a
 * client's search walk. Until they have had time to report there may be one, if the store is shared.
 */
export class PeerCount {
  readonly #options: PeerCountOptions;
  #count: number;
  #refreshedMs: number;

  constructor(options: PeerCountOptions) {
    this.#options = options;
    this.#count = options.isShared ? 1 : 0;
    this.#refreshedMs = options.fromMs + ALIVE_MS - REFRESH_MS;
  }

  get count(): number {
    return this.#count;
  }

  /** Looks into the store from time to time. Fails quietly: the last count stands. */
  async refresh(nowMs: number): Promise<void> {
    const { store, source, isShared, log } = this.#options;
    if (!isShared || nowMs - this.#refreshedMs < REFRESH_MS) return;
    this.#refreshedMs = nowMs;
    try {
      const others = (await store.sources()).filter((one) => one.kind === 'dnstap' && one.source !== source);
      this.#count = others.filter(({ untilMs }) => nowMs - untilMs < ALIVE_MS).length;
    } catch (err) {
      log.warn({ err }, 'other collectors not counted; they are counted the next time');
    }
  }
}
