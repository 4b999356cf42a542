import type { MeshObjects, SidecarFacts } from '../../src/istio/mesh-objects.js';
import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import type { PortSpec, ServiceEntry } from '../../src/istio/service-entry.js';
import type { PlanInput } from '../../src/plan/plan-input.js';
import { hostname } from '../istio/hostname.js';
import { foreign, plan, policy, summary, wanted } from './situation.js';

const a = wanted('a.example.com');
const wildcard = wanted('*.example.com');
const shop = { namespace: 'shop', name: 'x' };
const everything: MeshObjects = { services: [], virtualServices: [], destinationRules: [], sidecars: [] };

function inMesh(mesh: MeshObjects, input: Partial<PlanInput> = {}): string[] {
  return summary({ desired: [a], mesh: { ...everything, ...mesh }, ...input });
}

function sidecar(egressHosts: readonly string[], change: Partial<SidecarFacts> = {}): SidecarFacts {
  return { namespace: 'shop', name: 'x', isDefault: true, egressHosts, ...change };
}

const CREATED = ['create shop/learned-a.example.com wanted'];
const skipped = (reason: string): string[] => [`skip shop/learned-a.example.com ${reason}`];

describe('a plan among Kubernetes Services', () => {
  it.each(['redis.shop', 'redis.shop.svc', 'redis.shop.svc.cluster.local', 'other.web.svc.cluster.local'])(
    'writes nothing for %s, a name of the cluster',
    (host) => {
      const mesh = { ...everything, services: [{ namespace: 'shop', name: 'redis' }] };
      expect(summary({ desired: [wanted(host)], mesh })).toEqual([`skip shop/learned-${host} kubernetes-service`]);
    },
  );

  it('says which Service has the name', () => {
    const mesh = { ...everything, services: [{ namespace: 'shop', name: 'redis' }] };
    expect(plan({ desired: [wanted('redis.shop.svc')], mesh }).skipped[0]?.because).toEqual(['Service shop/redis']);
  });

  it('knows the domain of the cluster', () => {
    const other = { ...policy, clusterDomain: 'corp.example.com' };
    expect(inMesh({}, { desired: [wanted('a.corp.example.com')], policy: other })).toEqual([
      'skip shop/learned-a.corp.example.com kubernetes-service',
    ]);
  });

  it('writes an entry for the target of an ExternalName, and keeps it while the Service is there', () => {
    const services = [{ namespace: 'shop', name: 'db', externalName: 'a.example.com' }];
    expect(inMesh({ services })).toEqual(CREATED);
    const input = { desired: [], current: [a], unwanted: ['a.example.com'] };
    expect(inMesh({ services }, input)).toEqual(skipped('still-referenced'));
    expect(plan({ ...input, mesh: { ...everything, services } }).skipped[0]?.because).toEqual(['Service shop/db']);
  });
});

describe('a plan with entries that proxies resolve', () => {
  const resolved = (port: PortSpec): ServiceEntry =>
    buildServiceEntry({
      hostname: hostname('a.example.com'),
      namespace: 'shop',
      owner: 'main',
      ports: [port],
      resolution: 'DNS',
    });
  const database = resolved({ number: 5432, protocol: 'TCP' });

  it('writes a TCP port without ranges only where every proxy captures DNS', () => {
    expect(inMesh({}, { desired: [database] })).toEqual(skipped('invalid'));
    expect(inMesh({}, { desired: [database], policy: { ...policy, capturesDns: true } })).toEqual(CREATED);
  });

  it('writes them where a waypoint binds entries, and no other', () => {
    const namespaces = [{ name: 'shop', isTerminating: false, isAmbient: true, usesWaypoint: true }];
    expect(inMesh({ namespaces })).toEqual(skipped('namespace-uses-waypoint'));
    expect(inMesh({ namespaces }, { desired: [resolved({ number: 443, protocol: 'TLS' })] })).toEqual(CREATED);
  });
});

describe('a plan among VirtualServices and DestinationRules', () => {
  const virtualService = { ...shop, hosts: ['a.example.com'], appliesToMesh: true, destinations: [] };
  const destinationRule = { ...shop, host: 'a.example.com' };

  it.each<[string, MeshObjects]>([
    ['a VirtualService', { virtualServices: [virtualService] }],
    ['a VirtualService for a wildcard', { virtualServices: [{ ...virtualService, hosts: ['*.example.com'] }] }],
    ['a VirtualService in another namespace', { virtualServices: [{ ...virtualService, namespace: 'ops' }] }],
    ['a DestinationRule', { destinationRules: [destinationRule] }],
    ['a DestinationRule for a wildcard', { destinationRules: [{ ...shop, host: '*.example.com' }] }],
    ['a DestinationRule for everything', { destinationRules: [{ ...shop, host: '*' }] }],
    [
      'a DestinationRule of the root namespace',
      { destinationRules: [{ ...destinationRule, namespace: 'istio-system' }] },
    ],
  ])('writes no entry that %s would take hold of', (_what, mesh) => {
    expect(inMesh(mesh)).toEqual(skipped('governed-by-others'));
  });

  it.each<[string, MeshObjects]>([
    ['a VirtualService for another host', { virtualServices: [{ ...virtualService, hosts: ['b.example.com'] }] }],
    ['a VirtualService of a gateway', { virtualServices: [{ ...virtualService, appliesToMesh: false }] }],
    [
      'a VirtualService that its namespace does not see',
      { virtualServices: [{ ...virtualService, namespace: 'ops', exportTo: ['.'] }] },
    ],
    [
      'a DestinationRule of a namespace that nobody asks',
      { destinationRules: [{ ...destinationRule, namespace: 'ops' }] },
    ],
    ['a DestinationRule for the cluster', { destinationRules: [{ ...shop, host: '*.local' }] }],
    ['a DestinationRule for the parent', { destinationRules: [{ ...shop, host: 'example.com' }] }],
  ])('writes an entry beside %s', (_what, mesh) => {
    expect(inMesh(mesh)).toEqual(CREATED);
  });

  const root = { namespace: 'istio-system', name: 'default', host: '*' };
  const harmless = { ...shop, host: '*', isHarmless: true } as const;

  it.each<[string, MeshObjects]>([
    ['a rule for the whole mesh that changes nothing', { destinationRules: [{ ...root, isHarmless: true }] }],
    ['a rule of its namespace that stands before one for the mesh', { destinationRules: [root, harmless] }],
    [
      'a closer rule',
      { destinationRules: [root, { ...root, name: 'external', host: '*.example.com', isHarmless: true }] },
    ],
  ])('writes an entry under %s', (_what, mesh) => {
    expect(inMesh(mesh)).toEqual(CREATED);
  });

  it.each<[string, MeshObjects, string]>([
    ['a rule for the whole mesh that changes something', { destinationRules: [root] }, 'istio-system/default'],
    ['one of two for the same host', { destinationRules: [harmless, { ...shop, name: 'y', host: '*' }] }, 'shop/y'],
    ['the closer of two', { destinationRules: [harmless, { ...shop, name: 'y', host: '*.example.com' }] }, 'shop/y'],
    [
      'one of the root namespace, where a harmless one is seen elsewhere only',
      { destinationRules: [root, { ...harmless, namespace: 'web' }] },
      'istio-system/default',
    ],
  ])('writes no entry under %s, and names it', (_what, mesh, name) => {
    const { create, skipped: held } = plan({ desired: [wanted('a.example.com')], mesh: { ...everything, ...mesh } });
    expect(create).toEqual([]);
    expect(held).toMatchObject([{ reason: 'governed-by-others', because: [`DestinationRule ${name}`] }]);
  });

  it.each<[string, readonly string[], MeshObjects, boolean]>([
    ['everybody', ['*'], { destinationRules: [root, harmless] }, true],
    ['everybody', ['*'], { virtualServices: [{ ...virtualService, namespace: 'ops', exportTo: ['.'] }] }, true],
    ['everybody', ['*'], { virtualServices: [{ ...virtualService, namespace: 'ops', exportTo: ['~'] }] }, false],
    ['everybody', ['*'], { destinationRules: [{ ...destinationRule, namespace: 'ops' }] }, true],
    ['two namespaces', ['api', 'web'], { virtualServices: [{ ...virtualService, exportTo: ['web'] }] }, true],
    ['two namespaces', ['api', 'web'], { virtualServices: [{ ...virtualService, exportTo: ['x'] }] }, false],
    ['two namespaces', ['api', 'web'], { destinationRules: [{ ...destinationRule, namespace: 'api' }] }, true],
    ['two namespaces', ['api', 'web'], { destinationRules: [{ ...destinationRule, exportTo: ['.'] }] }, false],
  ])('asks for %s (%j) what would take hold of it: %j', (_whom, exportTo, mesh, isGoverned) => {
    const reason = isGoverned ? skipped('governed-by-others') : CREATED;
    expect(inMesh(mesh, { desired: [wanted('a.example.com', 'shop', exportTo)] })).toEqual(reason);
  });

  it('takes for referring what is where the entry is, or where it is seen', () => {
    const central = wanted('a.example.com', 'egress', ['shop']);
    const deletions = (namespace: string): number =>
      plan({
        current: [central],
        unwanted: ['a.example.com'],
        mesh: { ...everything, destinationRules: [{ ...destinationRule, namespace }] },
      }).delete.length;
    expect(['egress', 'shop', 'web'].map(deletions)).toEqual([0, 0, 1]);
    const open = wanted('a.example.com', 'egress', ['*']);
    const mesh = { ...everything, destinationRules: [{ ...destinationRule, namespace: 'web' }] };
    expect(plan({ current: [open], unwanted: ['a.example.com'], mesh }).delete).toEqual([]);
  });

  it('keeps an entry that came to be governed later', () => {
    expect(inMesh({ destinationRules: [destinationRule] }, { current: [a] })).toEqual([
      'keep shop/learned-a.example.com unchanged',
    ]);
  });

  it.each<[string, MeshObjects, string]>([
    [
      'a VirtualService sends there',
      { virtualServices: [{ ...shop, hosts: [], appliesToMesh: false, destinations: ['a.example.com'] }] },
      'VirtualService shop/x',
    ],
    ['a VirtualService is about it', { virtualServices: [virtualService] }, 'VirtualService shop/x'],
    ['a DestinationRule is about it', { destinationRules: [destinationRule] }, 'DestinationRule shop/x'],
    [
      'a DestinationRule covers it',
      { destinationRules: [{ ...shop, host: '*.example.com' }] },
      'DestinationRule shop/x',
    ],
    ['a Sidecar imports it by name', { sidecars: [sidecar(['./*', './a.example.com'])] }, 'Sidecar shop/x'],
  ])('deletes no entry while %s', (_what, mesh, because) => {
    const input = { current: [a], unwanted: ['a.example.com'], mesh: { ...everything, ...mesh } };
    expect(summary(input)).toEqual(skipped('still-referenced'));
    expect(plan(input).skipped[0]?.because).toEqual([because]);
  });

  it.each<[string, MeshObjects]>([
    ['rules are about other hosts', { destinationRules: [{ ...shop, host: 'b.example.com' }] }],
    ['rules are about everything', { destinationRules: [{ ...shop, host: '*' }] }],
    ['rules are where nobody sees the entry', { destinationRules: [{ ...destinationRule, namespace: 'ops' }] }],
    ['Sidecars import zones', { sidecars: [sidecar(['./*.example.com', '*/*'])] }],
  ])('deletes an entry while %s', (_what, mesh) => {
    const input = { current: [a], unwanted: ['a.example.com'], mesh: { ...everything, ...mesh } };
    expect(summary(input)).toEqual(['delete shop/learned-a.example.com host-unwanted']);
  });

  it('deletes no wildcard while something refers to a host below it', () => {
    const mesh = { ...everything, destinationRules: [destinationRule] };
    expect(summary({ current: [wildcard], unwanted: ['*.example.com'], mesh })).toEqual([
      'skip shop/learned.wildcard.example.com still-referenced',
    ]);
  });

  it.each(['services', 'virtualServices', 'destinationRules', 'sidecars'] as const)(
    'deletes nothing while it may not read %s',
    (kind) => {
      const { [kind]: _unknown, ...mesh } = everything;
      const input = { current: [a], unwanted: ['a.example.com'], mesh };
      expect(summary(input)).toEqual(skipped('references-unknown'));
      expect(plan(input).skipped[0]?.because).toEqual([kind]);
    },
  );

  it('takes no port and no audience from an entry that something refers to, but adds both', () => {
    const mesh = { ...everything, destinationRules: [destinationRule] };
    const wide = wanted(
      'a.example.com',
      'shop',
      ['.', 'web'],
      [
        { number: 443, protocol: 'TLS' },
        { number: 8443, protocol: 'TLS' },
      ],
    );
    const fewerPorts = wanted('a.example.com', 'shop', ['.', 'web'], [{ number: 443, protocol: 'TLS' }]);
    const fewerEyes = { ...wide, spec: { ...wide.spec, exportTo: ['.'] } };
    for (const less of [fewerPorts, fewerEyes]) {
      expect(summary({ current: [wide], desired: [less], mesh })).toEqual(skipped('still-referenced'));
      expect(summary({ current: [less], desired: [wide], mesh })).toEqual([
        'update shop/learned-a.example.com spec-differs',
      ]);
    }
  });
});

describe('a plan among Sidecars', () => {
  it.each<[string, readonly SidecarFacts[]]>([
    ['imports other namespaces only', [sidecar(['istio-system/*'])]],
    ['imports another host only', [sidecar(['./b.example.com'])]],
    ['imports nothing', [sidecar(['~/*'])]],
    ['of the mesh imports other namespaces only', [sidecar(['istio-system/*'], { namespace: 'istio-system' })]],
  ])('writes no entry where the Sidecar %s', (_what, sidecars) => {
    expect(inMesh({ sidecars })).toEqual(skipped('not-imported'));
  });

  it.each<[string, readonly SidecarFacts[]]>([
    ['imports the own namespace', [sidecar(['./*', 'istio-system/*'])]],
    ['imports the zone', [sidecar(['*/*.example.com'])]],
    ['imports the host', [sidecar(['shop/a.example.com'])]],
    ['has no egress', [{ namespace: 'shop', name: 'x', isDefault: true }]],
    ['is of another namespace', [sidecar(['istio-system/*'], { namespace: 'web' })]],
    ['is for some workloads only', [sidecar(['istio-system/*'], { isDefault: false })]],
    [
      'overrides that of the mesh',
      [sidecar(['istio-system/*'], { namespace: 'istio-system' }), sidecar(['./*'], { name: 'y' })],
    ],
  ])('writes an entry where the Sidecar %s', (_what, sidecars) => {
    expect(inMesh({ sidecars })).toEqual(CREATED);
  });

  it('says which namespaces do not import a central entry', () => {
    const central = wanted('a.example.com', 'egress', ['shop', 'web']);
    const sidecars = [sidecar(['./*', 'istio-system/*'])];
    const { create } = plan({ desired: [central], mesh: { ...everything, sidecars } });
    expect(create).toMatchObject([{ notImportedIn: ['shop'] }]);
  });

  it('does not count a foreign entry that the Sidecar does not import', () => {
    const current = [foreign(['a.example.com'], 'ops', { exportTo: ['*'] })];
    expect(inMesh({ sidecars: [sidecar(['./*', 'istio-system/*'])] }, { current })).toEqual(CREATED);
    expect(inMesh({ sidecars: [sidecar(['./*', 'ops/*'])] }, { current })).toEqual(skipped('covered-by-foreign-entry'));
    const some = sidecar(['./*', 'ops/*'], { name: 'y', isDefault: false });
    expect(inMesh({ sidecars: [sidecar(['./*']), some] }, { current })).toEqual(skipped('covered-by-foreign-entry'));
  });
});

describe('a plan among namespaces', () => {
  const namespace = (change: object) => ({
    namespaces: [{ name: 'shop', isTerminating: false, usesWaypoint: false, isAmbient: false, ...change }],
  });

  it('writes nothing into one that is missing, going, or bound to a waypoint', () => {
    expect(inMesh({ namespaces: [] })).toEqual(skipped('namespace-missing'));
    expect(inMesh(namespace({ isTerminating: true }))).toEqual(skipped('namespace-missing'));
    expect(inMesh(namespace({ usesWaypoint: true }))).toEqual(skipped('namespace-uses-waypoint'));
    expect(inMesh(namespace({}))).toEqual(CREATED);
  });
});

describe('a plan beside foreign entries with other ports', () => {
  it('says what the foreign entry lacks', () => {
    const ports = [{ name: 'tls', number: 443, protocol: 'TLS' }];
    const { skipped: report } = plan({ current: [foreign(['a.example.com'], 'ops', { ports })], desired: [a] });
    expect(report).toMatchObject([{ reason: 'covered-by-foreign-entry', missingPorts: ['80/HTTP'] }]);
  });

  it('takes over the word for TLS that others use for the same port where istioctl would compare', () => {
    const https = { ports: [{ name: 'https', number: 443, protocol: 'HTTPS' }] };
    const hidden = { ...policy, defaultExportTo: ['.'] };
    const { create } = plan({ current: [foreign(['a.example.com'], 'ops', https)], desired: [a], policy: hidden });
    expect(create[0]?.entry.spec.ports).toEqual([
      { name: 'http-80', number: 80, protocol: 'HTTP' },
      { name: 'https-443', number: 443, protocol: 'HTTPS' },
    ]);
    const apart = { ...https, exportTo: ['.'] };
    const beside = plan({ current: [foreign(['a.example.com'], 'ops', apart)], desired: [a], policy: hidden });
    expect(beside.create).toEqual([{ reason: 'wanted', entry: a }]);
    const tcp = { ports: [{ name: 'tcp', number: 443, protocol: 'TCP' }] };
    const input = { current: [foreign(['a.example.com'], 'ops', tcp)], desired: [a], policy: hidden };
    expect(summary(input)).toEqual(skipped('protocol-conflict'));
    expect(plan(input).skipped[0]?.because).toEqual(['443/TCP']);
  });

  it('leaves an entry as it is whose change would conflict', () => {
    const theirs = foreign(['a.example.com'], 'ops', { ports: [{ name: 'x', number: 443, protocol: 'TCP' }] });
    const narrow = wanted('a.example.com', 'shop', ['.'], [{ number: 80, protocol: 'HTTP' }]);
    const hidden = { ...policy, defaultExportTo: ['.'] };
    expect(summary({ current: [narrow, theirs], desired: [a], policy: hidden })).toEqual(skipped('protocol-conflict'));
  });

  it('does not write entries of its own whose protocols conflict', () => {
    const one = wanted('a.example.com', 'shop', ['*'], [{ number: 8443, protocol: 'TLS' }]);
    const other = wanted('a.example.com', 'web', ['*'], [{ number: 8443, protocol: 'GRPC' }]);
    expect(summary({ desired: [one, other] })).toEqual([
      'create shop/learned-a.example.com wanted',
      'skip web/learned-a.example.com protocol-conflict',
    ]);
    const some = wanted('a.example.com', 'ops', ['api', 'web'], [{ number: 8443, protocol: 'TLS' }]);
    const others = wanted('a.example.com', 'shop', ['web', 'x'], [{ number: 8443, protocol: 'GRPC' }]);
    expect(summary({ desired: [some, others] })).toEqual([
      'create ops/learned-a.example.com wanted',
      'skip shop/learned-a.example.com protocol-conflict',
    ]);
  });
});
