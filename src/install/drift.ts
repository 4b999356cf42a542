import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { readObject } from '../kubernetes/objects.js';
import { recordEvent } from '../kubernetes/record-event.js';
import type { Logger } from '../telemetry/logger.js';
import { insertTap } from './corefile/insert-tap.js';
import { sha256 } from './dns-changes.js';
import { CONFIG_MAPS, type Deployment, DEPLOYMENTS } from './dns-workload.js';
import { type InstallRecord, readRecord } from './record.js';
import { withoutSidecar } from './sidecar.js';

/** What somebody else has taken back: `kubeadm upgrade`, a restart of k3s, an addon-manager, a GitOps tool, a person. */
export const DRIFTS = ['corefile', 'sidecar'] as const;
export type Drift = (typeof DRIFTS)[number];

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
  #drifts: readonly Drift[] = [];
  #told = '';

  constructor(options: DriftWatchOptions) {
    this.#options = options;
  }

  /** What was found last. */
  get drifts(): readonly Drift[] {
    return this.#drifts;
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
    const { client, namespace, record: name, log, mayTell } = this.#options;
    const found = await readRecord({ client, namespace, name, signal });
    // While an installer is at work nothing is as it should be.
    this.#drifts = found?.record.verified === true ? await findDrifts(client, found.record, signal) : [];
    const drifts = this.#drifts.join();
    if (drifts === this.#told || !mayTell()) return;
    this.#told = drifts;
    if (found === undefined || drifts === '') return log.info({}, 'the cluster DNS is as it was left');
    log.warn({ drifts: this.#drifts }, 'the cluster DNS is not as it was left: run the installation again');
    await this.#record(found.record, signal);
  }

  async #record({ namespace, configMap, deployment }: InstallRecord, signal: AbortSignal): Promise<void> {
    const { client, instance, now } = this.#options;
    const isCorefile = this.#drifts.includes('corefile');
    await recordEvent({
      client,
      namespace,
      regarding: isCorefile
        ? { apiVersion: 'v1', kind: 'ConfigMap', name: configMap }
        : { apiVersion: 'apps/v1', kind: 'Deployment', name: deployment },
      type: 'Warning',
      reason: isCorefile ? 'DnstapLineMissing' : 'SidecarMissing',
      action: 'Observe',
      note: 'istio-discovery was taken out of the cluster DNS; run its installation again (helm upgrade)',
      reportingController: 'istio-discovery',
      reportingInstance: instance,
      nowMs: now(),
      signal,
    });
  }
}

interface CorefileMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

async function findDrifts(client: KubernetesClient, record: InstallRecord, signal: AbortSignal): Promise<Drift[]> {
  const { namespace, configMap, deployment: name, key, mode } = record;
  const map: CorefileMap | undefined = await readObject({
    client,
    resource: CONFIG_MAPS,
    namespace,
    name: configMap,
    signal,
  });
  const drifts: Drift[] = isTapped(map?.data?.[key] ?? '', record) ? [] : ['corefile'];
  if (mode === 'collector') return drifts;
  const deployment = await readObject({ client, resource: DEPLOYMENTS, namespace, name, signal });
  const isBare = deployment === undefined || withoutSidecar(deployment as Deployment) === deployment; // by its resource
  return isBare ? [...drifts, 'sidecar'] : drifts;
}

/** Others may change what they like, as long as our line stays. */
function isTapped(corefile: string, { written, endpoint }: InstallRecord): boolean {
  if (sha256(corefile) === written) return true;
  const insertion = insertTap(corefile, { endpoint });
  return 'changed' in insertion && !insertion.changed;
}
