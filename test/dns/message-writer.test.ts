import { decode } from 'dns-packet';
import fc from 'fast-check';
import { readMessage } from '../../src/dns/message-reader.js';
import { encodeMessage, type WritableRecord } from '../../src/dns/message-writer.js';

const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
const ttlSeconds = fc.nat(86_400);
const record: fc.Arbitrary<WritableRecord> = fc.oneof(
  fc.record({ name, type: fc.constant(1), class: fc.constant(1), ttlSeconds, address: fc.ipV4() }),
  fc.record({ name, type: fc.constant(28), class: fc.constant(1), ttlSeconds, address: fc.ipV6() }),
  fc.record({ name, type: fc.constant(5), class: fc.constant(1), ttlSeconds, target: name }),
);

const readBack = (message: Buffer) => {
  const result = readMessage(message, 0, message.length);
  if ('fault' in result) throw new Error(result.fault);
  return result;
};

describe('encodeMessage', () => {
  it('writes what the reader and dns-packet read, compressed', () => {
    fc.assert(
      fc.property(name, fc.array(record, { maxLength: 8 }), (asked, answers) => {
        const question = { name: asked, type: 1, class: 1 };
        const message = encodeMessage({ id: 7, flags: 0x8180, questions: [question], answers });
        const ours = readBack(message);
        expect(ours.questions).toEqual([question]);
        expect(ours.answers.map((answer) => [answer.name, answer.type, answer.ttlSeconds, answer.target])).toEqual(
          answers.map((answer) => [answer.name, answer.type, answer.ttlSeconds, answer.target]),
        );
        const theirs = decode(message);
        expect(theirs.answers?.map((answer) => answer.name)).toEqual(answers.map((answer) => answer.name));
        expect(ours.answers.flatMap((answer) => (answer.type === 1 ? [answer.address] : []))).toEqual(
          theirs.answers?.flatMap((answer) => (answer.type === 'A' ? [answer.data] : [])),
        );
      }),
    );
  });

  it('points to a name that stands there already', () => {
    const answers = [{ name: 'www.example.com', type: 1, class: 1, ttlSeconds: 60, address: '192.0.2.1' }];
    const questions = [{ name: 'www.example.com', type: 1, class: 1 }];
    const message = encodeMessage({ id: 1, flags: 0x8180, questions, answers });
    expect(message.subarray(-16).toString('hex')).toBe('c00c000100010000003c0004c0000201');
  });

  it('keeps escaped characters', () => {
    const questions = [{ name: 'a\\.b\\032c.\\255\\\\', type: 1, class: 1 }];
    expect(readBack(encodeMessage({ id: 1, flags: 0, questions })).questions).toEqual(questions);
  });

  it.each([
    ['an empty label', 'a..b'],
    ['a label of 64 octets', `${'a'.repeat(64)}.example`],
    ['a name of more than 255 octets', Array.from({ length: 5 }, () => 'a'.repeat(60)).join('.')],
  ])('refuses %s', (_, bad) => {
    const write = (): Buffer => encodeMessage({ id: 1, flags: 0, questions: [{ name: bad, type: 1, class: 1 }] });
    expect(write).toThrow(expect.objectContaining({ code: 'DNS_ERR_NAME' }));
  });

  it.each([
    [1, '2001:db8::1'],
    [28, '192.0.2.1'],
    [1, '192.0.2.256'],
  ])('refuses for type %i the address %s', (type, address) => {
    const answers = [{ name: 'a.example', type, class: 1, ttlSeconds: 0, address }];
    const write = (): Buffer => encodeMessage({ id: 1, flags: 0, questions: [], answers });
    expect(write).toThrow(expect.objectContaining({ code: 'DNS_ERR_ADDRESS' }));
  });
});
