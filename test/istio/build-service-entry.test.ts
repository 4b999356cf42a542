import * as fc from 'fast-check';
import { parse } from 'yaml';
import { buildServiceEntry, type ServiceEntryRequest } from '../../src/istio/build-service-entry.js';
import { formatServiceEntry } from '../../src/istio/format-yaml.js';
import { IstioError } from '../../src/istio/istio-error.js';
import { PORT_PROTOCOLS } from '../../src/istio/service-entry.js';
import { validateServiceEntry } from '../../src/istio/validation/validate-service-entry.js';
import { hostname } from './hostname.js';

const request = { hostname: hostname('api.example.com'), namespace: 'shop', owner: 'main' };

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

  it.each([15_000, 15_001, 15_006, 15_020, 15_021, 15_053, 15_090])('refuses port %i of the proxy', (number) => {
    expect(codeOf({ ports: [{ number, protocol: 'TLS' }] })).toBe('ISTIO_ERR_RESERVED_PORT');
  });

  it.each([
    ['no port', { ports: [] }, 'ISTIO_ERR_PORTS'],
    ['port 0', { ports: [{ number: 0, protocol: 'TLS' }] }, 'ISTIO_ERR_PORTS'],
    ['port 65536', { ports: [{ number: 65_536, protocol: 'TLS' }] }, 'ISTIO_ERR_PORTS'],
    [
      'a number twice',
      {
        ports: [
          { number: 443, protocol: 'TLS' },
          { number: 443, protocol: 'HTTP' },
        ],
      },
      'ISTIO_ERR_PORTS',
    ],
    ['a protocol that opens the port to any address', { ports: [{ number: 443, protocol: 'TCP' }] }, 'ISTIO_ERR_PORTS'],
    ['an empty exportTo', { exportTo: [] }, 'ISTIO_ERR_EXPORT_TO'],
    ['* with others', { exportTo: ['*', 'shop'] }, 'ISTIO_ERR_EXPORT_TO'],
    ['no namespace in exportTo', { exportTo: ['Shop'] }, 'ISTIO_ERR_EXPORT_TO'],
    ['a path as namespace', { namespace: '../etc' }, 'ISTIO_ERR_NAMESPACE'],
    ['an owner that is no label', { owner: 'a b' }, 'ISTIO_ERR_OWNER'],
  ])('refuses %s', (_what, change, code) => {
    // The table also holds values that the types exclude: they can come from a configuration file.
    expect(codeOf(change as Partial<ServiceEntryRequest>)).toBe(code);
  });

  it('builds nothing that the validation has anything to say about', () => {
    const ports = fc.uniqueArray(
      fc.record({
        number: fc.integer({ min: 1, max: 65_535 }).filter((n) => n < 15_000 || n > 15_090),
        protocol: fc.constantFrom(...PORT_PROTOCOLS),
      }),
      { minLength: 1, maxLength: 20, selector: (port) => port.number },
    );
    fc.assert(
      fc.property(ports, fc.constantFrom(['.'], ['*'], ['a', 'b']), (somePorts, exportTo) => {
        const entry = buildServiceEntry({ ...request, ports: somePorts, exportTo });
        expect(validateServiceEntry(entry)).toEqual([]);
        expect(parse(formatServiceEntry(entry))).toEqual(entry);
      }),
    );
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
