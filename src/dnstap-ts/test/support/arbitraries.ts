import fc from 'fast-check';

import type { Dnstap, Message, Policy } from '../../src/index.js';

function bytesOrNull(maxLength: number): fc.Arbitrary<Uint8Array | null> {
  return fc.option(fc.uint8Array({ maxLength }));
}

const uint32 = fc.option(fc.oneof(fc.nat(65_535), fc.integer({ min: 0, max: 0xffffffff })));
const kind = fc.option(fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: -0x80000000, max: 0x7fffffff })));
const requiredKind = fc.oneof(fc.integer({ min: 1, max: 14 }), fc.integer({ min: 0, max: 0x7fffffff }));
const seconds = fc.option(
  fc.oneof(fc.bigInt({ min: 0n, max: 4_000_000_000n }), fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })),
);
const address = fc.option(
  fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.uint8Array({ maxLength: 20 }),
  ),
);

const policyArbitrary: fc.Arbitrary<Policy> = fc.record({
  type: fc.option(fc.string({ unit: 'binary' })),
  rule: bytesOrNull(40),
  action: kind,
  match: kind,
  value: bytesOrNull(40),
});

const messageArbitrary: fc.Arbitrary<Message> = fc.record({
  type: requiredKind,
  socketFamily: kind,
  socketProtocol: kind,
  queryAddress: address,
  responseAddress: address,
  queryPort: uint32,
  responsePort: uint32,
  queryTimeSec: seconds,
  queryTimeNsec: uint32,
  queryMessage: bytesOrNull(300),
  queryZone: bytesOrNull(255),
  responseTimeSec: seconds,
  responseTimeNsec: uint32,
  responseMessage: bytesOrNull(600),
  policy: fc.option(policyArbitrary),
  httpProtocol: kind,
});

/** Any dnstap message, with values that no producer of today would write. */
export const dnstapArbitrary: fc.Arbitrary<Dnstap> = fc.record({
  type: requiredKind,
  identity: bytesOrNull(64),
  version: bytesOrNull(64),
  extra: bytesOrNull(64),
  message: fc.option(messageArbitrary),
});
