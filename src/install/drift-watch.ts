import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesClient } from '../kubernetes/client.js';
import { recordEvent } from '../kubernetes/record-event.js';
import type { Logger } from '../telemetry/logger.js';
import { type Drift, type InstalledDns, readInstalledDns } from './drift.js';
import { isGivenUp } from './repair-attempts.js';

export interface DriftWatchOptions {
  readonly client: KubernetesClient;
  /** Our own namespace. */
  readonly namespace: string;
  /** Name of the record of the installation. */
  readonly record: string;
  /** Which of our processes this is, for Events. */
  readonly instance: string;
  /** Whether this process is the one to tell. */
  readonly mayTell: () => boolean;
  readonly now: () => number;
  readonly log: Logger;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 30_000;

/**
 * Looks, twice a minute, whether the cluster DNS still is as the installation left it. It changes nothing. Where nothing is
 * installed, or a right is missing, it has nothing to say.
 */
export class DriftWatch {
  readonly #options: DriftWatchOptions;
  #found: InstalledDns | undefined;
  #told = '';

  constructor(options: DriftWatchOptions) {
    this.#options = options;
  }

  /** What was found last. */
  get drifts(): readonly Drift[] {
    return this.#found?.drifts ?? [];
  }

  /** How often it was tried to put it right, since it last stayed so. */
  get repairAttempts(): number {
    return this.#found?.record.repairs?.attempts ?? 0;
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look(signal).catch((err: unknown) => {
        if (!signal.aborted) this.#options.log.debug({ err }, 'the cluster DNS could not be looked at');
      });
      await delay(this.#options.intervalMs ?? INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Looks once. @throws KubernetesError */
  async look(signal: AbortSignal): Promise<void> {
    const { client, namespace, record: name, log, mayTell, now } = this.#options;
    const found = await readInstalledDns({ client, namespace, name, signal });
    this.#found = found;
    const { drifts } = this;
    const isHopeless = drifts.length > 0 && isGivenUp(found?.record.repairs, now());
    const news = [...drifts, ...(isHopeless ? ['given up'] : [])].join();
    if (news === this.#told || !mayTell()) return;
    this.#told = news;
    if (found === undefined || drifts.length === 0) return log.info({}, 'the cluster DNS is as it was left');
    log.warn({ drifts, attempts: this.repairAttempts }, 'the cluster DNS is not as it was left');
    await this.#record(found, { isHopeless, signal });
  }

  async #record(
    { record: { namespace, configMap, deployment, repairs }, drifts }: InstalledDns,
    { isHopeless, signal }: { readonly isHopeless: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const { client, instance, now } = this.#options;
    const isCorefile = drifts.includes('corefile');
    const missing = isCorefile ? 'DnstapLineMissing' : 'SidecarMissing';
    await recordEvent({
      client,
      namespace,
      regarding: isCorefile
        ? { apiVersion: 'v1', kind: 'ConfigMap', name: configMap }
        : { apiVersion: 'apps/v1', kind: 'Deployment', name: deployment },
      type: 'Warning',
      reason: isHopeless ? 'RepairGivenUp' : missing,
      action: 'Observe',
      note: isHopeless
        ? `istio-discovery was put back into the cluster DNS ${repairs?.attempts} times, and taken out again each time or not connected; it gives up. Find who changes it, then run its installation again (helm upgrade)`
        : 'istio-discovery was taken out of the cluster DNS; unless clusterDns.repair is on, run its installation again (helm upgrade)',
      reportingController: 'istio-discovery',
      reportingInstance: instance,
      nowMs: now(),
      signal,
    });
  }
}
