/** Two frames of a CoreDNS 1.10.0 session: an A query for x.t.test from 127.0.0.1, answered with 10.0.0.1. */
export const CLIENT_QUERY: Buffer = Buffer.from(
  '0a026e31120276317243080510011801221000000000000000000000ffff7f00000130fc8e0340cdc08fd8064d8e91a122' +
    '521a12340100000100000000000001780174047465737400000100017801',
  'hex',
);

export const CLIENT_RESPONSE: Buffer = Buffer.from(
  '0a026e31120276317266080610011801221000000000000000000000ffff7f00000130fc8e0340cdc08fd8064d8e91a122' +
    '60cdc08fd8066dc2cfa5227232123485000001000100000000017801740474657374000001000101780174047465737400000100010000' +
    '000500040a0000017801',
  'hex',
);

/** A frame of a CoreDNS 1.14.2 session: what 127.0.0.1 answered when an A query for www.example.com was forwarded to it. */
export const FORWARDER_RESPONSE: Buffer = Buffer.from(
  '0a02766d120e436f7265444e532d312e31342e32727e080810011801221000000000000000000000ffff7f0000012a047f00000130e5a602' +
    '3883ad0140bdf698d8064d1253bb3760bdf698d8066d28b5c237724000018500000100010000000003777777076578616d706c6503636f6d' +
    '000001000103777777076578616d706c6503636f6d00000100010000003c0004c00002017801',
  'hex',
);

const CONTENT_TYPE: string = '0000000100000016' + Buffer.from('protobuf:dnstap.Dnstap').toString('hex');

/** Control frames as CoreDNS sends and receives them, in hex. */
export const READY: string = `000000000000002200000004${CONTENT_TYPE}`;
export const START: string = `000000000000002200000002${CONTENT_TYPE}`;
export const ACCEPT: string = `000000000000002200000001${CONTENT_TYPE}`;
export const STOP = '000000000000000400000003';
export const FINISH = '000000000000000400000005';

/** Hex (blanks ignored) as bytes. */
export function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

/** A data frame in hex. */
export function dataFrame(payload: Uint8Array): string {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return length.toString('hex') + Buffer.from(payload).toString('hex');
}
