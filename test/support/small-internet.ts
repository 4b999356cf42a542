import { startCoreDns, type CoreDns } from './coredns.js';
import { freePort } from './free-port.js';
import { acceptsTcp } from './probe.js';

/** One resource record of the small internet, in the words of a zone file. */
export interface InternetRecord {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'CNAME' | 'HTTPS' | 'MX' | 'PTR' | 'SRV' | 'TXT';
  readonly data: string;
}

/** How many addresses `many.example.com` has: more than an answer by UDP holds, so it comes truncated. */
export const MANY_ADDRESSES = 60;

/** The CNAMEs between `long.example.com` and `end.example.org`, from zone to zone as CDNs have them. */
export const LONG_CHAIN = Array.from({ length: 8 }, (_, index) => `long-${index}.example.${index % 2 ? 'org' : 'net'}`);

/** TTL of every record. */
export const RECORD_TTL_SECONDS = 60;

/** All that the small internet serves; every other name of the world is NXDOMAIN. */
export const INTERNET_RECORDS: readonly InternetRecord[] = [
  { name: 'www.example.com', type: 'A', data: '192.0.2.10' },
  { name: 'www.example.com', type: 'AAAA', data: '2001:db8::10' },
  { name: 'api.example.com', type: 'A', data: '192.0.2.20' },
  { name: 'api.example.com', type: 'A', data: '192.0.2.21' },
  { name: 'v6.example.com', type: 'AAAA', data: '2001:db8::66' },
  { name: 'mixed-case.example.com', type: 'A', data: '192.0.2.30' },
  { name: 'xn--bcher-kva.example.com', type: 'A', data: '192.0.2.31' },
  { name: 'a.very.deep.name.of.example.com', type: 'A', data: '192.0.2.32' },
  { name: 'under_score.example.com', type: 'A', data: '192.0.2.33' },
  { name: 'www.example.net', type: 'A', data: '198.51.100.10' },
  { name: 'www.example.org', type: 'A', data: '203.0.113.10' },
  // A chain of one link into another zone, one of three over three zones, and one that ends nowhere.
  { name: 'cdn.example.com', type: 'CNAME', data: 'edge.example.net.' },
  { name: 'edge.example.net', type: 'A', data: '198.51.100.20' },
  { name: 'edge.example.net', type: 'AAAA', data: '2001:db8:1::20' },
  { name: 'chain.example.com', type: 'CNAME', data: 'chain.example.net.' },
  { name: 'chain.example.net', type: 'CNAME', data: 'chain.example.org.' },
  { name: 'chain.example.org', type: 'CNAME', data: 'end.example.org.' },
  { name: 'end.example.org', type: 'A', data: '203.0.113.20' },
  { name: 'end.example.org', type: 'AAAA', data: '2001:db8:2::20' },
  { name: 'dangling.example.com', type: 'CNAME', data: 'nowhere.example.net.' },
  ...longChain(),
  { name: 'example.net', type: 'A', data: '198.51.100.1' },
  { name: '*.tenant.example.net', type: 'A', data: '198.51.100.40' },
  // What a company has in a search domain of its own.
  { name: 'wiki.corp.example.org', type: 'A', data: '203.0.113.30' },
  { name: 'db.wiki.corp.example.org', type: 'A', data: '203.0.113.31' },
  // A search domain of the nodes in which every name exists, as some companies have.
  { name: '*.wild.example.org', type: 'A', data: '203.0.113.99' },
  ...manyAddresses(),
  // Names that exist, but have no address of their own.
  { name: 'text.example.com', type: 'TXT', data: '"no address here"' },
  { name: '_https._tcp.example.com', type: 'SRV', data: '10 5 443 www.example.com.' },
  { name: 'example.com', type: 'MX', data: '10 mail.example.com.' },
  { name: 'mail.example.com', type: 'A', data: '192.0.2.25' },
  { name: 'https.example.com', type: 'HTTPS', data: '1 . alpn="h2" ipv4hint="192.0.2.40"' },
  { name: 'https.example.com', type: 'A', data: '192.0.2.40' },
  { name: '10.2.0.192.in-addr.arpa', type: 'PTR', data: 'www.example.com.' },
];

/** Names by what a client that looks up their addresses gets. */
export const INTERNET_NAMES = {
  /** At least one address, of the name itself or at the end of its CNAME chain. */
  resolving: [
    'a.very.deep.name.of.example.com',
    'api.example.com',
    'cdn.example.com',
    'chain.example.com',
    'chain.example.net',
    'chain.example.org',
    'edge.example.net',
    'end.example.org',
    'https.example.com',
    'mail.example.com',
    'many.example.com',
    'mixed-case.example.com',
    'v6.example.com',
    'www.example.com',
    'www.example.net',
    'www.example.org',
    'xn--bcher-kva.example.com',
  ],
  /** Resolves, but no ServiceEntry can have such a host. */
  underscore: ['under_score.example.com'],
  nodata: ['_https._tcp.example.com', 'text.example.com'],
  nxdomain: ['missing.example.com', 'missing.example.net', 'www.example.test'],
  dangling: ['dangling.example.com'],
  /** Its server answers with SERVFAIL. */
  failing: ['broken.example.net'],
  /** Every name below it has addresses, but its server leaves every other query without an answer. */
  flakyDomain: 'flaky.example.net',
  /** The search domain in which every name has an address. */
  wildcardDomain: 'wild.example.org',
} as const;

const ZONES = ['example.com', 'example.net', 'example.org', '2.0.192.in-addr.arpa'] as const;

/** The small internet that runs. */
export interface SmallInternet extends CoreDns {
  readonly host: string;
  readonly port: number;
  /** `HOST:PORT`, as CoreDNS's forward plugin takes it. */
  readonly address: string;
}

/** Starts a CoreDNS that serves the records above, by UDP and TCP, on a free loopback port unless told. */
export async function startSmallInternet(at?: {
  readonly host: string;
  readonly port: number;
}): Promise<SmallInternet> {
  const { host, port } = at ?? { host: '127.0.0.1', port: await freePort() };
  const coredns = await startCoreDns({
    name: 'small-internet',
    corefile: corefile(host, port),
    files: Object.fromEntries(ZONES.map((zone) => [`${zone}.zone`, zoneFile(zone)])),
    ready: async () => acceptsTcp(host, port),
  });
  return { ...coredns, host, port, address: `${host}:${port}` };
}

function longChain(): readonly InternetRecord[] {
  const names = ['long.example.com', ...LONG_CHAIN, 'end.example.org'];
  return names.slice(1).map((target, index) => ({ name: names[index] ?? '', type: 'CNAME', data: `${target}.` }));
}

function manyAddresses(): readonly InternetRecord[] {
  return Array.from({ length: MANY_ADDRESSES }, (_, index) => ({
    name: 'many.example.com',
    type: 'A',
    data: `192.0.2.${100 + index}`,
  }));
}

/** In server blocks of their own: within one, the template plugin would answer before the file plugin is asked. */
function corefile(host: string, port: number): string {
  const keys = ZONES.map((zone) => `${zone}:${port}`).join(' ');
  const files = ZONES.map((zone) => `    file ${zone}.zone ${zone}`).join('\n');
  return `${keys} {
    bind ${host}
    errors
${files}
}
${INTERNET_NAMES.flakyDomain}:${port} {
    bind ${host}
    errors
    erratic {
        drop 2
    }
}
${INTERNET_NAMES.failing.map((name) => `${name}:${port}`).join(' ')} {
    bind ${host}
    errors
    template ANY ANY . {
        rcode SERVFAIL
    }
}
.:${port} {
    bind ${host}
    errors
    template ANY ANY . {
        rcode NXDOMAIN
        authority ". ${RECORD_TTL_SECONDS} IN SOA ns.example.com. admin.example.com. 1 60 60 60 ${RECORD_TTL_SECONDS}"
    }
}
`;
}

function zoneFile(zone: string): string {
  const soa = `${zone}. IN SOA ns.example.com. admin.example.com. 1 3600 600 86400 ${RECORD_TTL_SECONDS}`;
  const records = INTERNET_RECORDS.filter(({ name }) => name === zone || name.endsWith(`.${zone}`)).map(
    ({ name, type, data }) => `${name}. IN ${type} ${data}`,
  );
  return [`$TTL ${RECORD_TTL_SECONDS}`, soa, `${zone}. IN NS ns.example.com.`, ...records, ''].join('\n');
}
