import { LONG_CHAIN } from '../support/small-internet.js';

/** A name that a program is told to look up, and the host that a ServiceEntry must then have. */
export interface NameToLookUp {
  readonly name: string;
  /** Absent: nothing outside the cluster is used, whatever the answer. */
  readonly host?: string;
  /** Its server leaves queries without an answer: a program may give up on what CoreDNS learns in the end. */
  readonly flaky?: true;
  /** A Service of type ExternalName: autopath gives its CNAME twice, and a program may refuse such an answer. */
  readonly externalName?: true;
  /** Of its CNAMEs. */
  readonly targets?: readonly string[];
}

/** The address of every name of the wildcard search domain. */
export const WILDCARD_ADDRESS = '203.0.113.99';

/** A search domain of a company, with records of its own. */
export const COMPANY_SEARCH_DOMAIN = 'corp.example.org';

/** The search domain of the nodes; no name exists in it. */
export const NODE_SEARCH_DOMAIN = 'nodes.example.org';

const same = (name: string): NameToLookUp => ({ name, host: name });
const cname = (name: string, ...targets: readonly string[]): NameToLookUp => ({ name, host: name, targets });
const flaky = (name: string): NameToLookUp => ({ name, host: name, flaky: true });
const externalName = (name: string): NameToLookUp => ({ name, host: 'end.example.org', externalName: true });
const none = (name: string): NameToLookUp => ({ name });

/** What the main pod looks up; `program` makes some names that no other program's answers are in CoreDNS's cache for. */
export function mainWorkload(program: string): readonly NameToLookUp[] {
  return [
    same('www.example.com'),
    { name: 'API.Example.com', host: 'api.example.com' },
    { name: 'www.example.org.', host: 'www.example.org' },
    same('a.very.deep.name.of.example.com'), // with five dots and more, the plain name comes first
    same('v6.example.com'),
    same('mixed-case.example.com'),
    same('xn--bcher-kva.example.com'),
    cname('cdn.example.com', 'edge.example.net'),
    cname('chain.example.com', 'chain.example.net', 'chain.example.org', 'end.example.org'),
    cname('long.example.com', ...LONG_CHAIN, 'end.example.org'),
    cname('alias.example.org', 'edge.example.net'), // a CNAME that the cluster's CoreDNS serves and follows itself, to edge.example.net
    same('many.example.com'), // more addresses than an answer by UDP holds
    same('https.example.com'),
    same('example.net'),
    same('a.tenant.example.net'), // by a wildcard record, as many platforms have them
    { name: 'WWW.EXAMPLE.NET', host: 'www.example.net' },
    { name: 'wiki', host: 'wiki.corp.example.org' }, // where that domain is in the search list
    { name: 'db.wiki', host: 'db.wiki.corp.example.org' },
    same('www.example.com'),
    none('dangling.example.com'),
    none('missing.example.com'),
    none('no.such.deep.name.of.example.net'),
    none('missing.example.net.'),
    none('text.example.com'),
    none('under_score.example.com'), // resolves, but no ServiceEntry can have such a host
    none('broken.example.net'),
    none('kubernetes.default'),
    none('kubernetes.default.svc.cluster.local'),
    none('kubernetes.default.svc.cluster.local.'),
    none('redis'),
    none('redis.shop'),
    none('redis.shop.svc'),
    externalName('payments'),
    flaky(`${program}.flaky.example.net`),
  ];
}

/** What a pod of another namespace looks up at the same time, with a resolver that asks again after a second. */
export function secondWorkload(program: string): readonly NameToLookUp[] {
  return [
    same('api.example.com'),
    flaky(`${program}-again.flaky.example.net`),
    { name: 'cdn.example.com.', host: 'cdn.example.com', targets: ['edge.example.net'] },
    same('www.example.net'),
    none('missing.example.net'),
    none('redis.shop'),
    externalName('payments.shop'),
  ];
}

/** What a pod looks up in one of whose search domains every name exists. */
export function wildcardWorkload(): readonly NameToLookUp[] {
  return [
    same('api.example.com'),
    { name: 'www.example.org.', host: 'www.example.org' },
    same('a.very.deep.name.of.example.com'),
    none('redis.shop'),
  ];
}
