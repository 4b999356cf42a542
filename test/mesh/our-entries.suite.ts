import { parsePort } from '../../src/istio/decide-ports.js';
import { portName } from '../../src/istio/names.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import { validateServiceEntry } from '../../src/istio/validation/validate-service-entry.js';
import { wanted } from '../plan/situation.js';
import { waitUntil } from '../support/wait-until.js';
import { changes, type TestMesh } from './test-mesh.js';
import { FALLBACK, usual, WatchedProxies } from './watched-proxies.js';

/** Entries that are not to be, and what istiod would make of them, each in a namespace of its own. */
export const REFUSED = [
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

/** What our own entries change. */
export function ourEntries(mesh: () => TestMesh): void {
  const proxies = new WatchedProxies(mesh);

  describe.each(['ALLOW_ANY', 'REGISTRY_ONLY'] as const)('under %s', (mode) => {
    beforeAll(async () => proxies.usePolicy(mode));

    it('a learnt host is reachable on 443 and 80 from where it is used, and all else is byte for byte as before', async () => {
      await mesh().learn({ lookUps: [['api.example.com', 'shop']] });
      const opened = usual('api.example.com', FALLBACK[mode]);
      // It has no address of its own, so an agent that captures DNS goes on asking the cluster's.
      expect(await proxies.changes()).toEqual({ shop: opened, bank: [], capturing: opened });
    });

    it('nothing is left of a host that was decided against', async () => {
      const lookUps = [['api.example.com', 'shop']] as const;
      const { plan } = await mesh().learn({ lookUps, ignored: ['api.example.com'] });
      expect(plan.keep).toEqual([]);
      expect(await proxies.changes()).toEqual({ shop: [], bank: [], capturing: [] });
    });
  });

  describe('under REGISTRY_ONLY, by setting,', () => {
    beforeAll(async () => proxies.usePolicy('REGISTRY_ONLY'));

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
      await mesh().learn({ lookUps, flags });
      expect(await proxies.changes()).toEqual(expected);
    });

    it('a wildcard is a name on 443 and on 80 like any other', async () => {
      await mesh().learn({ lookUps, flags: { rule: ['wildcard *.example.com'] } });
      expect((await proxies.changes()).shop).toEqual(usual('*.example.com', 'BlackHoleCluster'));
    });

    it('tcpRanges open a port for the ranges alone', async () => {
      const flags = { 'istio-tcp-ranges': ['api.example.com 5432 198.51.100.0/24'] };
      await mesh().learn({ lookUps, flags });
      const expected = [
        '+ cluster outbound|5432||api.example.com ORIGINAL_DST',
        '+ listener 0.0.0.0_5432',
        '+ listener 0.0.0.0_5432 [198.51.100.0/24] -> outbound|5432||api.example.com',
        '+ listener 0.0.0.0_5432 otherwise -> BlackHoleCluster',
      ];
      expect(await proxies.changes()).toEqual({ shop: expected, bank: [], capturing: expected });
    });

    it('dnsHosts get an address of their own, by which proxies that capture DNS find them', async () => {
      const flags = { 'istio-dns-capture': 'true', 'istio-dns-hosts': ['api.example.com 5432/TCP,443/TLS'] };
      await mesh().learn({ lookUps, flags });
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
      await mesh().learn({ lookUps, flags });
      expect((await proxies.changes()).shop).toEqual([
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
          const lines = (await proxies.changes()).capturing;
          const address = lines.find((line) => line.startsWith(`+ name ${host} `))?.split(' ')[3];
          return address !== undefined && lines.map((line) => line.replaceAll(address, 'OWN'));
        },
        { what: 'an address of its own' },
      );
      return named.toSorted();
    }
  });

  it('what is refused istiod would take, and serve what does harm', async () => {
    const proxies = Object.fromEntries(
      REFUSED.map(({ namespace }) => [namespace, { namespace, capturesDns: true }] as const),
    );
    const clean = await mesh().served(proxies);
    const entries = REFUSED.map(({ namespace, spec: { ports, ...spec } }): ServiceEntry => {
      const { metadata, ...usualEntry } = wanted('api.example.com', namespace);
      const declared = ports.map(parsePort).flatMap((port) => (port ? [{ name: portName(port), ...port }] : []));
      return { ...usualEntry, metadata, spec: { ...usualEntry.spec, ...spec, ports: declared } };
    });
    await mesh().apply(...entries);
    const served = await mesh().served(proxies);
    const empty = new Map<string, string>();
    expect(
      REFUSED.map(({ namespace, why }, index) => ({
        why,
        lines: changes(clean[namespace] ?? empty, served[namespace] ?? empty),
        codes: validateServiceEntry(entries[index] as ServiceEntry).map(({ code }) => code),
      })),
    ).toEqual(REFUSED.map(({ why, lines, code }) => ({ why, lines, codes: expect.arrayContaining([code]) })));
  });
}
