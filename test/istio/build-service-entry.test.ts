import * as fc from 'fast-check';
import { parse } from 'yaml';
import { buildServiceEntry, type ServiceEntryRequest } from '../../src/istio/build-service-entry.js';
import { formatServiceEntry } from '../../src/istio/format-yaml.js';
import { IstioError } from '../../src/istio/istio-error.js';
import { ownerLabels } from '../../src/istio/ownership.js';
import { isReservedPort } from '../../src/istio/reserved-ports.js';
import { NAMED_PROTOCOLS, type PortSpec, type ServiceEntry } from '../../src/istio/service-entry.js';
import { validateServiceEntry } from '../../src/istio/validation/validate-service-entry.js';
import type { Hostname } from '../../src/dns/hostname.js';
import { analyze } from '../support/istioctl.js';
import { hostname } from './hostname.js';

const request = { hostname: hostname('api.example.com'), namespace: 'shop', owner: 'main' };

const tcp: Pick<ServiceEntryRequest, 'ports'> = { ports: [{ number: 5432, protocol: 'TCP' }] };

function tlsPorts(count: number): readonly PortSpec[] {
  return Array.from({ length: count }, (_, index) => ({ number: 8000 + index, protocol: 'TLS' }));
}

function codeOf(change: Partial<ServiceEntryRequest>): string | undefined {
  try {
    buildServiceEntry({ ...request, ...change });
    return undefined;
  } catch (error) {
    if (error instanceof IstioError) return error.code;
    throw error;
  }
}

describe('buildServiceEntry', () => {
  it('declares a host without changing its traffic', () => {
    expect(buildServiceEntry(request)).toEqual({
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: {
        name: 'learned-api.example.com',
        namespace: 'shop',
        labels: { 'app.kubernetes.io/managed-by': 'istio-discovery', 'istio-discovery.io/owner': 'main' },
      },
      spec: {
        hosts: ['api.example.com'],
        exportTo: ['.'],
        location: 'MESH_EXTERNAL',
        resolution: 'NONE',
        ports: [
          { name: 'http-80', number: 80, protocol: 'HTTP' },
          { name: 'tls-443', number: 443, protocol: 'TLS' },
        ],
      },
    });
  });

  it('sorts ports by number and exportTo by name', () => {
    const { spec } = buildServiceEntry({
      ...request,
      ports: [
        { number: 8443, protocol: 'TLS' },
        { number: 443, protocol: 'TLS' },
      ],
      exportTo: ['web', 'api', 'web'],
    });
    expect(spec.ports?.map((port) => port.name)).toEqual(['tls-443', 'tls-8443']);
    expect(spec.exportTo).toEqual(['api', 'web']);
  });

  it('writes the own namespace as a dot, once', () => {
    expect(buildServiceEntry({ ...request, exportTo: ['shop', '.', 'api'] }).spec.exportTo).toEqual(['.', 'api']);
  });

  it.each([14_999, 15_022, 15_052, 15_054, 15_089, 15_091])('takes port %i, beside those of the proxy', (number) => {
    expect(codeOf({ ports: [{ number, protocol: 'TLS' }] })).toBeUndefined();
  });

  it.each([...Array.from({ length: 22 }, (_, at) => 15_000 + at), 15_053, 15_090])(
    'refuses port %i of the proxy',
    (number) => {
      expect(codeOf({ ports: [{ number, protocol: 'TLS' }] })).toBe('ISTIO_ERR_RESERVED_PORT');
    },
  );

  it.each([
    ['no port', { ports: [] }, 'ISTIO_ERR_PORTS'],
    ['port 0', { ports: [{ number: 0, protocol: 'TLS' }] }, 'ISTIO_ERR_PORTS'],
    ['port 443.5', { ports: [{ number: 443.5, protocol: 'TLS' }] }, 'ISTIO_ERR_PORTS'],
    ['port 65536', { ports: [{ number: 65_536, protocol: 'TLS' }] }, 'ISTIO_ERR_PORTS'],
    [
      'a number twice',
      {
        ports: [
          { number: 443, protocol: 'TLS' },
          { number: 443, protocol: 'HTTPS' },
        ],
      },
      'ISTIO_ERR_PORTS',
    ],
    ['a protocol that there is not', { ports: [{ number: 443, protocol: 'KAFKA' }] }, 'ISTIO_ERR_PORTS'],
    ['an empty exportTo', { exportTo: [] }, 'ISTIO_ERR_EXPORT_TO'],
    ['* with others', { exportTo: ['*', 'shop'] }, 'ISTIO_ERR_EXPORT_TO'],
    ['no namespace in exportTo', { exportTo: ['Shop'] }, 'ISTIO_ERR_EXPORT_TO'],
    ['a path as namespace', { namespace: '../etc' }, 'ISTIO_ERR_NAMESPACE'],
    ['an owner that is no label', { owner: 'a b' }, 'ISTIO_ERR_OWNER'],
  ])('refuses %s', (_what, change, code) => {
    // The table also holds values that the types exclude: they can come from a configuration file.
    expect(codeOf(change as Partial<ServiceEntryRequest>)).toBe(code);
  });

  it.each<[string, Partial<ServiceEntryRequest>, string]>([
    ['a host in upper case', { hostname: 'API.example.com' as Hostname }, 'ISTIO_ERR_HOST'],
    ['a host with a trailing dot', { hostname: 'api.example.com.' as Hostname }, 'ISTIO_ERR_HOST'],
    ['an address as host', { hostname: '192.0.2.1' as Hostname }, 'ISTIO_ERR_HOST'],
    ['an underscore in a host', { hostname: '_a.example.com' as Hostname }, 'ISTIO_ERR_HOST'],
    ['a single label as host', { hostname: 'redis' as Hostname }, 'ISTIO_ERR_HOST'],
    ['a wildcard of everything', { hostname: '*' as Hostname }, 'ISTIO_ERR_HOST'],
    ['a partial wildcard', { hostname: '*api.example.com' as Hostname }, 'ISTIO_ERR_HOST'],
    ['a wildcard within a name', { hostname: 'a.*.example.com' as Hostname }, 'ISTIO_ERR_HOST'],
    ['a wildcard over a top-level domain', { hostname: '*.com' }, 'ISTIO_ERR_HOST'],
    ['a wildcard over a public suffix', { hostname: '*.co.uk' }, 'ISTIO_ERR_HOST'],
    ['a wildcard over a suffix of the private section', { hostname: '*.github.io' }, 'ISTIO_ERR_HOST'],
    ['a wildcard over a platform', { hostname: '*.amazonaws.com' }, 'ISTIO_ERR_HOST'],
    ['HTTP on 443', { ports: [{ number: 443, protocol: 'HTTP' }] }, 'ISTIO_ERR_PORTS'],
    ['TLS on 80', { ports: [{ number: 80, protocol: 'TLS' }] }, 'ISTIO_ERR_PORTS'],
    ['TCP without addresses', { ports: [{ number: 5432, protocol: 'TCP' }] }, 'ISTIO_ERR_ADDRESSES'],
    [
      'TCP without addresses beside TLS',
      {
        ports: [
          { number: 443, protocol: 'TLS' },
          { number: 5432, protocol: 'TCP' },
        ],
      },
      'ISTIO_ERR_ADDRESSES',
    ],
    ['257 ports', { ports: tlsPorts(257) }, 'ISTIO_ERR_PORTS'],
    ['TCP with one address', { ...tcp, addresses: ['192.0.2.1'] }, 'ISTIO_ERR_ADDRESSES'],
    ['TCP with a /32', { ...tcp, addresses: ['192.0.2.1/32'] }, 'ISTIO_ERR_ADDRESSES'],
    ['TCP with a /128', { ...tcp, addresses: ['2001:db8::1/128'] }, 'ISTIO_ERR_ADDRESSES'],
    ['TCP with what is no address', { ...tcp, addresses: ['example.com/24'] }, 'ISTIO_ERR_ADDRESSES'],
    ['TCP for a wildcard', { ...tcp, hostname: '*.example.com', addresses: ['192.0.2.0/24'] }, 'ISTIO_ERR_ADDRESSES'],
    ['addresses without TCP', { addresses: ['192.0.2.0/24'] }, 'ISTIO_ERR_ADDRESSES'],
  ])('refuses %s', (_what, change, code) => {
    expect(codeOf(change)).toBe(code);
  });

  it('declares up to 256 ports', () => {
    expect(buildServiceEntry({ ...request, ports: tlsPorts(256) }).spec.ports).toHaveLength(256);
  });

  it('declares a wildcard under a name of its own', () => {
    const { metadata, spec } = buildServiceEntry({ ...request, hostname: '*.example.com' });
    expect([metadata.name, spec.hosts]).toEqual(['learned.wildcard.example.com', ['*.example.com']]);
  });

  it('declares TCP for ranges of addresses, sorted and each once', () => {
    const addresses = ['198.51.100.0/24', '192.0.2.0/24', '198.51.100.0/24'];
    const entry = buildServiceEntry({ ...request, ...tcp, addresses });
    expect(entry.spec.addresses).toEqual(['192.0.2.0/24', '198.51.100.0/24']);
    expect(validateServiceEntry(entry)).toEqual([]);
    expect(parse(formatServiceEntry(entry))).toEqual(entry);
  });
});

describe('every entry that is built', () => {
  const isUsable = (number: number): boolean => (number < 15_000 || number > 15_090) && number !== 80 && number !== 443;
  const port = fc.oneof(
    fc.constantFrom<PortSpec>({ number: 443, protocol: 'TLS' }, { number: 443, protocol: 'HTTPS' }),
    fc.constantFrom<PortSpec>({ number: 80, protocol: 'HTTP' }, { number: 80, protocol: 'GRPC' }),
    fc.record({
      number: fc.integer({ min: 1, max: 65_535 }).filter(isUsable),
      protocol: fc.constantFrom(...NAMED_PROTOCOLS),
    }),
  );
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const zone = fc.tuple(label, label).map(([a, b]) => `${a}.${b}.example.com`);
  const anyRequest: fc.Arbitrary<ServiceEntryRequest> = fc.record({
    hostname: fc.oneof(
      zone,
      zone.map((name): `*.${string}` => `*.${name}`),
    ) as fc.Arbitrary<Hostname>,
    namespace: label,
    owner: fc.constantFrom('main', 'other'),
    ports: fc.uniqueArray(port, { minLength: 1, maxLength: 20, selector: ({ number }) => number }),
    exportTo: fc.oneof(fc.constantFrom(['.'], ['*']), fc.array(label, { minLength: 1, maxLength: 5 })),
  });
  const always = (holds: (entry: ServiceEntry, given: ServiceEntryRequest) => void): void => {
    fc.assert(
      fc.property(anyRequest, (given) => holds(buildServiceEntry(given), given)),
      { numRuns: 300 },
    );
  };

  it('has one host in lower case, without a trailing dot, a star only as its whole first label', () => {
    always(({ spec: { hosts } }) => {
      expect(hosts).toHaveLength(1);
      expect(hosts[0]).toMatch(/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+$/);
      expect(hosts[0]?.length).toBeLessThanOrEqual(253);
    });
  });

  it('has resolution NONE, no endpoints, no selector and no single address', () => {
    always(({ spec }) => {
      expect([spec.resolution, spec.endpoints, spec.workloadSelector, spec.addresses]).toEqual([
        'NONE',
        undefined,
        undefined,
        undefined,
      ]);
    });
  });

  it('says the protocol of each port, one by which hosts are told apart', () => {
    always(({ spec: { ports = [] } }) => {
      expect(ports.filter(({ protocol }) => !NAMED_PROTOCOLS.some((name) => name === protocol))).toEqual([]);
    });
  });

  it('has ports with unique numbers and names, named by protocol and number, sorted by number', () => {
    always(({ spec: { ports = [] } }) => {
      const numbers = ports.map(({ number }) => number);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(ports.map(({ name }) => name)).toEqual(
        ports.map(({ number, protocol }) => `${protocol?.toLowerCase()}-${number}`),
      );
    });
  });

  it('is exported to its own namespace, to everybody, or to a sorted list that names none twice', () => {
    always(({ metadata, spec: { exportTo = [] } }) => {
      expect(exportTo).toEqual([...new Set(exportTo)].sort());
      expect(exportTo.length).toBeGreaterThan(0);
      expect(exportTo).not.toContain(metadata.namespace);
      if (exportTo.includes('*')) expect(exportTo).toEqual(['*']);
    });
  });

  it('carries no annotation, and labels that depend on the owner alone', () => {
    always(({ metadata }, { owner }) => {
      expect(Object.keys(metadata).sort()).toEqual(['labels', 'name', 'namespace']);
      expect(metadata.labels).toEqual(ownerLabels(owner));
    });
  });

  it('is the same, byte for byte, for the same request, in whatever order its lists come', () => {
    always((entry, given) => {
      const turned = { ...given, ports: given.ports?.toReversed() ?? [], exportTo: given.exportTo?.toReversed() ?? [] };
      expect(JSON.stringify(buildServiceEntry(turned))).toBe(JSON.stringify(entry));
    });
  });

  it('has nothing that the validation, its YAML or the proxy would object to', () => {
    always((entry) => {
      expect(validateServiceEntry(entry)).toEqual([]);
      expect(parse(formatServiceEntry(entry))).toEqual(entry);
      expect(entry.spec.ports?.filter(({ number }) => isReservedPort(number))).toEqual([]);
    });
  });

  it('has nothing that istioctl objects to', async () => {
    const entries = fc.sample(anyRequest, 300).map((given, index) =>
      // A name and a namespace each: here one entry is judged, not what is between them.
      buildServiceEntry({ ...given, namespace: `shop-${index}`, exportTo: ['.'] }),
    );
    expect(await analyze(entries)).toEqual([]);
  });
});

describe('formatServiceEntry', () => {
  it('writes the same bytes for the same entry, whatever the order of its keys', () => {
    const entry = buildServiceEntry(request);
    const { metadata, ...rest } = entry;
    const labels = Object.fromEntries(Object.entries(metadata.labels ?? {}).reverse());
    expect(formatServiceEntry({ metadata: { ...metadata, labels }, ...rest })).toBe(formatServiceEntry(entry));
    expect(formatServiceEntry(entry)).toBe(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: learned-api.example.com
  namespace: shop
  labels:
    app.kubernetes.io/managed-by: istio-discovery
    istio-discovery.io/owner: main
spec:
  hosts:
    - api.example.com
  exportTo:
    - "."
  location: MESH_EXTERNAL
  resolution: NONE
  ports:
    - name: http-80
      number: 80
      protocol: HTTP
    - name: tls-443
      number: 443
      protocol: TLS
`);
  });

  it.each(['no', 'on', 'y', '1e3', '12', '2026-11-23'])(
    'quotes the namespace %s, which YAML 1.1 reads otherwise',
    (name) => {
      expect(formatServiceEntry(buildServiceEntry({ ...request, namespace: name }))).toContain(
        `namespace: "${name}"\n`,
      );
    },
  );

  it('leaves out what an API server added', () => {
    const entry = buildServiceEntry(request);
    const live = { ...entry, metadata: { ...entry.metadata, uid: 'u', resourceVersion: '1', managedFields: [] } };
    expect(formatServiceEntry(live)).toBe(formatServiceEntry(entry));
  });
});
