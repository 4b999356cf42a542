import type { FindingCode } from '../../../src/istio/validation/finding.js';

/** One case: what is changed in an entry without fault, and what is found then. */
export interface RuleCase {
  readonly what: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly top?: Readonly<Record<string, unknown>>;
  readonly codes: readonly FindingCode[];
}

/** An entry that nobody has anything to say about. */
export const FAULTLESS = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: 'api', namespace: 'shop' },
  spec: {
    hosts: ['api.example.com'],
    location: 'MESH_EXTERNAL',
    resolution: 'NONE',
    ports: [{ name: 'tls-443', number: 443, protocol: 'TLS' }],
  },
};

export function entryOf({ spec, metadata, top }: Omit<RuleCase, 'what' | 'codes'>): Readonly<Record<string, unknown>> {
  return {
    ...FAULTLESS,
    metadata: { ...FAULTLESS.metadata, ...metadata },
    spec: { ...FAULTLESS.spec, ...spec },
    ...top,
  };
}

const tls = { name: 'tls-443', number: 443, protocol: 'TLS' };
const tcp = { name: 'tcp-5432', number: 5432, protocol: 'TCP' };
const http = { name: 'http-80', number: 80, protocol: 'HTTP' };
const label63 = 'a'.repeat(63);
const dns = { resolution: 'DNS' };
const fixed = { resolution: 'STATIC' };
const dynamic = { resolution: 'DYNAMIC_DNS', hosts: ['*.example.com'] };
const manyKeys = (count: number): object =>
  Object.fromEntries(many(count, (i) => [`k${i}`, 'x']) as [string, string][]);
const many = (count: number, item: (index: number) => unknown): unknown[] =>
  Array.from({ length: count }, (_, i) => item(i));

const host = (what: string, name: string, ...codes: FindingCode[]): RuleCase => ({
  what: `the host ${what}`,
  spec: { hosts: [name] },
  codes,
});
const ports = (what: string, change: object, ...codes: FindingCode[]): RuleCase => ({
  what,
  spec: { ports: [{ ...tls, ...change }] },
  codes,
});
const endpoint = (what: string, item: object, ...codes: FindingCode[]): RuleCase => ({
  what: `an endpoint ${what}`,
  spec: { ...fixed, endpoints: [item] },
  codes,
});
const exported = (what: string, exportTo: unknown, ...codes: FindingCode[]): RuleCase => ({
  what: `exportTo ${what}`,
  spec: { exportTo },
  codes,
});
const labelled = (what: string, metadata: Readonly<Record<string, unknown>>, ...codes: FindingCode[]): RuleCase => ({
  what,
  metadata,
  codes,
});

/** Every rule, on both of its sides where it has a boundary. */
export const RULE_CASES: readonly RuleCase[] = [
  // Schema
  { what: 'no spec', top: { spec: undefined }, codes: ['required'] },
  { what: 'a spec that is a list', top: { spec: [] }, codes: ['type'] },
  { what: 'no hosts', spec: { hosts: undefined }, codes: ['required'] },
  { what: 'an empty list of hosts', spec: { hosts: [] }, codes: ['hosts-empty'] },
  { what: 'hosts that are text', spec: { hosts: 'api.example.com' }, codes: ['type'] },
  { what: 'a host that is a number', spec: { hosts: [12] }, codes: ['type'] },
  { what: 'hosts that are null', spec: { hosts: null }, codes: ['type'] },
  { what: '256 hosts', spec: { hosts: many(256, (i) => `h${i}.example.com`) }, codes: [] },
  { what: '257 hosts', spec: { hosts: many(257, (i) => `h${i}.example.com`) }, codes: ['too-many'] },
  { what: 'a field that there is not', spec: { host: 'api.example.com' }, codes: ['unknown-field'] },
  { what: 'a field of a port that there is not', spec: { ports: [{ ...tls, port: 1 }] }, codes: ['unknown-field'] },
  { what: 'a field beside the spec', top: { data: {} }, codes: ['unknown-field'] },
  { what: 'an unknown resolution', spec: { resolution: 'MAGIC' }, codes: ['resolution'] },
  { what: 'a resolution in lower case', spec: { resolution: 'none' }, codes: ['resolution'] },
  { what: 'an unknown location', spec: { location: 'MARS' }, codes: ['location'] },
  {
    what: 'no location, resolution and ports',
    spec: { location: undefined, resolution: undefined, ports: undefined },
    codes: [],
  },
  { what: '256 addresses', spec: { addresses: many(256, (i) => `198.51.${i}.0/24`) }, codes: [] },
  { what: '257 addresses', spec: { addresses: many(257, (i) => `198.51.${i % 256}.0/24`) }, codes: ['too-many'] },
  { what: 'names to verify', spec: { subjectAltNames: ['api.example.com'] }, codes: [] },

  // Hosts
  host('with a trailing dot, by HTTP', 'api.example.com.', 'host-trailing-dot'),
  host('as a wildcard', '*.example.com'),
  host('*', '*', 'host-wildcard-only'),
  host('*.', '*.', 'host-unusable'),
  host('empty', '', 'host-syntax'),
  host('short', 'redis'),
  host('localhost', 'localhost'),
  host('with an underscore', 'my_bucket.example.com', 'host-syntax'),
  host('_dmarc', '_dmarc.example.com', 'host-syntax'),
  host('with a star in the middle', 'foo.*.example.com', 'host-syntax'),
  host('with a star at the end of a label', 'foo*.example.com', 'host-syntax'),
  host('as a partial wildcard', '*foo.example.com', 'host-partial-wildcard'),
  host('as a partial wildcard with a hyphen', '*-foo.example.com', 'host-partial-wildcard'),
  host('with a hyphen first', '-a.example.com', 'host-syntax'),
  host('with a hyphen last', 'a-.example.com', 'host-syntax'),
  host('with an empty label', 'a..example.com', 'host-syntax'),
  host('with a label of 63 characters', `${label63}.example.com`),
  host('with a label of 64 characters', `${label63}a.example.com`, 'host-syntax'),
  host('of 253 characters', `${label63}.${label63}.${label63}.${'a'.repeat(61)}`),
  host('of 255 characters', `${label63}.${label63}.${label63}.${label63}`, 'host-unusable'),
  host('of 256 characters', `a.${label63}.${label63}.${label63}.${'a'.repeat(62)}`, 'host-syntax'),
  host('in upper case', 'API.example.com', 'host-upper-case'),
  host('as an IPv4 address', '192.0.2.1', 'host-syntax'),
  host('as an IPv4 address with a dot', '192.0.2.1.', 'host-unusable'),
  host('as an IPv6 address', '2001:db8::1', 'host-syntax'),
  host('as a number', '12345', 'host-unusable'),
  host('with a number as its last label', 'example.123', 'host-syntax'),
  host('with a blank', 'api .example.com', 'host-syntax'),
  host('with letters beyond ASCII', 'bücher.example.com', 'host-syntax'),
  host('over a public suffix', '*.co.uk', 'host-public-suffix'),
  host('over a top-level domain', '*.com', 'host-public-suffix'),
  host('over a suffix of the private section', '*.github.io', 'host-public-suffix'),
  host('over a zone that a platform shares', '*.amazonaws.com', 'host-public-suffix'),
  { what: 'a wildcard that DNS must resolve', spec: { ...dns, hosts: ['*.example.com'] }, codes: ['host-with-dns'] },
  {
    what: 'a wildcard with DNS and an endpoint',
    spec: { ...dns, hosts: ['*.example.com'], endpoints: [{ address: 'www.example.com' }] },
    codes: [],
  },
  { what: 'a number as host, with DNS', spec: { ...dns, hosts: ['12345'] }, codes: ['host-unusable', 'host-with-dns'] },

  {
    what: 'a trailing dot with HTTP and TLS',
    spec: { hosts: ['api.example.com.'], ports: [http, tls] },
    codes: ['host-trailing-dot'],
  },
  { what: 'a trailing dot with HTTP alone', spec: { hosts: ['api.example.com.'], ports: [http] }, codes: [] },

  // Addresses
  { what: 'a CIDR', spec: { addresses: ['192.0.2.0/24', '2001:db8::/32'] }, codes: [] },
  { what: 'an address that is none', spec: { addresses: ['192.0.2.300'] }, codes: ['address-syntax'] },
  { what: 'an address with a leading zero', spec: { addresses: ['192.0.02.0/24'] }, codes: ['address-syntax'] },
  { what: 'a prefix that is too long', spec: { addresses: ['192.0.2.0/33'] }, codes: ['address-syntax'] },
  { what: 'a prefix with a leading zero', spec: { addresses: ['192.0.2.0/08'] }, codes: ['address-syntax'] },
  { what: 'two prefixes', spec: { addresses: ['192.0.2.0/24/24'] }, codes: ['address-syntax'] },
  { what: 'an empty address', spec: { addresses: [''] }, codes: ['address-syntax'] },
  { what: 'an address of 65 characters', spec: { addresses: ['a'.repeat(65)] }, codes: ['too-long', 'address-syntax'] },
  { what: 'a single address with NONE', spec: { addresses: ['192.0.2.1'] }, codes: ['address-single-with-none'] },
  { what: 'a /32 with NONE', spec: { addresses: ['192.0.2.1/32'] }, codes: ['address-single-with-none'] },
  { what: 'a /128 with NONE', spec: { addresses: ['2001:db8::1/128'] }, codes: ['address-single-with-none'] },
  { what: 'a CIDR with DNS', spec: { ...dns, addresses: ['192.0.2.0/24'] }, codes: ['address-cidr-with-dns'] },
  {
    what: 'a CIDR with DNS_ROUND_ROBIN',
    spec: { resolution: 'DNS_ROUND_ROBIN', addresses: ['192.0.2.0/24'] },
    codes: ['address-cidr-with-dns'],
  },
  { what: 'a CIDR with STATIC', spec: { ...fixed, addresses: ['192.0.2.0/24'] }, codes: [] },
  {
    what: 'several hosts with an address and a TCP-like port',
    spec: { ...dns, hosts: ['a.example.com', 'b.example.com'], addresses: ['192.0.2.1'] },
    codes: ['several-hosts-with-addresses'],
  },

  // Ports
  ports('port 1', { number: 1 }),
  ports('port 65535', { number: 65_535 }),
  ports('port 0', { number: 0 }, 'port-number'),
  ports('port 65536', { number: 65_536 }, 'port-number'),
  ports('port -1', { number: -1 }, 'port-number'),
  ports('port 443.5', { number: 443.5 }, 'type'),
  ports('a port that is text', { number: '443' }, 'type'),
  ports('no number', { number: undefined }, 'required'),
  ports('no name', { name: undefined }, 'required'),
  ports('an empty name', { name: '' }, 'port-name'),
  ports('a name with a dot', { name: 'tls.443' }, 'port-name'),
  ports('a name in upper case', { name: 'TLS-443' }),
  ports('a name of 63 characters', { name: label63 }),
  ports('a name of 64 characters', { name: `${label63}a` }, 'port-name'),
  ports('target port 0', { targetPort: 0 }, 'port-number'),
  ports('target port 65536', { targetPort: 65_536 }, 'port-number'),
  ports('a target port', { targetPort: 8443 }),
  ports('the protocol kafka', { protocol: 'kafka' }, 'port-protocol'),
  ports('the protocol postgres', { protocol: 'postgres' }, 'port-protocol'),
  ...['https', 'TLS', 'tls', 'udp'].map((protocol) => ports(`the protocol ${protocol}`, { protocol })),
  ...['Mongo', 'redis', 'mysql', 'tcp'].map((protocol) =>
    ports(`${protocol} without addresses`, { protocol }, 'port-open-to-all'),
  ),
  ...['HTTP', 'http2', 'gRPC', 'grpc-web', 'http_proxy'].map((protocol) =>
    ports(`the protocol ${protocol}`, { protocol, number: 8080, name: 'plain' }),
  ),
  ports('HTTP on 443', { protocol: 'HTTP' }, 'port-protocol-unusual'),
  ports('TLS on 80', { number: 80 }, 'port-protocol-unusual'),
  ports('TCP without addresses', { protocol: 'TCP' }, 'port-tcp-without-addresses'),
  ports('no protocol', { protocol: undefined }, 'port-tcp-without-addresses'),
  ports('an empty protocol', { protocol: '' }, 'port-tcp-without-addresses'),
  ...[15_000, 15_001, 15_006, 15_020, 15_021, 15_053, 15_090].map((number) =>
    ports(`the proxy's port ${number}`, { number }, 'port-reserved'),
  ),
  ...[14_999, 15_022, 15_052, 15_091].map((number) => ports(`port ${number} beside the proxy's own`, { number })),
  { what: 'TCP with a CIDR', spec: { addresses: ['192.0.2.0/24'], ports: [tcp] }, codes: [] },
  {
    what: 'TCP with an address that Istio allocates',
    spec: { ...dns, ports: [tcp] },
    codes: ['port-open-without-capture'],
  },
  { what: 'TCP with an address and DNS', spec: { ...dns, addresses: ['192.0.2.1'], ports: [tcp] }, codes: [] },
  {
    what: 'TCP without the address that Istio would allocate',
    spec: { ...dns, ports: [tcp] },
    metadata: { labels: { 'networking.istio.io/enable-autoallocate-ip': 'False' } },
    codes: ['port-tcp-without-addresses'],
  },
  { what: 'a number twice', spec: { ports: [tls, { ...tls, name: 'b' }] }, codes: ['port-duplicate'] },
  { what: 'a name twice', spec: { ports: [tls, { ...tls, number: 8443 }] }, codes: ['port-duplicate'] },
  { what: 'no port', spec: { ports: [] }, codes: [] },
  { what: 'a port that is null', spec: { ports: [null] }, codes: ['type'] },
  {
    what: 'several hosts on a TCP port',
    spec: { ...dns, hosts: ['a.example.com', 'b.example.com'], ports: [tcp] },
    codes: ['several-hosts-on-tcp', 'port-open-without-capture'],
  },
  {
    what: 'several hosts on HTTP and TLS ports',
    spec: { ...dns, hosts: ['a.example.com', 'b.example.com'], ports: [http, tls] },
    codes: [],
  },

  {
    what: 'several hosts on a TCP port with NONE, which ignores them',
    spec: { hosts: ['a.example.com', 'b.example.com'], addresses: ['192.0.2.0/24'], ports: [tcp] },
    codes: [],
  },

  // Endpoints and selectors
  endpoint('with an address', { address: '192.0.2.1', ports: { 'tls-443': 8443 }, weight: 1 }),
  endpoint('with an IPv6 address', { address: '2001:db8::1' }),
  endpoint('without anything', {}, 'endpoint-address-missing'),
  endpoint('with a network only', { network: 'far' }, 'endpoint-without-address'),
  endpoint('with a name where STATIC needs an address', { address: 'www.example.com' }, 'endpoint-address'),
  endpoint('with a port that is not declared', { address: '192.0.2.1', ports: { x: 1 } }, 'endpoint-port-undeclared'),
  endpoint('with port 0', { address: '192.0.2.1', ports: { 'tls-443': 0 } }, 'port-number'),
  endpoint(
    'with a port name with a dot',
    { address: '192.0.2.1', ports: { 'a.b': 1 } },
    'endpoint-port-name',
    'endpoint-port-undeclared',
  ),
  endpoint('with a label', { address: '192.0.2.1', labels: { 'example.com/version': 'v1', empty: '' } }),
  endpoint('with a label that is none', { address: '192.0.2.1', labels: { version: 'v 1' } }, 'endpoint-label'),
  endpoint('with a key that is none', { address: '192.0.2.1', labels: { '/v': 'v1' } }, 'endpoint-label'),
  endpoint('with a negative weight', { address: '192.0.2.1', weight: -1 }, 'endpoint-weight'),
  endpoint('with a socket', { address: 'unix:///run/a.sock' }),
  endpoint('with an abstract socket', { address: 'unix://@a' }),
  endpoint('with a relative socket', { address: 'unix://run/a.sock' }, 'endpoint-socket-path'),
  endpoint('with a directory as socket', { address: 'unix:///run/' }, 'endpoint-socket-path'),
  endpoint('with a socket without a path', { address: 'unix://' }, 'endpoint-socket-path'),
  endpoint('with a socket and ports', { address: 'unix:///run/a', ports: { 'tls-443': 1 } }, 'endpoint-socket-ports'),
  {
    what: 'a socket for several ports',
    spec: { ...fixed, ports: [http, tls], endpoints: [{ address: 'unix:///run/a' }] },
    codes: ['endpoint-socket-needs-one-port'],
  },
  { what: 'endpoints with NONE', spec: { endpoints: [{ address: '192.0.2.1' }] }, codes: ['endpoints-with-none'] },
  { what: 'an empty list of endpoints with NONE', spec: { endpoints: [] }, codes: ['endpoints-with-none'] },
  {
    what: 'endpoints with DNS',
    spec: { ...dns, endpoints: [{ address: 'a.example.com' }, { address: '192.0.2.1' }] },
    codes: [],
  },
  {
    what: 'an endpoint with DNS that is no name',
    spec: { ...dns, endpoints: [{ address: 'a_b' }] },
    codes: ['endpoint-address'],
  },
  {
    what: 'one endpoint with DNS_ROUND_ROBIN',
    spec: { resolution: 'DNS_ROUND_ROBIN', endpoints: [{ address: 'a.example.com' }] },
    codes: [],
  },
  {
    what: 'two endpoints with DNS_ROUND_ROBIN',
    spec: { resolution: 'DNS_ROUND_ROBIN', endpoints: [{ address: 'a.example.com' }, { address: 'b.example.com' }] },
    codes: ['endpoints-several-with-round-robin'],
  },
  {
    what: 'a selector',
    spec: { ...fixed, location: 'MESH_INTERNAL', workloadSelector: { labels: { app: 'web' } } },
    codes: [],
  },
  {
    what: 'a selector and endpoints',
    spec: { ...fixed, workloadSelector: { labels: { app: 'web' } }, endpoints: [{ address: '192.0.2.1' }] },
    codes: ['endpoints-with-selector'],
  },
  {
    what: 'a selector with NONE',
    spec: { workloadSelector: { labels: { app: 'web' } } },
    codes: ['selector-with-none'],
  },
  { what: 'a selector without labels', spec: { ...fixed, workloadSelector: {} }, codes: ['selector-without-labels'] },
  {
    what: 'a selector with a star',
    spec: { ...fixed, workloadSelector: { labels: { app: '*' } } },
    codes: ['selector-wildcard'],
  },
  {
    what: 'a selector with a star as key',
    spec: { ...fixed, workloadSelector: { labels: { 'a*': 'x' } } },
    codes: ['selector-key'],
  },
  {
    what: 'a selector with an empty key',
    spec: { ...fixed, workloadSelector: { labels: { '': 'x' } } },
    codes: ['selector-key'],
  },

  {
    what: 'endpoints with NONE, which says nothing of their ports',
    spec: { endpoints: [{ address: 'a_b', ports: { x: 1 }, labels: { a: 'b c' } }] },
    codes: ['endpoints-with-none'],
  },

  ...[62, 63].map((length): RuleCase => {
    const name = 'a'.repeat(length);
    return {
      what: `an endpoint with a port name of ${length} characters`,
      spec: { ...fixed, ports: [{ ...tls, name }], endpoints: [{ address: '192.0.2.1', ports: { [name]: 1 } }] },
      codes: length === 62 ? [] : ['endpoint-port-name'],
    };
  }),

  // exportTo
  exported('the own namespace', ['.']),
  exported('everybody', ['*']),
  exported('nobody', ['~']),
  exported('two namespaces', ['.', 'web']),
  exported('the own namespace twice', ['.', 'shop'], 'export-to'),
  exported('a namespace twice', ['web', 'web'], 'export-to'),
  exported('everybody and others', ['*', 'web'], 'export-to'),
  exported('nobody and others', ['web', '~'], 'export-to'),
  exported('no namespace', ['we_b'], 'export-to'),
  {
    what: '257 labels of a selector',
    spec: { ...fixed, workloadSelector: { labels: manyKeys(257) } },
    codes: ['too-many'],
  },
  exported('a number', [12], 'type'),

  // DYNAMIC_DNS
  { what: 'DYNAMIC_DNS', spec: dynamic, codes: [] },
  {
    what: 'DYNAMIC_DNS for an exact host',
    spec: { ...dynamic, hosts: ['a.example.com'] },
    codes: ['dynamic-dns-host'],
  },
  {
    what: 'DYNAMIC_DNS with addresses',
    spec: { ...dynamic, addresses: ['192.0.2.1'] },
    codes: ['dynamic-dns-addresses'],
  },
  {
    what: 'DYNAMIC_DNS with endpoints',
    spec: { ...dynamic, endpoints: [{ address: '192.0.2.1' }] },
    codes: ['dynamic-dns-endpoints'],
  },
  {
    what: 'DYNAMIC_DNS with HTTPS',
    spec: { ...dynamic, ports: [{ ...tls, protocol: 'HTTPS' }] },
    codes: ['dynamic-dns-protocol'],
  },
  {
    what: 'DYNAMIC_DNS with a partial wildcard',
    spec: { ...dynamic, hosts: ['*foo.example.com'] },
    codes: ['dynamic-dns-partial-wildcard'],
  },
  {
    what: 'DYNAMIC_DNS inside the mesh with a waypoint',
    spec: { ...dynamic, location: 'MESH_INTERNAL' },
    metadata: { labels: { 'istio.io/use-waypoint': 'egress' } },
    codes: ['dynamic-dns-waypoint'],
  },
  {
    what: 'DYNAMIC_DNS inside the mesh that opts out of the waypoint',
    spec: { ...dynamic, location: 'MESH_INTERNAL' },
    metadata: { labels: { 'istio.io/use-waypoint': 'None' } },
    codes: [],
  },

  // Metadata
  { what: 'another version that Istio serves', top: { apiVersion: 'networking.istio.io/v1beta1' }, codes: [] },
  { what: 'a version that it does not serve', top: { apiVersion: 'networking.istio.io/v2' }, codes: ['api-version'] },
  labelled('no name', { name: undefined }, 'metadata-name'),
  labelled('a generated name', { name: undefined, generateName: 'api-' }),
  labelled('a generated name in upper case', { name: undefined, generateName: 'API-' }, 'metadata-name'),
  labelled('a name with dots', { name: 'api.example.com' }),
  labelled('a name in upper case', { name: 'API' }, 'metadata-name'),
  labelled('a name with a star', { name: '*.example.com' }, 'metadata-name'),
  labelled('a name that is a number', { name: 12 }, 'type'),
  labelled('a name of 253 characters', { name: 'a'.repeat(253) }),
  labelled('a name of 254 characters', { name: 'a'.repeat(254) }, 'metadata-name'),
  labelled('a namespace with a dot', { namespace: 'sh.op' }, 'metadata-namespace'),
  labelled('a namespace that YAML 1.1 read as false', { namespace: false }, 'type'),
  labelled('a label', { labels: { 'example.com/team': 'red', 'a.b_c-d': '' } }),
  labelled('a label that is a boolean', { labels: { on: true } }, 'type'),
  labelled('a label whose value has a blank', { labels: { team: 'a b' } }, 'metadata-label'),
  labelled('a label whose value has 63 characters', { labels: { team: label63 } }),
  labelled('a label whose value has 64 characters', { labels: { team: `${label63}a` } }, 'metadata-label'),
  labelled('a label whose key has 64 characters', { labels: { [`${label63}a`]: '' } }, 'metadata-label'),
  labelled('an annotation', { annotations: { 'example.com/any': 'any text, *' } }),
  labelled('an annotation whose key is none', { annotations: { 'a b': '' } }, 'metadata-annotation'),
  labelled('annotations that are too large', { annotations: { a: 'a'.repeat(262_144) } }, 'metadata-annotation'),
  labelled('labels that are a list', { labels: [] }, 'type'),
  labelled('a field of metadata that there is not', { lables: {} }, 'unknown-field'),
];
