import type { ProxyConfig } from '../support/proxy-config.js';
import { waitUntil } from '../support/wait-until.js';
import { changes, startTestMesh, type TestMesh } from './test-mesh.js';

/** Namespaces of workloads; `egress` and `default` are for entries alone. */
const PROXIES = { shop: { namespace: 'shop' }, bank: { namespace: 'bank' } };

let mesh: TestMesh;
let before: Record<keyof typeof PROXIES, ProxyConfig>;

beforeAll(async () => {
  mesh = await startTestMesh(['shop', 'bank', 'egress', 'default']);
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
    const { shop, bank } = await mesh.served(PROXIES);
    expect(changes(before.shop, shop)).toEqual(usual('api.example.com', FALLBACK[mode]));
    expect(changes(before.bank, bank)).toEqual([]);
  });

  it('nothing is left of a host that was decided against', async () => {
    const lookUps = [['api.example.com', 'shop']] as const;
    const { plan } = await mesh.learn({ lookUps, ignored: ['api.example.com'] });
    expect(plan.keep).toEqual([]);
    const { shop, bank } = await mesh.served(PROXIES);
    expect([changes(before.shop, shop), changes(before.bank, bank)]).toEqual([[], []]);
  });
});
