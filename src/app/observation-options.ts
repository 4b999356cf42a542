import { readFileSync } from 'node:fs';
import { BlockList, isIPv6 } from 'node:net';
import type { Configuration } from '../config/schema.js';
import { clusterDomainOf, parseSearchList, PRIVATE_NETWORKS } from '../observation/cluster-domains.js';
import { isBelow } from '../observation/name-scope.js';
import type { ObservationTableOptions } from '../observation/observation-table.js';

/**
 * The part of the settings that decides what is learnt.
 *
 * @param searchList the search domains in this pod's resolv.conf.
 */
export function observationOptions(
  { observation }: Configuration,
  searchList: readonly string[],
): Omit<ObservationTableOptions, 'seed' | 'origin' | 'now'> {
  const clusterNetworks = new BlockList();
  const internal = observation.privateAddresses === 'internal' ? PRIVATE_NETWORKS : [];
  for (const cidr of [...observation.clusterCidrs, ...internal]) {
    const [address = '', bits] = cidr.split('/');
    clusterNetworks.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  const clusterDomains = clusterDomainsOf(observation, searchList);
  const nodeDomains = searchList.filter((domain) => !clusterDomains.some((zone) => isBelow(domain, zone)));
  return {
    clusterDomains,
    internalZones: observation.internalZones,
    searchDomains: [...new Set([...observation.searchDomains, ...nodeDomains])],
    clusterNetworks,
    maxPairs: observation.maxPairs,
  };
}

/** Those that are set, or the one that the search list shows; none where neither says. */
export function clusterDomainsOf(
  { clusterDomains }: Configuration['observation'],
  searchList: readonly string[],
): readonly string[] {
  if (clusterDomains.length > 0) return clusterDomains;
  const found = clusterDomainOf(searchList);
  return found === undefined ? [] : [found];
}

/**
 * The search list of this pod. The kubelet hands the same node domains to all pods of a node, after those of the cluster;
 * beside CoreDNS (`dnsPolicy: Default`) there are no others.
 */
export function ownSearchList(): readonly string[] {
  try {
    return parseSearchList(readFileSync('/etc/resolv.conf', 'utf8'));
  } catch {
    return []; // no such file: nothing to learn from it
  }
}
