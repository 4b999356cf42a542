import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { decode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { formatAddress, readMessage } from '../../src/dns/message-reader.js';
import { encodeMessage } from '../../src/dns/message-writer.js';
import { INTERNET_NAMES, INTERNET_RECORDS, startSmallInternet, type SmallInternet } from '../support/small-internet.js';

const TYPES = [1, 2, 5, 6, 12, 15, 16, 28, 33, 65, 255];
let internet: SmallInternet;
const answers: Buffer[] = [];

beforeAll(async () => {
  internet = await startSmallInternet();
  const names = [
    ...new Set([...INTERNET_RECORDS.map(({ name }) => name.replace('*', 'any')), ...INTERNET_NAMES.nxdomain]),
  ];
  const socket = createSocket('udp4');
  for (const name of names) {
    for (const type of TYPES) {
      socket.send(
        encodeMessage({ id: 1, flags: 0x0100, questions: [{ name, type, class: 1 }] }),
        internet.port,
        internet.host,
      );
      const [message] = (await once(socket, 'message')) as [Buffer]; // dgram's first argument
      answers.push(message);
    }
  }
  socket.close();
});

function canonicalAddress(text: string): string | undefined {
  if (!text.includes(':')) return text;
  const groups = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [head = '', tail = ''] = groups.split('::');
  const [first, last] = [head.split(':').filter(Boolean), tail.split(':').filter(Boolean)];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  const bytes = Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
  return formatAddress(bytes, 0, bytes.length);
}

function addressesOf({ answers: records = [] }: Packet): (string | undefined)[] {
  return records.flatMap((record) =>
    record.type === 'A' || record.type === 'AAAA' ? [canonicalAddress(record.data)] : [],
  );
}

it('reads the answers of a real CoreDNS as dns-packet does', () => {
  expect(answers.length).toBeGreaterThan(200);
  for (const message of answers) {
    const ours = readMessage(message, 0, message.length);
    const theirs = decode(message);
    if ('fault' in ours) throw new Error(ours.fault);
    expect(ours.questions[0]?.name).toBe(theirs.questions?.[0]?.name);
    expect(ours.answers.map(({ name }) => name)).toEqual(theirs.answers?.map(({ name }) => name));
    expect(ours.answers.flatMap(({ address }) => address ?? [])).toEqual(addressesOf(theirs));
    expect(ours.isTruncated).toBe(theirs.flag_tc);
  }
});

it('stays within its bounds whatever happens to those answers on the way', () => {
  const mutation = fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.nat(answers.length - 1), mutation, fc.nat(600), (which, changes, cut) => {
      const original = answers[which] ?? Buffer.alloc(0);
      const message = Buffer.from(original.subarray(0, Math.max(1, original.length - (cut % 40))));
      for (const [at, value] of changes) message[at % message.length] = value;
      const result = readMessage(message, 0, message.length);
      if ('fault' in result) return;
      expect(result.answers.length).toBeLessThanOrEqual(message.length / 11); // no record is shorter
    }),
    { numRuns: 20_000 },
  );
});
