import { corefileLine } from '../../../src/install/corefile/corefile-line.js';

const endpoint = 'tcp://192.0.2.7:6000';
const line = 'dnstap tcp://192.0.2.7:6000 full';

describe('corefileLine', () => {
  it.each([
    ['1.8.1', ['only-tap']],
    ['1.9.0', ['only-tap']],
    ['1.9.1', ['listen-first', 'only-tap']],
    ['1.10.0', ['listen-first', 'only-tap']],
    ['1.10.1', ['listen-first']],
    ['v1.11.3-eksbuild.1', ['listen-first']],
    ['1.13.1', ['listen-first']],
    ['1.13.2', []],
    ['v1.14.7', []],
    ['1.15', []],
    ['2.0.0', []],
  ])('gives CoreDNS %s the line with the cautions %j', (version, cautions) => {
    expect(corefileLine({ endpoint, version })).toEqual({ line, cautions });
  });

  it('gives every caution when the version is not known', () => {
    expect(corefileLine({ endpoint })).toEqual({ line, cautions: ['listen-first', 'only-tap'] });
  });

  it.each(['1.8.0', '1.7.1', '1.0.0', '0.11', '0.9.10'])('refuses CoreDNS %s', (version) => {
    expect(corefileLine({ endpoint, version })).toEqual({ refused: 'version-too-old' });
  });

  it.each(['', 'latest', 'sha256:0a1b', '1', '1.x'])('refuses the version %j', (version) => {
    expect(corefileLine({ endpoint, version })).toEqual({ refused: 'version-unreadable' });
  });

  it.each([
    ['unix:///run/istio-discovery/dnstap.sock', 'dnstap unix:///run/istio-discovery/dnstap.sock full'],
    ['tcp://[2001:db8::7]:6000', 'dnstap tcp://[2001:db8::7]:6000 full'],
  ])('takes the endpoint %s', (given, expected) => {
    expect(corefileLine({ endpoint: given, version: '1.14.7' })).toEqual({ line: expected, cautions: [] });
  });

  it('takes tls:// where CoreDNS knows it, and says what the certificate needs', () => {
    const tls = { endpoint: 'tls://192.0.2.7:6001' };
    const line = 'dnstap tls://192.0.2.7:6001 full';
    expect(corefileLine({ ...tls, version: '1.14.7' })).toEqual({ line, cautions: ['tls-trust'] });
    expect(corefileLine({ ...tls, version: '1.11.0' })).toEqual({ line, cautions: ['tls-trust', 'listen-first'] });
    expect(corefileLine({ ...tls, version: '1.10.1' })).toEqual({ refused: 'tls-not-known' });
    expect(corefileLine({ endpoint: 'tls://collector.example.com:6001' })).toEqual({
      refused: 'endpoint-not-an-address',
    });
  });

  it.each([
    ['tcp://istio-discovery-collector.istio-discovery.svc:6000', 'endpoint-not-an-address'],
    ['tcp://localhost:6000', 'endpoint-not-an-address'],
    ['tcp://192.0.2.7', 'endpoint-unreadable'],
    ['tcp://192.0.2.7:0', 'endpoint-unreadable'],
    ['tcp://192.0.2.7:65536', 'endpoint-unreadable'],
    ['tcp://2001:db8::7:6000', 'endpoint-unreadable'],
    ['tcp://[192.0.2.7]:6000', 'endpoint-unreadable'],
    ['/run/dnstap.sock', 'endpoint-unreadable'],
    ['', 'endpoint-unreadable'],
    ['unix:///run/a b', 'endpoint-has-blank'],
    ['tcp://192.0.2.7:6000#', 'endpoint-has-blank'],
    ['unix:///run/{x}', 'endpoint-has-blank'],
    [`unix:///${'a'.repeat(107)}`, 'endpoint-path-too-long'],
  ])('refuses the endpoint %j', (given, refused) => {
    expect(corefileLine({ endpoint: given, version: '1.14.7' })).toEqual({ refused });
  });

  it('takes the longest path that a unix socket can have', () => {
    const longest = `unix:///${'a'.repeat(106)}`;
    expect(corefileLine({ endpoint: longest, version: '1.14.7' })).toEqual({
      line: `dnstap ${longest} full`,
      cautions: [],
    });
  });
});
