import { readServiceBinding } from '../../src/dns/service-binding.js';

const read = (hex: string) => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return readServiceBinding(bytes, { priority: 1, start: 0, end: bytes.length });
};

describe('readServiceBinding', () => {
  it.each([
    ['no parameters', '', { priority: 1 }],
    ['a port behind an alpn', '0001 0003 02 6832  0003 0002 20fb', { priority: 1, port: 8443 }],
    ['other parameters only', '0001 0003 02 6832', { priority: 1 }],
    ['a key without a length', '0003', undefined],
    ['a value that is cut', '0003 0002 20', undefined],
    ['a port of one octet', '0003 0001 20', undefined],
    ['a length beyond the record', '0001 ffff 02', undefined],
  ])('%s', (_, hex, binding) => {
    expect(read(hex)).toEqual(binding);
  });
});
