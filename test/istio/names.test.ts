import * as fc from 'fast-check';
import { portName, serviceEntryName } from '../../src/istio/names.js';

const DNS_1123_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const exactHost = fc
  .array(label, { minLength: 2, maxLength: 12 })
  .map((labels) => labels.join('.'))
  .filter((host) => host.length <= 253);
const host = fc.oneof(
  exactHost,
  exactHost.filter((name) => name.length < 250).map((name) => `*.${name}`),
  exactHost.filter((name) => name.length < 240).map((name) => `wildcard.${name}`),
);

describe('serviceEntryName', () => {
  it('keeps the host readable', () => {
    expect(serviceEntryName('api.example.com')).toBe('learned-api.example.com');
    expect(serviceEntryName('*.example.com')).toBe('learned.wildcard.example.com');
  });

  it('tells a wildcard from a host that is called wildcard', () => {
    expect(serviceEntryName('wildcard.example.com')).not.toBe(serviceEntryName('*.example.com'));
  });

  it('tells hosts apart that differ only in dots and hyphens', () => {
    expect(serviceEntryName('a-b.example.com')).not.toBe(serviceEntryName('a.b.example.com'));
  });

  it('tells long hosts apart that begin alike', () => {
    const beginning = Array.from({ length: 4 }, () => 'x'.repeat(55)).join('.');
    const names = ['a', 'b'].map((last) => serviceEntryName(`${beginning}.${last}.example`));
    expect(new Set(names).size).toBe(2);
    expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(200);
  });

  it('always gives a DNS-1123 subdomain that fits a file name', () => {
    fc.assert(
      fc.property(host, (name) => {
        const objectName = serviceEntryName(name);
        expect(objectName).toMatch(DNS_1123_SUBDOMAIN);
        expect(objectName.length).toBeLessThanOrEqual(200);
      }),
    );
  });

  it('gives different hosts different names', () => {
    fc.assert(
      fc.property(fc.uniqueArray(host, { minLength: 2, maxLength: 30 }), (hosts) => {
        expect(new Set(hosts.map(serviceEntryName)).size).toBe(hosts.length);
      }),
    );
  });
});

describe('portName', () => {
  it('is derived from protocol and number', () => {
    expect(portName({ number: 443, protocol: 'TLS' })).toBe('tls-443');
    expect(portName({ number: 65_535, protocol: 'HTTP2' })).toBe('http2-65535');
  });
});
