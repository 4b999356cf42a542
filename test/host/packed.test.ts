import fc from 'fast-check';
import { packAddress, unpackAddresses } from '../../src/host/packed-address.js';
import { packCount, unpackCounts } from '../../src/host/packed-counts.js';

const octet = fc.integer({ min: 0, max: 255 });
const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));

describe('packed addresses', () => {
  it('are what they were, several in one text, whatever stands before them', () => {
    const address = fc.oneof(ipv4, fc.ipV6(), fc.constantFrom('2001:db8::', '::', '::1', '2001:db8::1:0:0:1', '1:2:3:4:5:6:7:8', '::ffff:192.0.2.1', '192.0.2.01', '1.2.3', 'fe80::1%eth0', '2001:db8:0:0:0:0:0:1')); // prettier-ignore
    fc.assert(
      fc.property(fc.array(address), (addresses) => {
        expect(unpackAddresses(`hjb80${addresses.map(packAddress).join('')}`)).toEqual(addresses);
      }),
    );
  });

  it('are short, and in the order of their numbers, IPv4 first', () => {
    const addresses = ['0.0.0.0', '9.255.255.255', '10.0.0.0', '192.0.2.9', '192.0.2.10', '255.255.255.255', '::', '2001:db8::9', '2001:db8::10', 'ffff::']; // prettier-ignore
    const packed = addresses.map(packAddress);
    expect(packed.toSorted()).toEqual(packed);
    expect(packed.map(({ length }) => length)).toEqual([6, 6, 6, 6, 6, 6, 22, 22, 22, 22]);
  });
});

describe('packed counts', () => {
  it('are what they were, and so is what stands before each', () => {
    const count = fc.tuple(fc.nat(500), fc.oneof(fc.nat(40), fc.nat(2 ** 31 - 1), fc.constant(2 ** 40)));
    fc.assert(
      fc.property(fc.array(count), (counts) => {
        const text = counts.map(([digits, one]) => (digits === 0 ? '' : String(digits)) + packCount(one)).join('');
        expect(unpackCounts(text)).toEqual(counts);
      }),
    );
  });

  it('of a day are one character up to 31 and two up to 1023', () => {
    expect([0, 31, 32, 1023, 1024].map((count) => packCount(count).length)).toEqual([1, 1, 2, 2, 3]);
  });
});
