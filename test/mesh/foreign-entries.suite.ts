import { wanted } from '../plan/situation.js';
import type { ProxyConfig } from '../support/proxy-config.js';
import { waitUntil } from '../support/wait-until.js';
import type { TestMesh } from './test-mesh.js';
import { usual, WatchedProxies, type Watched } from './watched-proxies.js';

/** An entry of others, in the namespace `egress` and for everybody unless told. */
function foreign(
  host: string,
  { namespace = 'egress', ...spec }: { namespace?: string; resolution?: string } = {},
): object {
  const ports = [443, 8443].map((number) => ({ name: `tls-${number}`, number, protocol: 'TLS' }));
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    // An address of its own would come at some later moment.
    metadata: { name: 'theirs', namespace, labels: { 'networking.istio.io/enable-autoallocate-ip': 'false' } },
    spec: { hosts: [host], resolution: 'NONE', ports, ...spec },
  };
}

/** Clusters that a listener or a route leads to and that are not there: such connections are reset, such requests get 503. */
function missingClusters(config: ProxyConfig): readonly string[] {
  const targets = [...config.keys()].flatMap((line) => line.match(/-> (outbound\|\S+)/)?.[1] ?? []);
  const isThere = (name: string): boolean => [...config.keys()].some((line) => line.startsWith(`cluster ${name} `));
  return [...new Set(targets)].filter((name) => !isThere(name));
}

/** Entries of others and what they import: ours are not written where they would do harm, or nothing. */
export function foreignEntries(mesh: () => TestMesh): void {
  const proxies = new WatchedProxies(mesh);

  describe('beside an entry of others', () => {
    const lookUps = [['api.example.com', 'shop']] as const;
    let beside: Watched;

    beforeAll(async () => proxies.usePolicy('REGISTRY_ONLY'));

    async function learnBeside(theirs: object): Promise<readonly string[]> {
      await mesh().apply(theirs);
      beside = await proxies.start();
      const { plan } = await mesh().learn({ lookUps });
      expect(await proxies.changes()).toEqual({ shop: [], bank: [], capturing: [] });
      return plan.skipped.map(({ reason, host }) => `${host} ${reason}`);
    }

    it('that has the host in the same namespace none is written; a port of one of them would lead nowhere', async () => {
      const theirs = foreign('api.example.com', { namespace: 'shop', resolution: 'DNS' });
      expect(await learnBeside(theirs)).toEqual(['api.example.com host-in-namespace']);
      expect(missingClusters(beside.shop)).toEqual([]);
      await mesh().apply(wanted('api.example.com'));
      const { shop } = await mesh().served({ shop: { namespace: 'shop' } });
      // Of the one that is younger, or comes later by its name.
      expect(missingClusters(shop)).toEqual([expect.stringMatching(/^outbound\|(?:80|8443)\|\|api\.example\.com$/)]);
    });

    it('that covers the host from another namespace none is written; a port that only theirs has would go', async () => {
      expect(await learnBeside(foreign('api.example.com'))).toEqual(['api.example.com covered-by-foreign-entry']);
      await mesh().apply(wanted('api.example.com'));
      expect((await proxies.changes()).shop.filter((line) => line.startsWith('-'))).toEqual([
        '- cluster outbound|8443||api.example.com ORIGINAL_DST',
        '- listener 0.0.0.0_8443',
        '- listener 0.0.0.0_8443 [api.example.com] -> outbound|8443||api.example.com',
        '- listener 0.0.0.0_8443 otherwise -> BlackHoleCluster',
      ]);
    });

    it('that covers it by a wildcard none is written; it would do no harm', async () => {
      expect(await learnBeside(foreign('*.example.com'))).toEqual(['api.example.com covered-by-foreign-entry']);
      await mesh().apply(wanted('api.example.com'));
      expect((await proxies.changes()).shop.filter((line) => !line.startsWith('+'))).toEqual([]);
    });
  });

  it('an entry that a VirtualService routes to stays; without it the route would lead nowhere', async () => {
    const lookUps = [['api.example.com', 'shop']] as const;
    const { apiServer } = mesh();
    await mesh().learn({ lookUps });
    await mesh().apply({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'theirs', namespace: 'shop' },
      spec: {
        hosts: ['front.shop.svc.cluster.local'],
        http: [{ route: [{ destination: { host: 'api.example.com', port: { number: 80 } } }] }],
      },
    });
    const { plan } = await mesh().learn({ lookUps, ignored: ['api.example.com'] });
    expect(plan.skipped).toMatchObject([{ reason: 'still-referenced', because: ['VirtualService shop/theirs'] }]);
    expect(missingClusters((await proxies.start()).shop)).toEqual([]);
    await apiServer.kubectl(['delete', 'serviceentries', '--all', '--namespace=shop']);
    expect(missingClusters((await proxies.start()).shop)).toEqual(['outbound|80||api.example.com']);
  });

  it('a central entry is written where a Sidecar imports it, and not where none does', async () => {
    const sidecar = (...hosts: readonly string[]): object => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'Sidecar',
      metadata: { name: 'default', namespace: 'bank' },
      spec: { egress: [{ hosts }] },
    });
    const bankSees = async (service: string, isSeen: boolean): Promise<unknown> =>
      waitUntil(async () => {
        const { bank } = await proxies.start();
        return [...bank.keys()].some((line) => line.includes(service)) === isSeen;
      });
    const central = { 'istio-mode': 'central', 'istio-central-namespace': 'egress' };
    const lookUps = [['api.example.com', 'bank']] as const;
    await mesh().apply(sidecar('./*'));
    await bankSees('catalog', false);
    const { plan } = await mesh().learn({ lookUps, flags: central });
    expect(plan.skipped).toMatchObject([{ reason: 'not-imported', because: ['bank'] }]);
    await mesh().apply(sidecar('./*', 'egress/*', 'shop/*'));
    await bankSees('catalog', true);
    await mesh().learn({ lookUps, flags: central });
    expect(await proxies.changes()).toEqual({
      shop: [],
      bank: usual('api.example.com', 'BlackHoleCluster'),
      capturing: [],
    });
  });
}
