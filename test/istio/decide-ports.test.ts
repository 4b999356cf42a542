import { decidePorts, parsePort } from '../../src/istio/decide-ports.js';
import { DEFAULT_PORTS } from '../../src/istio/service-entry.js';

const inferred = (number: number, protocol: string) => ({ number, protocol, isOrdered: false });
const ordered = (number: number, protocol: string) => ({ number, protocol, isOrdered: true });

/** `443/TLS` for what is declared, `-22/TLS reason` for what is withheld. */
function decide(...evidence: ReturnType<typeof inferred>[]): string[] {
  const { ports, withheld } = decidePorts(evidence, DEFAULT_PORTS);
  return [
    ...ports.map(({ number, protocol }) => `${number}/${protocol}`),
    ...withheld.map(({ number, protocol, reason }) => `-${number}/${protocol} ${reason}`),
  ];
}

describe('decidePorts', () => {
  it('takes the default ports where nothing is known', () => {
    expect(decide()).toEqual(['80/HTTP', '443/TLS']);
  });

  it.each([8443, 9093, 27_017, 5671, 6380])('adds TLS on %i, where clients speak first', (number) => {
    expect(decide(inferred(number, 'TLS'))).toEqual(['80/HTTP', '443/TLS', `${number}/TLS`]);
  });

  it('takes what a person orders in place of the default ports and of what was inferred', () => {
    expect(decide(ordered(8443, 'tls'), inferred(9093, 'TLS'))).toEqual(['8443/TLS']);
    expect(decide(ordered(50_051, 'GRPC'), ordered(8080, 'HTTP'), ordered(3306, 'TLS'))).toEqual([
      '3306/TLS',
      '8080/HTTP',
      '50051/GRPC',
    ]);
  });

  it('keeps one protocol for a number', () => {
    expect(decide(inferred(443, 'HTTPS'), inferred(80, 'GRPC'))).toEqual(['80/HTTP', '443/TLS']);
    expect(decide(ordered(8443, 'TLS'), ordered(8443, 'GRPC'))).toEqual(['8443/GRPC']);
  });

  it('does not depend on the order of the evidence', () => {
    const evidence = [inferred(8443, 'TLS'), inferred(22, 'TLS'), inferred(9093, 'TLS'), inferred(8080, 'HTTP')];
    expect(decide(...evidence)).toEqual(decide(...evidence.toReversed()));
  });

  it.each([
    ['MySQL', inferred(3306, 'TLS'), 'server-speaks-first'],
    ['SMTP', inferred(25, 'TLS'), 'server-speaks-first'],
    ['submission', inferred(587, 'TLS'), 'server-speaks-first'],
    ['PostgreSQL', inferred(5432, 'TLS'), 'server-speaks-first'],
    ['FTP', inferred(21, 'TLS'), 'server-speaks-first'],
    ['plain HTTP on a port of its own', inferred(8080, 'HTTP'), 'changes-port-for-all-hosts'],
    ['gRPC on a port of its own', inferred(50_051, 'GRPC'), 'changes-port-for-all-hosts'],
    ['HTTP on 443', inferred(443, 'HTTP'), 'wrong-for-port'],
    ['TLS on 80', inferred(80, 'TLS'), 'wrong-for-port'],
    ['TCP without a range of addresses', inferred(5432, 'TCP'), 'needs-address-range'],
    ['a port of the proxy', inferred(15_001, 'TLS'), 'reserved'],
    ['an unknown protocol', inferred(9092, 'kafka'), 'unknown-protocol'],
  ])('withholds %s', (_what, evidence, reason) => {
    const { number, protocol } = evidence;
    expect(decide(evidence)).toEqual(['80/HTTP', '443/TLS', `-${number}/${protocol} ${reason}`]);
  });

  it.each([
    [15_090, 'TLS', 'reserved'],
    [443, 'HTTP', 'wrong-for-port'],
    [5432, 'TCP', 'needs-address-range'],
  ])('withholds %i/%s although a person orders it', (number, protocol, reason) => {
    expect(decide(ordered(number, protocol))).toEqual([`-${number}/${protocol} ${reason}`]);
  });
});

describe('parsePort', () => {
  it.each([
    ['443/TLS', { number: 443, protocol: 'TLS' }],
    ['80/http', { number: 80, protocol: 'HTTP' }],
    ['65536/TLS', undefined],
    ['0/TLS', undefined],
    ['443', undefined],
    ['443/KAFKA', undefined],
    ['0443/TLS', undefined],
  ])('reads %s', (text, expected) => {
    expect(parsePort(text)).toEqual(expected);
  });
});
