import fc from 'fast-check';
import { foldQuestion, HASH_WORD, hashPrefix, isWireName, QUESTION_WORDS } from '../../src/observation/wire-name.js';

const SEED = 7;

/** Wire form of labels, with the root label. */
const wireOf = (labels: readonly Buffer[]): Buffer =>
  Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.of(0)]);

function fold(wire: Buffer, before = 0, behind = 4): { readonly octets: number; readonly words: Int32Array } {
  const message = Buffer.concat([Buffer.alloc(before, 0xaa), wire, Buffer.alloc(behind, 0x01)]);
  const data = new DataView(message.buffer, message.byteOffset, message.length);
  const words = new Int32Array(QUESTION_WORDS);
  return { octets: foldQuestion(data, before, message.length, words, SEED), words };
}

const isName = (wire: Buffer): boolean =>
  isWireName(new DataView(wire.buffer, wire.byteOffset, wire.length), 0, wire.length);

const label = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 20 })
  .map((octets) => Buffer.from(octets));
const labels = fc.array(label, { minLength: 1, maxLength: 12 });

describe('foldQuestion', () => {
  it('has the same words and hash for every spelling and place of a name, and its length', () => {
    fc.assert(
      fc.property(labels, fc.nat(7), (name, before) => {
        const swap = (octet: number): number => (/[a-z]/i.test(String.fromCharCode(octet)) ? octet ^ 0x20 : octet);
        const respelt = name.map((octets) => Buffer.from(octets.map(swap)));
        const wire = wireOf(name);
        const plain = fold(wire);
        expect(plain.octets).toBe(wire.length - 1);
        expect(fold(wireOf(respelt), before)).toEqual(plain);
      }),
    );
  });

  it('tells names apart that differ in one octet, letters of two cases aside', () => {
    fc.assert(
      fc.property(labels, fc.nat(), (name, nth) => {
        const other = name.map((octets) => Buffer.from(octets));
        const changed = other[nth % other.length] as Buffer;
        const at = nth % changed.length;
        changed[at] = changed[at] === 0x2d ? 0x2e : 0x2d;
        expect(fold(wireOf(other)).words[HASH_WORD]).not.toBe(fold(wireOf(name)).words[HASH_WORD]);
      }),
    );
  });

  it('has the hash of a prefix that the shorter name has', () => {
    fc.assert(
      fc.property(labels, labels, (name, suffix) => {
        const { octets, words } = fold(wireOf(name));
        const whole = fold(wireOf([...name, ...suffix]));
        expect(hashPrefix(whole.words, octets, SEED)).toBe(words[HASH_WORD]);
      }),
    );
  });

  it('finds no name where the message ends before the root label', () => {
    const wire = wireOf([Buffer.from('example'), Buffer.from('com')]);
    expect(fold(wire.subarray(0, -1), 0, 0).octets).toBe(-1);
    expect(fold(Buffer.alloc(300, 0x3f)).octets).toBe(-1);
  });
});

describe('isWireName', () => {
  it('takes every name of whole labels up to 255 octets', () => {
    fc.assert(fc.property(labels, (name) => expect(isName(wireOf(name))).toBe(wireOf(name).length <= 255)));
    expect(isName(Buffer.of(0))).toBe(true);
  });

  it.each([
    ['a compression pointer', Buffer.from([1, 0x61, 0xc0, 0x0c, 0])],
    ['a label of 64 octets', Buffer.concat([Buffer.of(64), Buffer.alloc(64, 0x61), Buffer.of(0)])],
    ['a label with a zero octet, taken for the root label', Buffer.from([3, 0x61, 0])],
    ['octets behind the root label', Buffer.from([1, 0x61, 0, 0])],
    ['256 octets', wireOf(Array.from({ length: 51 }, () => Buffer.from('abcd'))).fill(0x61, 2, 3)],
    ['nothing', Buffer.alloc(0)],
  ])('refuses %s', (_, wire) => {
    expect(isName(wire)).toBe(false);
  });
});
