import { isIP } from 'node:net';

import fc from 'fast-check';

import { parseAddressRanges } from '../src/address.js';
import { formatAddress, formatEndpoint, parseEndpoint } from '../src/index.js';
import { codeOf } from './support/code-of.js';
import { bytes } from './support/frames.js';

describe('parseEndpoint', () => {
  it.each([
    ['/run/dnstap.sock', { kind: 'unix', path: '/run/dnstap.sock' }],
    ['unix:///run/dnstap.sock', { kind: 'unix', path: '/run/dnstap.sock' }],
    ['tcp://127.0.0.1:6000', { kind: 'tcp', host: '127.0.0.1', port: 6000 }],
    ['tcp://collector.example.com:0', { kind: 'tcp', host: 'collector.example.com', port: 0 }],
    ['tls://[2001:db8::1]:6000', { kind: 'tls', host: '2001:db8::1', port: 6000 }],
    ['tcp://[::]:6000/', { kind: 'tcp', host: '::', port: 6000 }],
  ])('reads %s', (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
    expect(parseEndpoint(formatEndpoint(parseEndpoint(text)))).toEqual(endpoint);
  });

  it.each([
    '',
    '/',
    'unix://',
    'unix://run/x',
    'dnstap.sock',
    'listen',
    'tcp://127.0.0.1',
    'tcp://:6000',
    'tcp://127.0.0.1:65536',
    'tcp://127.0.0.1:-1',
    'tcp://127.0.0.1:6000/path',
    'tcp://2001:db8::1:6000',
    'tcp://[192.0.2.1]:6000',
    'tcp://user@host:6000',
    'http://127.0.0.1:80',
    `/${'x'.repeat(107)}`,
    '/run/\0',
  ])('refuses %j', (text) => {
    expect(codeOf(() => parseEndpoint(text))).toBe('DNSTAP_ERR_ENDPOINT');
  });

  it('takes a unix path of 107 bytes, the longest there is', () => {
    expect(parseEndpoint(`/${'x'.repeat(106)}`).kind).toBe('unix');
  });
});

describe('formatAddress', () => {
  it.each([
    ['c0000201', '192.0.2.1'],
    ['00000000000000000000ffff7f000001', '127.0.0.1'],
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['20010000000000010000000000000001', '2001:0:0:1::1'],
    ['0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
    ['00000000000000000000fffec0000201', '::fffe:c000:201'],
    ['20010db8aaaabbbbccccddddeeee0000', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:0'],
    ['', ''],
    ['c00002', ''],
    ['c000020101', ''],
  ])('shows %s as %j, by its length', (hex, text) => {
    expect(formatAddress(bytes(hex))).toBe(text);
  });

  it('writes IPv6 as the URL parser of Node does (RFC 5952)', () => {
    const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const text = formatAddress(bytes(groups.map((value) => value.toString(16).padStart(4, '0')).join('')));
        if (isIP(text) === 4) return;
        const canonical = new URL(`http://[${groups.map((value) => value.toString(16)).join(':')}]/`).hostname;
        expect(`[${text}]`).toBe(canonical);
      }),
    );
  });

  it('reads only the range it is given', () => {
    expect(formatAddress(bytes('ffc0000201ff'), 1, 4)).toBe('192.0.2.1');
    expect(formatAddress(bytes('c0000201'), 2, 4)).toBe('');
  });
});

describe('parseAddressRanges', () => {
  const isAllowed = parseAddressRanges(['192.0.2.0/24', '2001:db8::/32', '198.51.100.7']);

  it.each(['192.0.2.1', '192.0.2.255', '::ffff:192.0.2.9', '2001:db8::1', '198.51.100.7'])('contains %s', (address) => {
    expect(isAllowed(address)).toBe(true);
  });

  it.each(['192.0.3.1', '198.51.100.8', '2001:db9::1', '', 'x', '::ffff:192.0.3.1'])(
    'does not contain %j',
    (address) => {
      expect(isAllowed(address)).toBe(false);
    },
  );

  it.each(['192.0.2.0/33', '192.0.2.0/', '192.0.2.0/-1', '192.0.2.0/8/8', 'example.com', '2001:db8::/129', ''])(
    'refuses the range %j',
    (range) => {
      expect(codeOf(() => parseAddressRanges([range]))).toBe('DNSTAP_ERR_OPTION');
    },
  );
});
