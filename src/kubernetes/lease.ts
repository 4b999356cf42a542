import { backoffMs, pause } from './backoff.js';
import type { KubernetesClient } from './client.js';
import { KubernetesError } from './kubernetes-error.js';
import { resourcePath } from './kubernetes-object.js';
import { formatMicroTime } from './micro-time.js';

export interface LeaderElectorOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Of this process and no other one, also not of the next one in the same pod. */
  readonly identity: string;
  /** How long others wait after the last sign of life. @defaultValue 15,000 */
  readonly durationMs?: number;
  /** How long after the last sign of life this process still acts; less than `durationMs`. @defaultValue 10,000 */
  readonly renewDeadlineMs?: number;
  /** Time between two tries. @defaultValue 2,000 */
  readonly retryMs?: number;
  /** Wall clock, for what people read in the Lease. @defaultValue Date.now */
  readonly now?: () => number;
  /** Clock that never jumps, for every decision. @defaultValue performance.now */
  readonly monotonicMs?: () => number;
  readonly onChange?: (isLeader: boolean) => void;
  readonly onError?: (error: KubernetesError) => void;
}

interface Lease {
  readonly metadata: { readonly resourceVersion?: string; readonly [field: string]: unknown };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number | null;
    readonly renewTime?: string | null;
    readonly acquireTime?: string | null;
    readonly leaseTransitions?: number | null;
  };
}

const LEASES = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };
const RELEASE_TIMEOUT_MS = 5000;

/**
 * Takes part in the election of a leader by a Lease.
 *
 * No process's clock is compared with another's: a candidate takes a Lease over when it has seen it unchanged for the
 * whole duration by its own clock, and a leader stops acting `renewDeadlineMs` after it *sent* its last successful renewal.
 * So the leader is silent before anybody else acts, also when it was stopped and goes on later.
 *
 * ```
 *            no Lease, released, or unchanged for its duration
 *  follower ──────────────────────────────────────────────────▶ leader
 *      ▲       renewal refused, or none for renewDeadlineMs        │
 *      └───────────────────────────────────────────────────────────┘
 * ```
 */
export class LeaderElector {
  readonly #options: Required<Omit<LeaderElectorOptions, 'onChange' | 'onError'>> &
    Pick<LeaderElectorOptions, 'onChange' | 'onError'>;
  #leaderUntilMs = -Infinity;
  #wasLeader = false;
  #seen: { readonly what: string; readonly sinceMs: number } | undefined;

  constructor(options: LeaderElectorOptions) {
    this.#options = {
      durationMs: 15_000,
      renewDeadlineMs: 10_000,
      retryMs: 2000,
      now: Date.now,
      monotonicMs: () => performance.now(),
      ...options,
    };
  }

  /** Whether this process may act at this very moment. Ask before every write. */
  isLeader(): boolean {
    return this.#options.monotonicMs() < this.#leaderUntilMs;
  }

  /**
   * Takes part until the signal aborts, then gives the Lease back, so that the next leader need not wait. Stop what the
   * leader does before aborting.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { retryMs, onError } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#try(signal);
        failures = 0;
      } catch (err) {
        if (signal.aborted) break;
        if (!(err instanceof KubernetesError)) throw err;
        failures += 1;
        onError?.(err);
      }
      this.#tellChange();
      const { renewDeadlineMs } = this.#options;
      const random = Math.random;
      await pause(
        failures === 0 ? retryMs : backoffMs(failures, { baseMs: retryMs, maxMs: renewDeadlineMs / 2, random }),
        signal,
      );
    }
    await this.#release();
    this.#tellChange();
  }

  #tellChange(): void {
    const isLeader = this.isLeader();
    if (isLeader === this.#wasLeader) return;
    this.#wasLeader = isLeader;
    this.#options.onChange?.(isLeader);
  }

  /** One try to become or to stay the leader. */
  async #try(signal: AbortSignal): Promise<void> {
    const { monotonicMs, renewDeadlineMs, identity } = this.#options;
    const sentMs = monotonicMs();
    const lease = await this.#read(signal);
    if (lease !== undefined && !this.#mayTake(lease)) {
      this.#leaderUntilMs = -Infinity;
      return;
    }
    const isOurs = lease?.spec?.holderIdentity === identity;
    try {
      await this.#write(lease, { signal, isOurs });
      this.#leaderUntilMs = sentMs + renewDeadlineMs;
    } catch (err) {
      if (!isLostRace(err)) throw err;
      this.#leaderUntilMs = -Infinity;
    }
  }

  #mayTake({ spec = {} }: Lease): boolean {
    const holder = spec.holderIdentity ?? '';
    return holder === '' || holder === this.#options.identity || this.#isUnchangedForItsDuration(spec);
  }

  #isUnchangedForItsDuration(spec: NonNullable<Lease['spec']>): boolean {
    const nowMs = this.#options.monotonicMs();
    const what = [spec.holderIdentity, spec.renewTime, spec.leaseTransitions].join(' ');
    if (this.#seen?.what !== what) this.#seen = { what, sinceMs: nowMs };
    const seconds = spec.leaseDurationSeconds ?? this.#options.durationMs / 1000;
    return nowMs - this.#seen.sinceMs > seconds * 1000;
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options;
    try {
      const { body } = await client.request({ method: 'GET', path: resourcePath(LEASES, { namespace, name }), signal });
      return body as Lease; // the API server has checked it
    } catch (err) {
      if (err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_NOT_FOUND') return undefined;
      throw err;
    }
  }

  async #write(
    lease: Lease | undefined,
    { signal, isOurs }: { readonly signal: AbortSignal; readonly isOurs: boolean },
  ): Promise<void> {
    const { client, namespace, name, identity, durationMs, now } = this.#options;
    const time = formatMicroTime(now());
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: isOurs ? lease?.spec?.acquireTime : time,
      renewTime: time,
      leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (lease === undefined || isOurs ? 0 : 1),
    };
    const head = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
    const collection = resourcePath(LEASES, { namespace });
    await (lease === undefined
      ? client.request({
          method: 'POST',
          path: collection,
          body: { ...head, metadata: { namespace, name }, spec },
          signal,
        })
      : client.request({
          method: 'PUT',
          path: resourcePath(LEASES, { namespace, name }),
          // Its resourceVersion makes the server refuse it when somebody else was faster.
          body: { ...head, metadata: lease.metadata, spec },
          signal,
        }));
  }

  async #release(): Promise<void> {
    if (!this.isLeader()) return;
    this.#leaderUntilMs = -Infinity;
    const { client, namespace, name, identity, onError } = this.#options;
    const signal = AbortSignal.timeout(RELEASE_TIMEOUT_MS);
    try {
      const lease = await this.#read(signal);
      if (lease?.spec?.holderIdentity !== identity) return;
      await client.request({
        method: 'PUT',
        path: resourcePath(LEASES, { namespace, name }),
        body: {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: lease.metadata,
          spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 },
        },
        signal,
      });
    } catch (err) {
      if (!(err instanceof KubernetesError)) throw err;
      onError?.(err); // the next leader waits for the duration instead
    }
  }
}

function isLostRace(err: unknown): boolean {
  return (
    err instanceof KubernetesError &&
    (err.code === 'KUBERNETES_ERR_CONFLICT' || err.code === 'KUBERNETES_ERR_ALREADY_EXISTS')
  );
}
