import { BlockList } from 'node:net';
import { createFrameIntake } from '../../src/intake/frame-intake.js';
import { createObservationTable } from '../../src/observation/observation-table.js';
import type { GroundTruth } from './ground-truth.js';

/** `NAMESPACE KIND/NAME HOST`, sorted: what a table that knows nothing of the cluster learns from frames alone. */
export function learnAlone(frames: readonly Uint8Array[], { pods }: Pick<GroundTruth, 'pods'>): readonly string[] {
  const owners = new Map(pods.map(({ podIp, namespace, workload }) => [podIp, `${namespace} ${workload}`]));
  const table = createObservationTable({
    clusterDomains: [],
    internalZones: [],
    searchDomains: [],
    clusterNetworks: new BlockList(),
    maxPairs: 4096,
    seed: 1,
    origin: 'replay',
    now: () => 0,
  });
  const take = createFrameIntake(table);
  for (const bytes of frames) take(bytes, 0, bytes.length);
  const { observations } = table.drain({ final: true, nowMs: 0 });
  return [...new Set(observations.map(({ hostname, client }) => `${owners.get(client)} ${hostname}`))].toSorted();
}
