import fc from 'fast-check';

import {
  decodeDnstap,
  type Dnstap,
  DnstapDecodeError,
  DnstapView,
  encodeDnstap,
  formatAddress,
  type Message,
} from '../src/index.js';
import { dnstapArbitrary } from './support/arbitraries.js';
import { CLIENT_QUERY, CLIENT_RESPONSE, FORWARDER_RESPONSE } from './support/frames.js';

const view = new DnstapView();

function scan(bytes: Uint8Array, onto: DnstapView = view): boolean {
  // Surrounded by bytes that are not the frame's: reading outside the range would find them.
  const buffer = Buffer.concat([Buffer.alloc(7, 0xff), bytes, Buffer.alloc(7, 0xff)]);
  return onto.scan(buffer, 7, 7 + bytes.length);
}

function slice(start: number, length: number): string {
  return Buffer.from(view.buffer.subarray(start, start + length)).toString('hex');
}

function hex(bytes: Uint8Array | null | undefined): string {
  return bytes ? Buffer.from(bytes).toString('hex') : '';
}

/** Enumerations and ports are unsigned in the view; absent is 0. */
function unsigned(value: number | null | undefined): number {
  return (value ?? 0) >>> 0;
}

function time(seconds: bigint | null | undefined, nanoseconds: number | null | undefined): readonly number[] {
  return [rounded(Number(seconds ?? -1n)), nanoseconds ?? -1];
}

/** Seconds over 2^53 differ in their last digits, so only that they are over counts. */
function rounded(seconds: number): number {
  return Number.isSafeInteger(seconds) ? seconds : Infinity;
}

/** What the view shows, in the shape of what the codec shows. */
function viewed(): object {
  return {
    identity: slice(view.identityStart, view.identityLength),
    version: slice(view.versionStart, view.versionLength),
    extra: slice(view.extraStart, view.extraLength),
    type: view.type,
    family: view.socketFamily,
    protocol: view.socketProtocol,
    queryAddress: slice(view.queryAddressStart, view.queryAddressLength),
    responseAddress: slice(view.responseAddressStart, view.responseAddressLength),
    queryPort: view.queryPort,
    responsePort: view.responsePort,
    queryTime: [rounded(view.queryTimeSec), view.queryTimeNsec],
    responseTime: [rounded(view.responseTimeSec), view.responseTimeNsec],
    queryMessage: slice(view.queryMessageStart, view.queryMessageLength),
    responseMessage: slice(view.responseMessageStart, view.responseMessageLength),
    queryZone: slice(view.queryZoneStart, view.queryZoneLength),
  };
}

function decoded(frame: Dnstap): object {
  const message: Partial<Message> = frame.message ?? {};
  return {
    identity: hex(frame.identity),
    version: hex(frame.version),
    extra: hex(frame.extra),
    type: unsigned(message.type),
    family: unsigned(message.socketFamily),
    protocol: unsigned(message.socketProtocol),
    queryAddress: hex(message.queryAddress),
    responseAddress: hex(message.responseAddress),
    queryPort: unsigned(message.queryPort),
    responsePort: unsigned(message.responsePort),
    queryTime: time(message.queryTimeSec, message.queryTimeNsec),
    responseTime: time(message.responseTimeSec, message.responseTimeNsec),
    queryMessage: hex(message.queryMessage),
    responseMessage: hex(message.responseMessage),
    queryZone: hex(message.queryZone),
  };
}

function decodeOrCode(bytes: Uint8Array): Dnstap | string {
  try {
    return decodeDnstap(bytes);
  } catch (error) {
    if (error instanceof DnstapDecodeError) return error.code;
    throw error;
  }
}

describe('DnstapView', () => {
  it('shows a CLIENT_RESPONSE of CoreDNS 1.10, whose IPv4 address has 16 octets', () => {
    expect(scan(CLIENT_RESPONSE)).toBe(true);
    expect(view.type).toBe(6);
    expect(view.socketFamily).toBe(1);
    expect(formatAddress(view.buffer, view.queryAddressStart, view.queryAddressLength)).toBe('127.0.0.1');
    expect(view.queryPort).toBe(51068);
    expect([view.queryTimeSec, view.queryTimeNsec]).toEqual([1795416141, 581013902]);
    expect([view.responseTimeSec, view.responseTimeNsec]).toEqual([1795416141, 581291970]);
    expect(slice(view.responseMessageStart, 4)).toBe('12348500');
    expect(view.queryMessageLength).toBe(0);
    expect(slice(view.identityStart, view.identityLength)).toBe('6e31');
  });

  it('shows a FORWARDER_RESPONSE of CoreDNS 1.14.2, whose addresses have 16 and 4 octets', () => {
    expect(scan(FORWARDER_RESPONSE)).toBe(true);
    expect([view.type, view.socketFamily]).toEqual([8, 1]);
    expect([view.queryAddressLength, view.responseAddressLength]).toEqual([16, 4]);
    const at = (start: number, length: number) => formatAddress(view.buffer.subarray(start, start + length));
    expect(at(view.queryAddressStart, view.queryAddressLength)).toBe('127.0.0.1');
    expect(at(view.responseAddressStart, view.responseAddressLength)).toBe('127.0.0.1');
    expect([view.queryPort, view.responsePort]).toEqual([37733, 22147]);
  });

  it('forgets the previous frame', () => {
    scan(CLIENT_RESPONSE);
    expect(scan(Buffer.from('7801', 'hex'))).toBe(true);
    expect(viewed()).toEqual(decoded({ type: 1 }));
  });

  it('agrees with the codec about every field of any message', () => {
    fc.assert(
      fc.property(dnstapArbitrary, (frame) => {
        const bytes = encodeDnstap(frame);
        expect(scan(bytes)).toBe(true);
        expect(viewed()).toEqual(decoded(decodeDnstap(bytes)));
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with the codec about which mutations are frames, and what they say', () => {
    const policy = fc.sample(dnstapArbitrary, { numRuns: 40, seed: 5 }).map((frame) => encodeDnstap(frame));
    const seeds = [CLIENT_QUERY, CLIENT_RESPONSE, ...policy];
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.option(fc.nat(), { nil: undefined }),
        (seed, edits, cut) => {
          const whole = Uint8Array.from(seed);
          for (const [position, byte] of edits) whole[position % whole.length] = byte;
          const bytes = whole.subarray(0, cut === undefined ? whole.length : cut % (whole.length + 1));
          const outcome = decodeOrCode(bytes);
          if (typeof outcome === 'object') {
            expect(scan(bytes)).toBe(true);
            expect(viewed()).toEqual(decoded(outcome));
          } else if (scan(bytes)) {
            expect(outcome).toBe('DNSTAP_ERR_DECODE'); // the view does not look into a policy
          }
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it('stops at the type with `only`, and still shows the type', () => {
    const only = new DnstapView({ only: 6 });
    expect(scan(CLIENT_QUERY, only)).toBe(true);
    expect(only.type).toBe(5);
    expect(only.queryPort).toBe(0);
    expect(scan(CLIENT_RESPONSE, only)).toBe(true);
    expect(only.queryPort).toBe(51068);
  });

  it('keeps the low 32 bits of a longer varint in a 32-bit field, as protobuf does', () => {
    // query_port = 2^35 + 7, message type 6
    const bytes = Buffer.from('720a0806308780808080017801', 'hex');
    bytes[1] = 9;
    const fixed = Buffer.concat([
      Buffer.from('72', 'hex'),
      Buffer.from([9]),
      bytes.subarray(2, 11),
      Buffer.from('7801', 'hex'),
    ]);
    expect(scan(fixed)).toBe(true);
    expect(view.queryPort).toBe(decodeDnstap(fixed).message?.queryPort);
  });

  it.each([
    ['an empty frame', '', 'DNSTAP_ERR_FIELD_MISSING'],
    ['no Dnstap.type', '72020806', 'DNSTAP_ERR_FIELD_MISSING'],
    ['a message without type', '72007801', 'DNSTAP_ERR_FIELD_MISSING'],
    ['a message length beyond the frame', '72ff01', 'DNSTAP_ERR_TRUNCATED'],
    ['a length cut off', '72', 'DNSTAP_ERR_TRUNCATED'],
    ['a length of 0xffffffff', '0affffffff0f7801', 'DNSTAP_ERR_VARINT'],
    ['a length of six bytes', '0a8080808080017801', 'DNSTAP_ERR_VARINT'],
    ['a field number of zero', '000178017801', 'DNSTAP_ERR_VARINT'],
    ['a fixed32 cut off', '720308064d7801', 'DNSTAP_ERR_TRUNCATED'],
    ['a varint of eleven bytes', '78808080808080808080808001', 'DNSTAP_ERR_VARINT'],
    ['wire type 6', '0e017801', 'DNSTAP_ERR_WIRE_TYPE'],
    ['a group end without start', '0c7801', 'DNSTAP_ERR_WIRE_TYPE'],
    ['a group with the wrong end', '43087b4c7801', 'DNSTAP_ERR_WIRE_TYPE'],
    ['a group that does not end', '43087b', 'DNSTAP_ERR_TRUNCATED'],
    ['groups nested 200 deep', '43'.repeat(200) + '44'.repeat(200) + '7801', 'DNSTAP_ERR_WIRE_TYPE'],
  ])('refuses %s', (_name, bytes, code) => {
    expect(scan(Buffer.from(bytes, 'hex'))).toBe(false);
    expect(view.error).toBe(code);
    expect(decodeOrCode(Buffer.from(bytes, 'hex'))).toBe(code);
  });

  it.each([
    ['an unknown varint', '2001'],
    ['an unknown 64-bit value', '210102030405060708'],
    ['unknown bytes', '22026869'],
    ['an unknown 32-bit value', '2501020304'],
    ['a group with a group inside', '2320012b08012c24'],
    ['a field with a two-byte tag', '82010161'],
    ['a known field of another wire type', '0d01020304'],
  ])('skips %s in the envelope and in the message', (_name, field) => {
    const inner = Buffer.from(`0806${field}3007`, 'hex');
    const frame = Buffer.concat([
      Buffer.from(`${field}72`, 'hex'),
      Buffer.from([inner.length]),
      inner,
      Buffer.from(`${field}7801`, 'hex'),
    ]);
    expect(scan(frame)).toBe(true);
    expect([view.type, view.queryPort]).toEqual([6, 7]);
    expect(viewed()).toEqual(decoded(decodeDnstap(frame)));
  });

  it('knows its fields also by a tag that is written longer than need be', () => {
    const bytes = Buffer.from('f28000 07 880006 b0800035 f80001'.replaceAll(' ', ''), 'hex');
    expect(scan(bytes)).toBe(true);
    expect([view.type, view.queryPort]).toEqual([6, 0x35]);
    expect(viewed()).toEqual(decoded(decodeDnstap(bytes)));
  });

  it('refuses a range outside the buffer', () => {
    expect(view.scan(CLIENT_QUERY, 0, CLIENT_QUERY.length + 1)).toBe(false);
    expect(view.scan(CLIENT_QUERY, -1, CLIENT_QUERY.length)).toBe(false);
    expect(view.error).toBe('DNSTAP_ERR_TRUNCATED');
  });
});
