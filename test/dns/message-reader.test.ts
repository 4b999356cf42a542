import { decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { formatAddress, readMessage, type DnsMessage } from '../../src/dns/message-reader.js';

const HEADER = '1234 8180 0001 0001 0000 0000';
const bytes = (...hex: readonly string[]): Buffer => Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');

function read(message: Buffer): DnsMessage {
  const result = readMessage(message, 0, message.length);
  if ('fault' in result) throw new Error(result.fault);
  return result;
}

const name = fc
  .array(fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/), { minLength: 1, maxLength: 5 })
  .map((labels) => labels.join('.'));
const answer = fc.oneof(
  fc.record({ type: fc.constant('A' as const), name, ttl: fc.nat(86_400), data: fc.ipV4() }),
  fc.record({ type: fc.constant('CNAME' as const), name, ttl: fc.nat(86_400), data: name }),
  fc.record({
    type: fc.constant('MX' as const),
    name,
    ttl: fc.nat(86_400),
    data: name.map((exchange) => ({ preference: 1, exchange })),
  }),
);

function decodeOrUndefined(message: Buffer): Packet | undefined {
  try {
    return decode(message);
  } catch {
    return undefined; // it reads sections that we pass over, and goes by the data where we go by RDLENGTH
  }
}

describe('readMessage', () => {
  it('reads what dns-packet writes', () => {
    fc.assert(
      fc.property(
        name,
        fc.array(answer, { maxLength: 6 }),
        fc.integer({ min: 0, max: 5 }),
        (question, answers, rcode) => {
          const packet: Packet = {
            type: 'response',
            id: 7,
            flags: 0x0100 | rcode,
            questions: [{ type: 'A', name: question, class: 'IN' }],
            answers: answers.map((record) => ({ ...record, class: 'IN' })),
          };
          const message = read(encode(packet));
          expect(message).toMatchObject({ id: 7, isResponse: true, opcode: 0, rcode, isTruncated: false });
          expect(message.questions).toEqual([{ name: question, type: 1, class: 1 }]);
          expect(message.answers.map(({ address, target }) => address ?? target)).toEqual(
            answers.map(({ type, data }) => (type === 'MX' ? undefined : data)),
          );
        },
      ),
    );
  });

  it('never throws and never reads beyond its range, whatever it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(50), (noise, offset) => {
        const message = readMessage(noise, Math.min(offset, noise.length), noise.length);
        expect(typeof message).toBe('object');
      }),
      { numRuns: 2000 },
    );
  });

  it('agrees with dns-packet on messages that both take, after any one octet is changed', () => {
    const packet = encode({
      type: 'response',
      questions: [{ type: 'A', name: 'www.example.com', class: 'IN' }],
      answers: [{ type: 'A', name: 'www.example.com', ttl: 60, data: '192.0.2.1', class: 'IN' }],
    });
    fc.assert(
      fc.property(fc.nat(packet.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(packet);
        changed[at] = value;
        const ours = readMessage(changed, 0, changed.length);
        if ('fault' in ours || ours.cut !== undefined) return;
        const theirs = decodeOrUndefined(changed);
        if (theirs === undefined) return;
        expect(ours.questions.length).toBe(theirs.questions?.length);
        expect(ours.answers.length).toBe(theirs.answers?.length);
      }),
    );
  });

  it.each([
    ['no header', '1234 8180 00', 'short-header'],
    ['a pointer to itself', `${HEADER} c00c 0001 0001`, 'bad-pointer'],
    ['a pointer forward', `${HEADER} c0ff 0001 0001`, 'bad-pointer'],
    ['a pointer into the header', `${HEADER} c000 0001 0001`, 'bad-pointer'],
    ['an unknown label type', `${HEADER} 4161 00 0001 0001`, 'bad-label'],
    ['a label beyond the end', `${HEADER} 3f61`, 'short-record'],
    ['a name without an end', `${HEADER} 0161`, 'short-record'],
    ['a name of more than 255 octets', `${HEADER} ${`3f${'61'.repeat(63)}`.repeat(4)} 00 0001 0001`, 'name-too-long'],
    ['a question without its type', `${HEADER} 0161 00`, 'short-question'],
  ])('refuses %s', (_, hex, fault) => {
    const message = bytes(hex);
    expect(readMessage(message, 0, message.length)).toEqual({ fault });
  });

  it('keeps the records before the place where the message was cut', () => {
    const record = 'c00c 0001 0001 0000003c 0004 c0000201';
    const message = bytes('1234 8380 0001 0002 0000 0000 0161 00 0001 0001', record, 'c00c 0001 0001 0000');
    expect(read(message)).toMatchObject({
      cut: 'short-record',
      isTruncated: true,
      answers: [{ address: '192.0.2.1' }],
    });
  });

  it('goes by RDLENGTH: an A record of 16 octets has no address and does not derail the next', () => {
    const message = bytes(
      '1234 8180 0001 0002 0000 0000 0161 00 0001 0001',
      'c00c 0001 0001 0000003c 0010 00000000000000000000ffffc0000201',
      'c00c 0001 0001 0000003c 0004 c0000202',
    );
    expect(read(message).answers.map(({ address }) => address)).toEqual([undefined, '192.0.2.2']);
  });

  it('escapes what would be mistaken', () => {
    const message = bytes('1234 8180 0001 0000 0000 0000 05 612e622063 02 ff5c 00 0001 0001');
    expect(read(message).questions[0]?.name).toBe('a\\.b\\032c.\\255\\\\');
  });

  it('adds the upper bits of the response code from OPT', () => {
    const message = bytes('1234 8180 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 01000000 0000');
    expect(read(message).rcode).toBe(16); // BADVERS
  });
});

describe('formatAddress', () => {
  it.each([
    ['c0000201', '192.0.2.1'],
    ['00000000000000000000ffffc0000201', '192.0.2.1'],
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['fe800000000000000000000000000000', 'fe80::'],
  ])('%s is %s', (hex, text) => {
    const address = bytes(hex);
    expect(formatAddress(address, 0, address.length)).toBe(text);
  });

  it('is undefined for another length', () => {
    expect(formatAddress(Buffer.alloc(5), 0, 5)).toBeUndefined();
  });
});
