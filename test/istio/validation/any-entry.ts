import * as fc from 'fast-check';

const odd = fc.constantFrom<unknown>(null, 0, -1, 1.5, true, '', 'x', [], {}, [null], [1], { a: 1 });
const longText = fc.constantFrom('a'.repeat(63), 'a'.repeat(64), 'a'.repeat(257));
const domain = fc.constantFrom(
  'api.example.com',
  'b.example.net',
  '*.example.com',
  '*',
  '*.',
  '*foo.example.com',
  'a.*.example.com',
  'API.example.com',
  'api.example.com.',
  '_x.example.com',
  '192.0.2.1',
  '192.0.2.1.',
  '12345',
  'redis',
  'a..b',
  '-a.b',
  'ä.example',
);
const address = fc.constantFrom(
  '192.0.2.1',
  '192.0.2.0/24',
  '2001:db8::1',
  '2001:db8::/32',
  '192.0.2.1/',
  'x',
  '1/2/3',
);
const protocol = fc.constantFrom(
  'TLS',
  'HTTPS',
  'HTTP',
  'GRPC',
  'TCP',
  'tcp',
  'udp',
  'mongo',
  'kafka',
  '',
  'DoubleHBONE',
);
const number = fc.constantFrom(0, 1, 80, 443, 443, 8443, 65_535, 65_536, 4_294_967_296, -1);
const name = fc.oneof(fc.constantFrom('a', 'b', 'tls-443', 'TLS', 'a.b', '-a', 'a_b'), longText);
const label = fc.dictionary(
  fc.constantFrom('app', 'a*', '', 'example.com/v', '/x', 'a b'),
  fc.constantFrom('v1', '', '*', 'a b'),
  {
    maxKeys: 2,
  },
);

/** Mostly a value of the right type, now and then one of another. */
const mostly = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 24, arbitrary }, { weight: 1, arbitrary: odd });

const optional = (model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(model, { requiredKeys: [] });

const port = optional({
  name: mostly(name),
  number: mostly(number),
  protocol: mostly(protocol),
  targetPort: mostly(number),
});
const soundPort = fc.record({ name: fc.constantFrom('a', 'b', 'tls-443'), number, protocol });
const endpoint = optional({
  address: mostly(
    fc.oneof(address, domain, fc.constantFrom('unix:///a', 'unix://@a', 'unix://', 'unix:///a/', 'unix://a')),
  ),
  network: mostly(fc.constantFrom('', 'far')),
  ports: mostly(fc.dictionary(name, number, { maxKeys: 2 })),
  labels: mostly(label),
  weight: mostly(fc.constantFrom(0, 1, -1, 4_294_967_296)),
  locality: mostly(longText),
  serviceAccount: mostly(longText),
  port: fc.constant(1),
});
const listOf = (item: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => mostly(fc.array(mostly(item), { maxLength: 3 }));

const rare = { freq: 8 };

/** A spec that is right, or wrong in a few of the ways that there are. */
export const anySpec: fc.Arbitrary<Record<string, unknown>> = fc
  .record({
    hosts: fc.oneof({ weight: 4, arbitrary: fc.array(domain, { minLength: 1, maxLength: 2 }) }, listOf(domain)),
    ports: fc.oneof({ weight: 4, arbitrary: fc.array(soundPort, { maxLength: 2 }) }, listOf(port)),
    resolution: fc.option(mostly(fc.constantFrom('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS', 'none')), {
      nil: undefined,
    }),
    location: fc.option(mostly(fc.constantFrom('MESH_EXTERNAL', 'MESH_INTERNAL', 'MARS')), { nil: undefined }),
    addresses: fc.option(listOf(address), { nil: undefined }),
    endpoints: fc.option(listOf(endpoint), { nil: undefined }),
    exportTo: fc.option(listOf(fc.constantFrom('.', '*', '~', 'shop', 'web', 'we_b', 'WEB')), { nil: undefined }),
    workloadSelector: fc.option(mostly(optional({ labels: mostly(label), x: odd })), { nil: undefined, ...rare }),
    subjectAltNames: fc.option(listOf(domain), { nil: undefined, ...rare }),
    unknown: fc.option(odd, { nil: undefined, freq: 30 }),
  })
  .map((spec) => JSON.parse(JSON.stringify(spec)) as Record<string, unknown>); // without what is undefined

/** Metadata of the same kind. The API server finds the object by `shop`. */
export const anyMetadata: fc.Arbitrary<Record<string, unknown>> = fc
  .record({
    name: fc.oneof(
      { weight: 12, arbitrary: fc.constant<unknown>('api') },
      fc.constantFrom<unknown>('API', 'a.b', 'a..b', '-a', 'a_b', '', 1, null, 'a'.repeat(254)),
    ),
    namespace: fc.oneof({ weight: 20, arbitrary: fc.constant<unknown>('shop') }, fc.constantFrom<unknown>('sh.op', 1)),
    labels: fc.option(mostly(label), { nil: undefined, ...rare }),
    annotations: fc.option(mostly(label), { nil: undefined, ...rare }),
    lables: fc.option(odd, { nil: undefined, freq: 30 }),
  })
  .map((metadata) => JSON.parse(JSON.stringify(metadata)) as Record<string, unknown>);
