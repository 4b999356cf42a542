import type { HostnameRejection } from '../dns/hostname.js';

/** Why a response taught nothing. A closed list: it labels metrics, and `hosts` and `explain` print it. */
export const REJECTIONS = {
  'not-full': 'the dnstap message carries no DNS message: the `dnstap` line of the Corefile lacks `full`',
  'malformed-frame': 'not a readable dnstap message',
  malformed: 'not a readable DNS message',
  'not-an-answer': 'not the response to one ordinary question of class IN',
  'record-type': 'a question for a record type that makes no host (PTR, SRV, MX, TXT, HTTPS, …)',
  internal: 'a name of the cluster, of a configured zone, of a reverse zone or below localhost',
  'search-expansion': 'a name that a resolver made by appending a search domain',
  'search-conflict':
    'a search domain answered for another name: the client connects there, not to the name it asked for',
  'search-undecided': 'maybe a search expansion: its client may have asked another replica of the DNS server before',
  nxdomain: 'the name does not exist',
  'server-failure': 'SERVFAIL: nothing is known about the name',
  refused: 'REFUSED',
  'other-rcode': 'another response code',
  'no-address': 'the name exists, but has no address',
  'broken-chain': 'an address, but not at the end of a chain of CNAMEs from the name asked',
  truncated: 'the answer was cut before the first address; the client asks again over TCP',
  'internal-address': 'only addresses of the cluster, loopback, link-local or unspecified',
  'single-label': 'a name of one label cannot be told from a host of the cluster',
  underscore: 'a name with an underscore cannot be a host of a ServiceEntry',
  'over-cap': 'one client taught more new hosts in a day than it may; its other look-ups count',
  'numeric-top-label': 'a name whose last label is a number cannot be a host of a ServiceEntry',
  'ip-literal': 'an address in the place of a name',
  'too-long': 'a name of more than 253 characters cannot be a host of a ServiceEntry',
  'invalid-name': 'a name with other characters than letters, digits and hyphens, or the root',
} as const;
export type Rejection = keyof typeof REJECTIONS;

export function rejectionOfHostname(rejection: HostnameRejection): Rejection {
  return rejection === 'root' || rejection === 'not-rfc1123' ? 'invalid-name' : rejection;
}

/** Responses that taught nothing, by reason, since the previous batch of the same source. */
export interface RejectionCount {
  readonly reason: Rejection;
  readonly responses: number;
  /** A few of the names, sorted; for people, not for counting. Each is one word: of a conflict, both names and the addresses. */
  readonly examples: readonly string[];
}
