import {
  readDestinationRule,
  readNamespace,
  readService,
  readSidecar,
  readVirtualService,
} from '../../src/istio/mesh-objects.js';

const metadata = { namespace: 'shop', name: 'a' };

describe('readService', () => {
  it('tells an ExternalName from others', () => {
    const external = { kind: 'Service', metadata, spec: { type: 'ExternalName', externalName: 'db.example.com' } };
    expect(readService(external)).toEqual({ ...metadata, externalName: 'db.example.com' });
    expect(readService({ ...external, spec: { type: 'ClusterIP', externalName: 'db.example.com' } })).toEqual(metadata);
  });
});

describe('readVirtualService', () => {
  it('finds the destinations of every kind of route', () => {
    const destination = (host: string) => ({ destination: { host } });
    const spec = {
      hosts: ['a.example.com'],
      http: [
        { route: [destination('h.example.com')], mirror: { host: 'm.example.com' } },
        { route: [destination('h.example.com')], mirrors: [destination('n.example.com')] },
      ],
      tls: [{ match: [{ sniHosts: ['a.example.com'] }], route: [destination('t.example.com')] }],
      tcp: [{ route: [destination('c.example.com')] }],
    };
    expect(readVirtualService({ kind: 'VirtualService', metadata, spec })).toEqual({
      ...metadata,
      hosts: ['a.example.com'],
      appliesToMesh: true,
      destinations: ['c.example.com', 'h.example.com', 'm.example.com', 'n.example.com', 't.example.com'],
    });
  });

  it.each([
    [undefined, true],
    [['mesh', 'ops/egress'], true],
    [['ops/ingress'], false],
  ])('with gateways %j applies to the mesh: %s', (gateways, expected) => {
    const object = { kind: 'VirtualService', metadata, spec: { hosts: [], gateways } };
    expect(readVirtualService(object)?.appliesToMesh).toBe(expected);
  });
});

describe('readDestinationRule', () => {
  it('reads the host and who sees it', () => {
    const spec = { host: '*.example.com', exportTo: ['.'] };
    const rule = readDestinationRule({ kind: 'DestinationRule', metadata, spec });
    expect(rule).toEqual({ ...metadata, ...spec, isHarmless: true });
  });

  it.each<[object, boolean]>([
    [{}, true],
    [{ tls: { mode: 'DISABLE' } }, true],
    [{ tls: { mode: 'DISABLE' }, loadBalancer: { simple: 'LEAST_REQUEST' } }, true],
    [{ portLevelSettings: [{ port: { number: 443 }, tls: { mode: 'DISABLE' } }] }, true],
    [{ tls: { mode: 'ISTIO_MUTUAL' } }, false],
    [{ tls: { mode: 'SIMPLE' } }, false],
    [{ portLevelSettings: [{ port: { number: 443 }, tls: { mode: 'SIMPLE' } }] }, false],
    [{ connectionPool: { tcp: { maxConnections: 1 } } }, false],
    [{ outlierDetection: { consecutive5xxErrors: 1 } }, false],
    [{ proxyProtocol: { version: 'V2' } }, false],
    [{ tls: 'DISABLE' }, false],
  ])('knows whether %j changes the traffic of a host (harmless: %j)', (trafficPolicy, isHarmless) => {
    const spec = { host: '*', trafficPolicy };
    const rule = readDestinationRule({ kind: 'DestinationRule', metadata, spec });
    expect(rule?.isHarmless === true).toBe(isHarmless);
  });
});

describe('readSidecar', () => {
  it('gathers what all its listeners import', () => {
    const spec = { egress: [{ hosts: ['./*'] }, { hosts: ['istio-system/*'] }] };
    const expected = { ...metadata, isDefault: true, egressHosts: ['./*', 'istio-system/*'] };
    expect(readSidecar({ kind: 'Sidecar', metadata, spec })).toEqual(expected);
  });

  it('imports everything without an egress listener, and stands for some workloads with a selector', () => {
    const spec = { workloadSelector: { labels: { app: 'web' } } };
    expect(readSidecar({ kind: 'Sidecar', metadata, spec })).toEqual({ ...metadata, isDefault: false });
  });
});

describe('readNamespace', () => {
  it.each([
    [{ name: 'shop' }, { isTerminating: false, usesWaypoint: false, isAmbient: false }],
    [
      { name: 'shop', deletionTimestamp: '2026-01-01T00:00:00Z' },
      { isTerminating: true, usesWaypoint: false, isAmbient: false },
    ],
    [
      { name: 'shop', labels: { 'istio.io/use-waypoint': 'egress' } },
      { isTerminating: false, usesWaypoint: true, isAmbient: false },
    ],
    [
      { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
      { isTerminating: false, usesWaypoint: false, isAmbient: true },
    ],
    [
      { name: 'shop', labels: { 'istio.io/use-waypoint': 'none' } },
      { isTerminating: false, usesWaypoint: false, isAmbient: false },
    ],
  ])('reads %j', (given, expected) => {
    expect(readNamespace({ kind: 'Namespace', metadata: given })).toEqual({ name: 'shop', ...expected });
  });
});

it.each([
  ['nothing', undefined],
  ['a text', 'Service'],
  ['another kind', { kind: 'Pod', metadata }],
  ['no metadata', { kind: 'Service' }],
  ['no namespace', { kind: 'Service', metadata: { name: 'a' } }],
])('reads nothing from %s', (_what, value) => {
  expect([readService, readVirtualService, readDestinationRule, readSidecar].map((read) => read(value))).toEqual(
    Array.from({ length: 4 }, () => undefined),
  );
});
