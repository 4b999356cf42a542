import { createNamespace, ISTIO_NAMESPACE, startIstiod, type Istiod } from '../support/istiod.js';
import { partPath } from '../support/parts.js';
import { waitUntil } from '../support/wait-until.js';
import type { TestMesh } from './test-mesh.js';

/** As much of `istio.workload.Address` as is looked at here. */
interface AmbientAddress {
  readonly service: {
    readonly addresses?: readonly object[];
    readonly waypoint?: object;
    readonly loadBalancing?: object;
  };
}

/** What a ztunnel is served of our entries. */
export function ambient(mesh: () => TestMesh): void {
  describe('in ambient', () => {
    const ZTUNNEL = { namespace: ISTIO_NAMESPACE, type: 'ztunnel' } as const;
    const EGRESS = 'ambient-egress';
    let istiod: Istiod;

    beforeAll(async () => {
      const { apiServer } = mesh();
      await createNamespace(apiServer, EGRESS, { 'istio.io/use-waypoint': 'waypoint' });
      await apiServer.kubectl(['apply', '--server-side', '-f', await partPath('gateway-api-crds')]);
      istiod = await startIstiod({ apiServer, ambient: true });
      const listeners = [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }];
      const gateway = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway' };
      const waypoint = {
        metadata: { name: 'waypoint', namespace: EGRESS },
        spec: { gatewayClassName: 'istio-waypoint', listeners },
      };
      await mesh().apply({ ...gateway, ...waypoint });
      // Where it runs; nothing here would run it.
      const status = { addresses: [{ type: 'Hostname', value: `waypoint.${EGRESS}.svc.cluster.local` }] };
      const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
      await apiServer.kubectl(['patch', 'gateway', 'waypoint', '-n', EGRESS, ...patch]);
    }, 60_000);

    afterAll(async () => istiod.stop());

    /** What every ztunnel knows of a host: it reads no exportTo. */
    async function addressOf(name: string): Promise<AmbientAddress | undefined> {
      const [config] = await istiod.proxyConfigs([ZTUNNEL]);
      const text = config?.get(`address ${name}`);
      return text === undefined ? undefined : (JSON.parse(text) as AmbientAddress); // as the reader of addresses wrote it
    }

    it('a usual entry has no address, so a ztunnel passes on what is dialled', async () => {
      await mesh().learn({ lookUps: [['api.example.com', 'shop']] });
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
      const { plan } = await mesh().learn({ lookUps, flags });
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
}
