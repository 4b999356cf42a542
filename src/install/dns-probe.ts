import { Resolver } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';

const INTERVAL_MS = 200;
const TIMEOUT_MS = 1500;
/** One lost datagram is the network's; three names in a row without an answer are ours. */
const FAILURES_IN_A_ROW = 3;

/** Asks the cluster DNS for a name that it always has, all the time that it is being changed. */
export class DnsProbe {
  readonly #resolver = new Resolver({ timeout: TIMEOUT_MS, tries: 1 });
  readonly #name: string;
  readonly #stop = new AbortController();
  readonly #failed = new AbortController();
  #running: Promise<void> | undefined;
  #asked = 0;
  #failures = 0;

  constructor({ address, clusterDomain }: { readonly address: string; readonly clusterDomain: string }) {
    this.#resolver.setServers([address]);
    this.#name = `kubernetes.default.svc.${clusterDomain}`;
  }

  /** Aborts when the cluster DNS does not answer any more. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  get statistics(): { readonly asked: number; readonly failures: number } {
    return { asked: this.#asked, failures: this.#failures };
  }

  /** Whether it answers at all from where this program runs. */
  async answers(): Promise<boolean> {
    for (let tries = 0; tries < FAILURES_IN_A_ROW; tries += 1) {
      if (await this.ask()) return true;
      await delay(INTERVAL_MS); // it may be reading its Corefile anew just now
    }
    return false;
  }

  /** Asks once; whether an answer came. */
  async ask(): Promise<boolean> {
    this.#asked += 1;
    try {
      await this.#resolver.resolve4(this.#name);
      return true;
    } catch {
      this.#failures += 1;
      return false;
    }
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let inARow = 0;
    while (!this.#stop.signal.aborted) {
      inARow = (await this.ask()) ? 0 : inARow + 1;
      if (inARow >= FAILURES_IN_A_ROW) this.#failed.abort();
      await delay(INTERVAL_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
