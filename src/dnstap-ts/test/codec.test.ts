import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';

import fc from 'fast-check';

import {
  decodeDnstap,
  type Dnstap,
  DnstapType,
  encodeDnstap,
  HttpProtocol,
  kindName,
  MessageType,
  PolicyAction,
  PolicyMatch,
  SocketFamily,
  SocketProtocol,
  unixNanoseconds,
} from '../src/index.js';
import { codeOf } from './support/code-of.js';
import { dnstapArbitrary } from './support/arbitraries.js';
import { bytes, CLIENT_RESPONSE } from './support/frames.js';

const GENERATED = fileURLToPath(new URL('../generated', import.meta.url));
const GENERATE = fileURLToPath(new URL('../scripts/generate.mjs', import.meta.url));
const PROTO = fileURLToPath(new URL('../../../proto/dnstap.proto', import.meta.url));

/** Absent fields away, Buffers to hex: what two messages have to agree on. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== null && field !== undefined);
  return Object.fromEntries(entries.map(([name, field]) => [name, plain(field)]));
}

describe('decodeDnstap and encodeDnstap', () => {
  it("are each other's inverse for every field and any value", () => {
    fc.assert(
      fc.property(dnstapArbitrary, (frame) => {
        const encoded = encodeDnstap(frame);
        expect(plain(decodeDnstap(encoded))).toEqual(plain(frame));
        expect(Buffer.from(encodeDnstap(decodeDnstap(encoded))).equals(encoded)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('keep fields that the schema does not know, in all three messages', () => {
    const unknown = '9a06036e6577'; // field 99, bytes "new"
    const policy = `0a0352505a${unknown}`;
    const message = `08067a${(policy.length / 2).toString(16).padStart(2, '0')}${policy}${unknown}`;
    const frame = bytes(`72${(message.length / 2).toString(16).padStart(2, '0')}${message}7801${unknown}`);
    const decoded = decodeDnstap(frame);
    expect(decoded.$unknowns?.map((field) => Buffer.from(field).toString('hex'))).toEqual([unknown]);
    expect(decoded.message?.$unknowns).toHaveLength(1);
    expect(decoded.message?.policy?.$unknowns).toHaveLength(1);
    expect(Buffer.from(encodeDnstap(decoded)).toString('hex')).toBe(frame.toString('hex'));
  });

  it('keep values of enumerations that the schema does not know, the required type included', () => {
    const frame: Dnstap = {
      type: 7,
      message: { type: 99, socketFamily: 3, socketProtocol: 42, httpProtocol: 4, policy: { action: 9, match: 8 } },
    };
    expect(plain(decodeDnstap(encodeDnstap(frame)))).toEqual(frame);
  });

  it('lose no nanosecond and no second up to 2^64', () => {
    const message = { type: 6, queryTimeSec: 0xffff_ffff_ffff_ffffn, queryTimeNsec: 999_999_999 };
    const decoded = decodeDnstap(encodeDnstap({ type: 1, message }));
    expect(decoded.message?.queryTimeSec).toBe(0xffff_ffff_ffff_ffffn);
    expect(unixNanoseconds(1_795_416_141n, 581_013_902)).toBe(1_795_416_141_581_013_902n);
    expect(unixNanoseconds(null, 5)).toBeUndefined();
    expect(unixNanoseconds(3n, undefined)).toBe(3_000_000_000n);
  });

  it.each([
    0n,
    1n,
    127n,
    128n,
    0xfffffffn,
    0x10000000n,
    1_795_416_141n,
    2n ** 35n - 1n,
    2n ** 35n,
    2n ** 53n,
    2n ** 63n,
  ])('keep %d seconds', (seconds) => {
    const decoded = decodeDnstap(encodeDnstap({ type: 1, message: { type: 6, responseTimeSec: seconds } }));
    expect(decoded.message?.responseTimeSec).toBe(seconds);
  });

  it('tell an empty field from an absent one', () => {
    const decoded = decodeDnstap(encodeDnstap({ type: 1, identity: new Uint8Array(0) }));
    expect(decoded.identity).toHaveLength(0);
    expect(decoded.version).toBeNull();
  });

  it('read the frame of CoreDNS from any kind of bytes, without copying them', () => {
    const shifted = new Uint8Array(CLIENT_RESPONSE.length + 3).fill(0xff);
    shifted.set(CLIENT_RESPONSE, 3);
    const decoded = decodeDnstap(shifted.subarray(3));
    expect(plain(decoded)).toEqual(plain(decodeDnstap(CLIENT_RESPONSE)));
    shifted[5] = 0x61;
    expect(Buffer.from(decoded.identity ?? []).toString()).toBe('a1');
  });

  it('take the last of a field that occurs twice, and merge a message that does', () => {
    const decoded = decodeDnstap(bytes('0a01610a0162720208067204303538077801'));
    expect(Buffer.from(decoded.identity ?? []).toString()).toBe('b');
    expect(plain(decoded.message)).toEqual({ type: 6, queryPort: 53, responsePort: 7 });
  });

  it('decode on after a frame that failed', () => {
    expect(codeOf(() => decodeDnstap(bytes('72ff01')))).toBe('DNSTAP_ERR_TRUNCATED');
    expect(decodeDnstap(CLIENT_RESPONSE).message?.type).toBe(MessageType.CLIENT_RESPONSE);
  });

  it.each([
    ['a required type is missing', { message: null } as unknown as Dnstap],
    ['the type of the message is missing', { type: 1, message: {} } as unknown as Dnstap],
    ['seconds are negative', { type: 1, message: { type: 6, queryTimeSec: -1n } }],
    ['seconds have more than 64 bits', { type: 1, message: { type: 6, queryTimeSec: 2n ** 64n } }],
    ['seconds are no bigint', { type: 1, message: { type: 6, queryTimeSec: 5 } } as unknown as Dnstap],
  ])('refuse to encode when %s', (_name, frame) => {
    expect(codeOf(() => encodeDnstap(frame))).toBe('DNSTAP_ERR_ENCODE');
  });
});

it('names enumeration values as the schema does', () => {
  const schema = readFileSync(PROTO, 'utf8');
  const kinds = { MessageType, DnstapType, SocketFamily, SocketProtocol, HttpProtocol, PolicyAction, PolicyMatch };
  const ours = Object.values(kinds).flatMap((kind) =>
    Object.entries(kind).map(([name, value]) => `${name} = ${value};`),
  );
  const theirs = [...schema.matchAll(/enum \w+ \{([^}]*)\}/g)].flatMap(
    ([, body = '']) => body.match(/\w+ = \d+;/g) ?? [],
  );
  expect(ours.toSorted()).toEqual(theirs.toSorted());
  expect(kindName(MessageType, 6)).toBe('CLIENT_RESPONSE');
  expect(kindName(MessageType, 60)).toBe('60');
});

it('has generated code that is what the schema generates', () => {
  const directory = mkdtempSync(join(tmpdir(), 'dnstap-ts-generated-'));
  try {
    execFileSync(process.execPath, [GENERATE, directory]);
    for (const file of ['dnstap.js', 'dnstap.d.ts']) {
      expect(readFileSync(join(directory, file), 'utf8')).toBe(readFileSync(join(GENERATED, file), 'utf8'));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
