import { parsePort } from '../../src/istio/decide-ports.js';
import { portName } from '../../src/istio/names.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import { validateServiceEntry } from '../../src/istio/validation/validate-service-entry.js';
import { wanted } from '../plan/situation.js';
import { createNamespace, ISTIO_NAMESPACE, startIstiod, type Istiod } from '../support/istiod.js';
import { partPath } from '../support/parts.js';
import type { ProxyConfig } from '../support/proxy-config.js';
import { waitUntil } from '../support/wait-until.js';
import { changes, startTestMesh, type TestMesh } from './test-mesh.js';

/** Namespaces of workloads; `egress` and `default` are for entries alone. */
const PROXIES = {
  shop: { namespace: 'shop' },
  bank: { namespace: 'bank' },
  capturing: { namespace: 'shop', capturesDns: true },
};

/** Entries that are not to be, and what istiod would make of them, each in a namespace of its own. */
const REFUSED = [
  {
    why: 'the proxy’s own ports would be taken',
    namespace: 'own-port',
    spec: { ports: ['15001/TLS'] },
    code: 'port-reserved',
    lines: [
      '+ cluster outbound|15001||api.example.com ORIGINAL_DST',
      '+ listener 0.0.0.0_15001',
      '+ listener 0.0.0.0_15001 [api.example.com] -> outbound|15001||api.example.com',
      '+ listener 0.0.0.0_15001 otherwise -> BlackHoleCluster',
    ],
  },
  {
    why: 'the port would be open to every address',
    namespace: 'open-port',
    spec: { ports: ['443/TCP'] },
    code: 'port-tcp-without-addresses',
    lines: [
      '+ cluster outbound|443||api.example.com ORIGINAL_DST',
      '+ listener 0.0.0.0_443',
      '+ listener 0.0.0.0_443 [any] -> outbound|443||api.example.com',
    ],
  },
  {
    why: 'an agent that captures DNS would answer with that address for ever',
    namespace: 'single-address',
    spec: { ports: ['443/TLS'], addresses: ['198.51.100.7/32'] },
    code: 'address-single-with-none',
    lines: [
      '+ cluster outbound|443||api.example.com ORIGINAL_DST',
      '+ listener 198.51.100.7_443',
      '+ listener 198.51.100.7_443 [any] -> outbound|443||api.example.com',
      '+ name api.example.com 198.51.100.7',
    ],
  },
  {
    why: 'plain HTTP would get a route to no cluster',
    namespace: 'upper-case',
    spec: { hosts: ['API.example.com'], ports: ['80/HTTP'] },
    code: 'host-upper-case',
    lines: [
      '+ cluster outbound|80||API.example.com ORIGINAL_DST',
      '+ route 80 [api.example.com api.example.com.] -> outbound|80||api.example.com',
    ],
  },
] as const;

let mesh: TestMesh;
let before: Record<keyof typeof PROXIES, ProxyConfig>;

beforeAll(async () => {
  mesh = await startTestMesh(['shop', 'bank', 'egress', 'default', ...REFUSED.map(({ namespace }) => namespace)]);
  await mesh.apply(service('front', 80), service('catalog', 8080));
}, 120_000);

afterAll(async () => mesh.stop());

/** A Service of the cluster, whose clusters and routes are there before any entry is. */
function service(name: string, port: number): object {
  const spec = { clusterIP: 'None', selector: { app: name }, ports: [{ name: 'http', port }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
}

/** Where connections go that nothing is said of, by the policy of the mesh. */
const FALLBACK = { ALLOW_ANY: 'PassthroughCluster', REGISTRY_ONLY: 'BlackHoleCluster' } as const;

async function usePolicy(mode: keyof typeof FALLBACK): Promise<void> {
  mesh.istiod.setMesh({ outboundTrafficPolicy: { mode } });
  const rule = `listener virtualOutbound [any] -> ${FALLBACK[mode]}`;
  await waitUntil(async () => (await mesh.istiod.proxyConfig(PROXIES.shop)).has(rule), { what: mode });
  before = await mesh.served(PROXIES);
}

/** What is different since then. */
async function changed(since = before): Promise<Record<keyof typeof PROXIES, readonly string[]>> {
  const now = await mesh.served(PROXIES);
  const of = (proxy: keyof typeof PROXIES): readonly string[] => changes(since[proxy], now[proxy]);
  return { shop: of('shop'), bank: of('bank'), capturing: of('capturing') };
}

/** All that the usual entry of a host does: two clusters, a name on 443, a name in the table of routes of port 80. */
const usual = (host: string, fallback: string): readonly string[] => [
  `+ cluster outbound|443||${host} ORIGINAL_DST`,
  `+ cluster outbound|80||${host} ORIGINAL_DST`,
  '+ listener 0.0.0.0_443',
  `+ listener 0.0.0.0_443 [${host}] -> outbound|443||${host}`,
  `+ listener 0.0.0.0_443 otherwise -> ${fallback}`,
  `+ route 80 [${host} ${host}.] -> outbound|80||${host}`,
];

afterEach(async () => mesh.clear());

describe.each(['ALLOW_ANY', 'REGISTRY_ONLY'] as const)('under %s', (mode) => {
  beforeAll(async () => usePolicy(mode));

  it('a learnt host is reachable on 443 and 80 from where it is used, and all else is byte for byte as before', async () => {
    await mesh.learn({ lookUps: [['api.example.com', 'shop']] });
    const opened = usual('api.example.com', FALLBACK[mode]);
    // It has no address of its own, so an agent that captures DNS goes on asking the cluster's.
    expect(await changed()).toEqual({ shop: opened, bank: [], capturing: opened });
  });

  it('nothing is left of a host that was decided against', async () => {
    const lookUps = [['api.example.com', 'shop']] as const;
    const { plan } = await mesh.learn({ lookUps, ignored: ['api.example.com'] });
    expect(plan.keep).toEqual([]);
    expect(await changed()).toEqual({ shop: [], bank: [], capturing: [] });
  });
});

describe('under REGISTRY_ONLY, by setting,', () => {
  const lookUps = [['api.example.com', 'shop']] as const;
  const opened = usual('api.example.com', 'BlackHoleCluster');

  it.each([
    ['exportTo *', { 'istio-export-to': ['*'] }, { shop: opened, bank: opened, capturing: opened }],
    [
      'mode central',
      { 'istio-mode': 'central', 'istio-central-namespace': 'egress' },
      { shop: opened, bank: [], capturing: opened },
    ],
    ['mode classic', { 'istio-mode': 'classic' }, { shop: opened, bank: opened, capturing: opened }],
  ])('%s opens a host for whom it says', async (_setting, flags, expected) => {
    await mesh.learn({ lookUps, flags });
    expect(await changed()).toEqual(expected);
  });

  it('a wildcard is a name on 443 and on 80 like any other', async () => {
    await mesh.learn({ lookUps, flags: { rule: ['wildcard *.example.com'] } });
    expect((await changed()).shop).toEqual(usual('*.example.com', 'BlackHoleCluster'));
  });

  it('tcpRanges open a port for the ranges alone', async () => {
    const flags = { 'istio-tcp-ranges': ['api.example.com 5432 198.51.100.0/24'] };
    await mesh.learn({ lookUps, flags });
    const expected = [
      '+ cluster outbound|5432||api.example.com ORIGINAL_DST',
      '+ listener 0.0.0.0_5432',
      '+ listener 0.0.0.0_5432 [198.51.100.0/24] -> outbound|5432||api.example.com',
      '+ listener 0.0.0.0_5432 otherwise -> BlackHoleCluster',
    ];
    expect(await changed()).toEqual({ shop: expected, bank: [], capturing: expected });
  });

  it('dnsHosts get an address of their own, by which proxies that capture DNS find them', async () => {
    const flags = { 'istio-dns-capture': 'true', 'istio-dns-hosts': ['api.example.com 5432/TCP,443/TLS'] };
    await mesh.learn({ lookUps, flags });
    expect(await servedAddress('api.example.com')).toEqual([
      '+ cluster outbound|443||api.example.com STRICT_DNS',
      '+ cluster outbound|5432||api.example.com STRICT_DNS',
      '+ listener OWN_443',
      '+ listener OWN_443 [any] -> outbound|443||api.example.com',
      '+ listener OWN_5432',
      '+ listener OWN_5432 [any] -> outbound|5432||api.example.com',
      '+ name api.example.com OWN',
    ]);
  });

  it('dynamicDnsHosts are resolved by the proxy when they are used', async () => {
    const flags = { 'istio-dynamic-dns-hosts': ['*.example.com'], rule: ['wildcard *.example.com'] };
    await mesh.learn({ lookUps, flags });
    expect((await changed()).shop).toEqual([
      '+ cluster outbound|443||*.example.com envoy.clusters.dynamic_forward_proxy',
      '+ cluster outbound|80||*.example.com envoy.clusters.dynamic_forward_proxy',
      '+ listener 0.0.0.0_443',
      '+ listener 0.0.0.0_443 [*.example.com] -> outbound|443||*.example.com',
      '+ listener 0.0.0.0_443 otherwise -> BlackHoleCluster',
      '~ listener 0.0.0.0_80 [http] -> route 80', // it has a filter more, which resolves what such a route asks for
      '+ route 80 [*.example.com *.example.com.] -> outbound|80||*.example.com',
    ]);
  });

  /** The changes of the capturing proxy, with OWN for the address that istiod gave to the host. */
  async function servedAddress(host: string): Promise<readonly string[]> {
    const named = await waitUntil(
      async () => {
        const lines = (await changed()).capturing;
        const address = lines.find((line) => line.startsWith(`+ name ${host} `))?.split(' ')[3];
        return address !== undefined && lines.map((line) => line.replaceAll(address, 'OWN'));
      },
      { what: 'an address of its own' },
    );
    return named.toSorted();
  }
});

/** An entry of others, in the namespace `egress` and for everybody unless told. */
function foreign(
  host: string,
  { namespace = 'egress', ...spec }: { namespace?: string; resolution?: string } = {},
): object {
  const ports = [443, 8443].map((number) => ({ name: `tls-${number}`, number, protocol: 'TLS' }));
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'theirs', namespace },
    spec: { hosts: [host], resolution: 'NONE', ports, ...spec },
  };
}

/** Clusters that a listener or a route leads to and that are not there: such connections are reset, such requests get 503. */
function missingClusters(config: ProxyConfig): readonly string[] {
  const targets = [...config.keys()].flatMap((line) => line.match(/-> (outbound\|\S+)/)?.[1] ?? []);
  const isThere = (name: string): boolean => [...config.keys()].some((line) => line.startsWith(`cluster ${name} `));
  return [...new Set(targets)].filter((name) => !isThere(name));
}

describe('beside an entry of others', () => {
  const lookUps = [['api.example.com', 'shop']] as const;
  let beside: typeof before;

  async function learnBeside(theirs: object): Promise<readonly string[]> {
    await mesh.apply(theirs);
    beside = await mesh.served(PROXIES);
    const { plan } = await mesh.learn({ lookUps });
    expect(await changed(beside)).toEqual({ shop: [], bank: [], capturing: [] });
    return plan.skipped.map(({ reason, host }) => `${host} ${reason}`);
  }

  it('that has the host in the same namespace none is written; a port of one of them would lead nowhere', async () => {
    const theirs = foreign('api.example.com', { namespace: 'shop', resolution: 'DNS' });
    expect(await learnBeside(theirs)).toEqual(['api.example.com host-in-namespace']);
    expect(missingClusters(beside.shop)).toEqual([]);
    await mesh.apply(wanted('api.example.com'));
    const both = (await mesh.served(PROXIES)).shop;
    // Of the one that is younger, or comes later by its name.
    expect(missingClusters(both)).toEqual([expect.stringMatching(/^outbound\|(?:80|8443)\|\|api\.example\.com$/)]);
  });

  it('that covers the host from another namespace none is written; a port that only theirs has would go', async () => {
    expect(await learnBeside(foreign('api.example.com'))).toEqual(['api.example.com covered-by-foreign-entry']);
    await mesh.apply(wanted('api.example.com'));
    expect((await changed(beside)).shop.filter((line) => line.startsWith('-'))).toEqual([
      '- cluster outbound|8443||api.example.com ORIGINAL_DST',
      '- listener 0.0.0.0_8443',
      '- listener 0.0.0.0_8443 [api.example.com] -> outbound|8443||api.example.com',
      '- listener 0.0.0.0_8443 otherwise -> BlackHoleCluster',
    ]);
  });

  it('that covers it by a wildcard none is written; it would do no harm', async () => {
    expect(await learnBeside(foreign('*.example.com'))).toEqual(['api.example.com covered-by-foreign-entry']);
    await mesh.apply(wanted('api.example.com'));
    expect((await changed(beside)).shop.filter((line) => !line.startsWith('+'))).toEqual([]);
  });
});

it('a central entry is written where a Sidecar imports it, and not where none does', async () => {
  const sidecar = (...hosts: readonly string[]): object => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'Sidecar',
    metadata: { name: 'default', namespace: 'bank' },
    spec: { egress: [{ hosts }] },
  });
  const bankSees = async (service: string, wants: boolean): Promise<Record<keyof typeof PROXIES, ProxyConfig>> =>
    waitUntil(async () => {
      const served = await mesh.served(PROXIES);
      return [...served.bank.keys()].some((line) => line.includes(service)) === wants && served;
    });
  const central = { 'istio-mode': 'central', 'istio-central-namespace': 'egress' };
  const lookUps = [['api.example.com', 'bank']] as const;
  await mesh.apply(sidecar('./*'));
  await bankSees('catalog', false);
  const { plan } = await mesh.learn({ lookUps, flags: central });
  expect(plan.skipped).toMatchObject([{ reason: 'not-imported', because: ['bank'] }]);
  await mesh.apply(sidecar('./*', 'egress/*', 'shop/*'));
  before = await bankSees('catalog', true);
  await mesh.learn({ lookUps, flags: central });
  expect(await changed()).toEqual({ shop: [], bank: usual('api.example.com', 'BlackHoleCluster'), capturing: [] });
});

it('what is refused istiod would take, and serve what does harm', async () => {
  const proxies = Object.fromEntries(
    REFUSED.map(({ namespace }) => [namespace, { namespace, capturesDns: true }] as const),
  );
  const clean = await mesh.served(proxies);
  const entries = REFUSED.map(({ namespace, spec: { ports, ...spec } }): ServiceEntry => {
    const { metadata, ...usualEntry } = wanted('api.example.com', namespace);
    const declared = ports.map(parsePort).flatMap((port) => (port ? [{ name: portName(port), ...port }] : []));
    return { ...usualEntry, metadata, spec: { ...usualEntry.spec, ...spec, ports: declared } };
  });
  await mesh.apply(...entries);
  const served = await mesh.served(proxies);
  const empty = new Map<string, string>();
  expect(
    REFUSED.map(({ namespace, why }, index) => ({
      why,
      lines: changes(clean[namespace] ?? empty, served[namespace] ?? empty),
      codes: validateServiceEntry(entries[index] as ServiceEntry).map(({ code }) => code),
    })),
  ).toEqual(REFUSED.map(({ why, lines, code }) => ({ why, lines, codes: expect.arrayContaining([code]) })));
});

describe('in ambient', () => {
  const ZTUNNEL = { namespace: ISTIO_NAMESPACE, type: 'ztunnel' } as const;
  const EGRESS = 'ambient-egress';
  let istiod: Istiod;

  beforeAll(async () => {
    const { apiServer } = mesh;
    await createNamespace(apiServer, EGRESS, { 'istio.io/use-waypoint': 'waypoint' });
    await apiServer.kubectl(['apply', '--server-side', '-f', await partPath('gateway-api-crds')]);
    istiod = await startIstiod({ apiServer, ambient: true });
    const listeners = [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }];
    const gateway = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway' };
    const waypoint = {
      metadata: { name: 'waypoint', namespace: EGRESS },
      spec: { gatewayClassName: 'istio-waypoint', listeners },
    };
    await mesh.apply({ ...gateway, ...waypoint });
    // Where it runs; nothing here would run it.
    const status = { addresses: [{ type: 'Hostname', value: `waypoint.${EGRESS}.svc.cluster.local` }] };
    const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    await apiServer.kubectl(['patch', 'gateway', 'waypoint', '-n', EGRESS, ...patch]);
  }, 60_000);

  afterAll(async () => istiod.stop());

  /** What every ztunnel knows of a host: it reads no exportTo. */
  async function addressOf(name: string): Promise<AmbientAddress | undefined> {
    const text = (await istiod.proxyConfig(ZTUNNEL)).get(`address ${name}`);
    return text === undefined ? undefined : (JSON.parse(text) as AmbientAddress); // as the reader of addresses wrote it
  }

  it('a usual entry has no address, so a ztunnel passes on what is dialled', async () => {
    await mesh.learn({ lookUps: [['api.example.com', 'shop']] });
    const { service } = await waitUntil(async () => addressOf('shop/api.example.com'), { what: 'the host' });
    expect(service.addresses).toBeUndefined();
    expect(service.loadBalancing).toMatchObject({ mode: 'PASSTHROUGH' });
  });

  it('where a waypoint binds entries, a host of dnsHosts gets an address that leads to it, and no usual entry is written', async () => {
    const flags = {
      'istio-mode': 'central',
      'istio-central-namespace': EGRESS,
      'istio-dns-capture': 'true',
      'istio-dns-hosts': ['dns.example.com 443/TLS'],
    };
    const lookUps = [
      ['dns.example.com', 'shop'],
      ['api.example.com', 'shop'],
    ] as const;
    const { plan } = await mesh.learn({ lookUps, flags });
    expect(plan.skipped).toMatchObject([{ host: 'api.example.com', reason: 'namespace-uses-waypoint' }]);
    const bound = async (): Promise<AmbientAddress['service'] | false> => {
      const service = (await addressOf(`${EGRESS}/dns.example.com`))?.service;
      return service?.addresses !== undefined && service.waypoint !== undefined && service;
    };
    const { waypoint } = await waitUntil(bound, { what: 'an address behind the waypoint' });
    expect(waypoint).toMatchObject({ hostname: { hostname: `waypoint.${EGRESS}.svc.cluster.local` } });
    expect(await addressOf(`${EGRESS}/api.example.com`)).toBeUndefined();
  });
});

/** As much of `istio.workload.Address` as is looked at here. */
interface AmbientAddress {
  readonly service: {
    readonly addresses?: readonly object[];
    readonly waypoint?: object;
    readonly loadBalancing?: object;
  };
}
