import { BlockList, isIPv6 } from 'node:net';
import { parse } from 'tldts';
import { isBelow, isGlobalName } from './name-scope.js';

export interface ClusterDomainSettings {
  /** Domains that are the cluster's for certain: set, or from a search list. Empty: to be found. */
  readonly clusterDomains: readonly string[];
  /** Networks of pods and Services. */
  readonly clusterNetworks: BlockList;
}

/** What kubeadm and everybody else names it unless told otherwise; below no top-level domain of the Internet. */
const USUAL_DOMAIN = 'cluster.local';

/** Multi-cluster Services (kubernetes/enhancements KEP-1645): always served by the cluster itself. */
const CLUSTER_SET_DOMAIN = 'clusterset.local';

const SERVICE = /^[a-z0-9-]+\.[a-z0-9-]+\.svc\.(.+)$/;
const SERVICE_OR_POD = /^(?:[a-z0-9_-]+\.){2,5}svc\.(.+)$|^[a-z0-9-]+\.[a-z0-9-]+\.pod\.(.+)$/;
const WALK_STEP = /^(.+)\.[a-z0-9-]+\.svc\.(.+)$/;
const API_SERVICE = 'kubernetes.default.svc.';

/** Clients that must have walked a domain before it is taken for the cluster's without a Service to prove it. */
const WALKING_CLIENTS = 5;
const MAX_WALKED_DOMAINS = 16;

/** Domains that are found beside those that are set: each one costs all that is known of names and clients. */
const MAX_FOUND_DOMAINS = 4;

/** Not routed on the Internet: RFC 1918, RFC 6598 (shared address space, which some use for Services), RFC 4193. */
export const PRIVATE_NETWORKS = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'] as const;

const privateNetworks = new BlockList();
for (const cidr of PRIVATE_NETWORKS) {
  const [network = '', bits] = cidr.split('/');
  privateNetworks.addSubnet(network, Number(bits), isIPv6(network) ? 'ipv6' : 'ipv4');
}

export function isPrivateAddress(address: string): boolean {
  return privateNetworks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * The DNS domains of the cluster. Where none is set it is found in the traffic:
 *
 * - A Service that answers proves its domain: `a.b.svc.D` with nothing but private or cluster addresses. Below a top-level
 *   domain of the Internet only `kubernetes.default.svc.D` does, since a zone with a wildcard answers the others as well.
 *   Whoever owns such a domain can have that answered too, and hide what is below it from us, but nothing of others: no
 *   public suffix and no platform that strangers share is taken. It is no proof against another domain either.
 * - Once a domain is proven, another is the cluster's only if the API server has the same address there: other clusters
 *   have Services too. No more than a few are taken.
 * - Until one is proven, one in which several clients walk their search lists is taken for it. That alone is no proof, as
 *   every pod can ask for anything, so it ends when a domain is proven.
 */
export class ClusterDomains {
  readonly #networks: BlockList;
  #domains: readonly string[];
  #isProven: boolean;
  #apiAddress: string | undefined;
  readonly #walked = new Map<string, Set<number>>();
  #found = 0;

  constructor({ clusterDomains, clusterNetworks }: ClusterDomainSettings) {
    this.#networks = clusterNetworks;
    this.#isProven = clusterDomains.length > 0;
    this.#domains = this.#isProven ? clusterDomains : [USUAL_DOMAIN];
  }

  /** The domains that count now, the usual one first. */
  get domains(): readonly string[] {
    return this.#domains;
  }

  get isProven(): boolean {
    return this.#isProven;
  }

  /** The cluster domain that a name is below; undefined when it is below none. */
  find(name: string): string | undefined {
    return [...this.#domains, CLUSTER_SET_DOMAIN].find((domain) => isBelow(name, domain));
  }

  /**
   * Whether a positive answer is one of a Service of this cluster. Until a domain is proven, what looks like a Service
   * is one: a host that is learnt a little later does less harm than an entry for a Service.
   */
  isService(name: string, addresses: readonly string[]): boolean {
    if (this.#isProven) return false; // what is below a domain of the cluster is internal by its name
    const [, ofService, ofPod] = SERVICE_OR_POD.exec(name) ?? [];
    const domain = ofService ?? ofPod;
    if (domain === undefined) return false;
    // Where Services have public IPv6 addresses, a domain outside the Internet is the only sign.
    return addresses.every((address) => this.#isOwn(address)) || !isBelowInternetDomain(domain);
  }

  /** Learns from a positive answer; true when the domains are other ones now. */
  learnFromAnswer(name: string, addresses: readonly string[]): boolean {
    const domain = this.#serviceDomain(name, addresses);
    if (domain === undefined) return false;
    const apiAddress = name.startsWith(API_SERVICE) ? addresses[0] : undefined;
    return this.#isProven ? this.#addAlias(domain, apiAddress) : this.#prove(domain, apiAddress);
  }

  #prove(domain: string, apiAddress: string | undefined): boolean {
    if (isBelowInternetDomain(domain)) return apiAddress !== undefined && this.#add(domain);
    this.#isProven = true;
    this.#apiAddress = apiAddress;
    const claimed = this.#domains.filter(isBelowInternetDomain);
    return this.#set([USUAL_DOMAIN, domain, ...claimed]);
  }

  #addAlias(domain: string, apiAddress: string | undefined): boolean {
    if (apiAddress === undefined) return false;
    if (this.#domains.includes(domain)) this.#apiAddress ??= apiAddress;
    return this.#apiAddress === apiAddress && this.#add(domain);
  }

  /** The domain of a name like a Service's with addresses like one's. */
  #serviceDomain(name: string, addresses: readonly string[]): string | undefined {
    const domain = SERVICE.exec(name)?.[1];
    if (domain === undefined || addresses.length === 0) return undefined;
    const isApi = name.startsWith(API_SERVICE) && !isBelowInternetDomain(domain);
    return isApi || addresses.every((address) => this.#isOwn(address)) ? domain : undefined;
  }

  #add(domain: string): boolean {
    if (this.#found === MAX_FOUND_DOMAINS || isSharedSuffix(domain)) return false;
    const isNew = this.#set([...this.#domains, domain]);
    if (isNew) this.#found++;
    return isNew;
  }

  /** Learns from a name that does not exist; true when the domains are other ones now. */
  learnFromWalk(name: string, client: number): boolean {
    const [, asked = '', domain = ''] = (this.#isProven ? undefined : WALK_STEP.exec(name)) ?? [];
    if (!isGlobalName(asked) || this.#domains.includes(domain) || isBelowInternetDomain(domain)) return false;
    const clients = this.#walked.get(domain) ?? new Set();
    if (this.#walked.size < MAX_WALKED_DOMAINS) this.#walked.set(domain, clients);
    if (clients.size < WALKING_CLIENTS) clients.add(client);
    return clients.size === WALKING_CLIENTS && this.#set([...this.#domains, domain]);
  }

  #set(domains: readonly string[]): boolean {
    const changed = [...new Set(domains)];
    if (changed.join(' ') === this.#domains.join(' ')) return false;
    this.#domains = changed;
    return true;
  }

  #isOwn(address: string): boolean {
    return isPrivateAddress(address) || this.#networks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  }
}

/** Below which strangers have names: a public suffix, or a platform such as one that gives names to whoever asks. */
function isSharedSuffix(domain: string): boolean {
  return isBelowInternetDomain(domain) && parse(domain, { allowPrivateDomains: true }).publicSuffix === domain;
}

function isBelowInternetDomain(domain: string): boolean {
  return parse(domain).isIcann === true;
}

/** The search list of a resolv.conf, in order, lower case: the last `search` line counts (resolv.conf(5)). */
export function parseSearchList(resolvConf: string): readonly string[] {
  const line = resolvConf.split('\n').findLast((one) => /^search\s/.test(one));
  const domains = (line ?? '').split(/\s+/).slice(1);
  return domains.map((domain) => domain.toLowerCase().replace(/\.$/, '')).filter((domain) => domain.includes('.'));
}

/** The cluster's domain in a search list that the kubelet wrote: the D of `svc.D` and `D` (`dnsPolicy: ClusterFirst`). */
export function clusterDomainOf(searchList: readonly string[]): string | undefined {
  return searchList.find((domain) => searchList.includes(`svc.${domain}`));
}
