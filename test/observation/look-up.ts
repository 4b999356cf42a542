import type { Observation } from '../../src/observation/observation.js';
import { hostname } from '../istio/hostname.js';

/** One look-up of a host by a client, as a collector records it. */
export function lookUpOf(host: string, client: string, atMs = Date.now()): Observation {
  return {
    hostname: hostname(host),
    client,
    addresses: ['198.51.100.1'],
    ttlSeconds: { min: 60, max: 60 },
    cnames: [],
    firstObservedAtMs: atMs,
    lastObservedAtMs: atMs,
    lookups: 1,
    origin: 'dnstap',
  };
}
