import { BlockList } from 'node:net';
import { createObservationTable, type ObservationTable } from '../../src/observation/observation-table.js';

export const NOON_MS = Date.UTC(2026, 0, 1, 12);

/** An empty table of the smallest size. */
export const newTable = (): ObservationTable =>
  createObservationTable({
    clusterDomains: ['cluster.local'],
    internalZones: [],
    searchDomains: [],
    clusterNetworks: new BlockList(),
    maxPairs: 1024,
    seed: 1,
    origin: 'dnstap',
    now: () => NOON_MS,
  });
