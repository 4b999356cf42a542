import type { KubernetesClient } from '../kubernetes/client.js';
import { KubernetesError } from '../kubernetes/kubernetes-error.js';
import type { Mode } from './dns-changes.js';
import { type Drift, type InstalledDns, readInstalledDns } from './drift.js';
import { recordName } from './record.js';
import { isGivenUp, type RepairAttempts } from './repair-attempts.js';

/**
 * What the installation has made of the cluster DNS, and what is left of it.
 *
 * - `unreadable`: the API server does not answer, or does not say.
 * - `absent`: CoreDNS was not changed by us, or is as it was again.
 * - `installing`: an installer is at work, or was stopped in the middle.
 * - `intact`, `drifted`: what was left is there, or is not.
 */
export type InstallationView =
  | { readonly state: 'unreadable'; readonly reason: string }
  | { readonly state: 'absent' }
  | {
      readonly state: 'installing' | 'intact' | 'drifted';
      readonly mode: Mode;
      readonly namespace: string;
      readonly deployment: string;
      readonly configMap: string;
      readonly drifts: readonly Drift[];
      readonly repairs?: RepairAttempts & { readonly givenUp: boolean };
    };

/** Looks; changes nothing, and does not fail. */
export async function viewInstallation(options: {
  readonly client: KubernetesClient;
  /** Our own namespace. */
  readonly namespace: string;
  /** Name of the installation. */
  readonly owner: string;
  readonly nowMs: number;
  readonly signal?: AbortSignal;
}): Promise<InstallationView> {
  try {
    const found = await readInstalledDns({ ...options, name: recordName(options.owner) });
    return found === undefined ? { state: 'absent' } : viewOf(found, options.nowMs);
  } catch (err) {
    if (!(err instanceof KubernetesError)) throw err;
    return { state: 'unreadable', reason: err.message };
  }
}

function viewOf({ record, drifts }: InstalledDns, nowMs: number): InstallationView {
  const { mode, namespace, deployment, configMap, repairs, verified } = record;
  const state = drifts.length > 0 ? 'drifted' : 'intact';
  return {
    state: verified ? state : 'installing',
    mode,
    namespace,
    deployment,
    configMap,
    drifts,
    ...(repairs && { repairs: { ...repairs, givenUp: isGivenUp(repairs, nowMs) } }),
  };
}
