import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { readObject } from '../kubernetes/objects.js';
import { insertTap } from './corefile/insert-tap.js';
import { parseCorefile } from './corefile/parser.js';
import { sha256 } from './dns-changes.js';
import { CONFIG_MAPS, type Deployment, DEPLOYMENTS, isRolledOut } from './dns-workload.js';
import { type InstallRecord, readRecord } from './record.js';
import { withoutSidecar } from './sidecar.js';

/** What somebody else has taken back: `kubeadm upgrade`, a restart of k3s, an addon-manager, a GitOps tool, a person. */
export const DRIFTS = ['corefile', 'sidecar'] as const;
export type Drift = (typeof DRIFTS)[number];

/** An installation beside what is left of it. */
export interface InstalledDns {
  readonly record: InstallRecord;
  /** Empty while an installer is at work: nothing is as it should be then. */
  readonly drifts: readonly Drift[];
  /** Whether the Corefile has a mistake in it, so that CoreDNS goes on with the one before, and nothing can be put into it. */
  readonly isUnreadable: boolean;
  /** Whether every pod of CoreDNS is of its present template and available. */
  readonly isRolledOut: boolean;
}

interface CorefileMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * Whether the cluster DNS still is as the installation left it; undefined where nothing is installed.
 *
 * @throws KubernetesError
 */
export async function readInstalledDns(location: {
  readonly client: KubernetesClient;
  /** Our own namespace. */
  readonly namespace: string;
  /** Name of the record of the installation. */
  readonly name: string;
  readonly signal?: AbortSignal;
}): Promise<InstalledDns | undefined> {
  const found = await readRecord(location);
  if (found === undefined) return undefined;
  const { record } = found;
  const { namespace, configMap, deployment, key } = record;
  const { client, signal } = location;
  const at = { client, namespace, ...(signal && { signal }) };
  const map: CorefileMap | undefined = await readObject({ ...at, resource: CONFIG_MAPS, name: configMap });
  const object = await readObject({ ...at, resource: DEPLOYMENTS, name: deployment });
  const workload = object as Deployment | undefined; // by its resource
  const corefile = map?.data?.[key] ?? '';
  return {
    record,
    drifts: record.verified ? findDrifts(record, corefile, workload) : [],
    isUnreadable: 'problem' in parseCorefile(Buffer.from(corefile)),
    isRolledOut: workload !== undefined && isRolledOut(workload),
  };
}

function findDrifts(record: InstallRecord, corefile: string, deployment: Deployment | undefined): readonly Drift[] {
  const isBare = deployment === undefined || withoutSidecar(deployment) === deployment;
  const drifts = { corefile: !isTapped(corefile, record), sidecar: record.mode === 'sidecar' && isBare };
  return DRIFTS.filter((drift) => drifts[drift]);
}

/** Others may change what they like, as long as our line stays. */
function isTapped(corefile: string, { written, endpoint }: InstallRecord): boolean {
  if (sha256(corefile) === written) return true;
  const insertion = insertTap(corefile, { endpoint });
  return 'changed' in insertion && !insertion.changed;
}
