import { formatAddress, type Message, SocketProtocol } from 'dnstap-ts';
import { readMessage } from '../../src/dns/message-reader.js';
import { LIVE_RECORDINGS, readFrames, readTruth } from './recordings.js';

/** A DNS message of a recording. */
interface Seen {
  readonly pod: string;
  readonly port: number;
  readonly isTcp: boolean;
  readonly id: number;
  readonly isResponse: boolean;
  readonly name: string;
  readonly type: number;
}

const NAMES = LIVE_RECORDINGS;
const recordings = new Map<string, readonly Seen[]>();

beforeAll(async () => {
  for (const name of NAMES) recordings.set(name, await read(name));
});

async function read(recording: string): Promise<readonly Seen[]> {
  const namespaces = new Map(readTruth(recording).pods.map(({ podIp, namespace }) => [podIp, namespace]));
  const frames = await readFrames(recording);
  return frames.flatMap(({ message }) => (message ? readSeen(message, namespaces) : []));
}

function readSeen(message: Message, namespaces: ReadonlyMap<string, string>): Seen {
  const bytes = message.responseMessage ?? message.queryMessage ?? new Uint8Array();
  const dns = readMessage(bytes, 0, bytes.length);
  if ('fault' in dns) throw new Error(`a recording has a message that cannot be read: ${dns.fault}`);
  const [question = { name: '', type: 0 }] = dns.questions;
  return {
    pod: namespaces.get(formatAddress(message.queryAddress ?? new Uint8Array())) ?? '',
    port: message.queryPort ?? 0,
    isTcp: message.socketProtocol === SocketProtocol.TCP,
    id: dns.id,
    isResponse: dns.isResponse,
    name: question.name,
    type: question.type,
  };
}

/** The names that the main pod asked for on its way to a name, each once, in order. */
function walkOf(recording: string, name: string): readonly string[] {
  const queries = seenIn(recording).filter(({ pod, isResponse }) => pod === 'shop' && !isResponse);
  return [...new Set(queries.map((query) => query.name))].filter((asked) => `${asked}.`.startsWith(`${name}.`));
}

function seenIn(recording: string): readonly Seen[] {
  return recordings.get(recording) ?? [];
}

function recordingsWhere(holds: (messages: readonly Seen[]) => boolean): readonly string[] {
  return NAMES.filter((name) => holds(seenIn(name)));
}

const WALK = ['.shop.svc.cluster.local', '.svc.cluster.local', '.cluster.local', '.nodes.example.org', ''];
const WALKERS = [
  'glibc',
  'musl',
  'musl-1.2.5',
  'go',
  'java',
  'node-lookup',
  'busybox-wget',
  'busybox-musl',
  'glibc-coredns-1.11',
];

it.each(WALKERS)('%s walks the search list, the plain name last', (recording) => {
  expect(walkOf(recording, 'v6.example.com')).toEqual(WALK.map((suffix) => `v6.example.com${suffix}`));
});

it.each(WALKERS)('%s asks for a name of five dots as it is first, and stops there if it exists', (recording) => {
  const name = 'a.very.deep.name.of.example.com';
  expect(walkOf(recording, name)).toEqual([name]);
});

it.each(['glibc-autopath', 'musl-autopath', 'go-autopath'])('%s asks for the first expansion only', (recording) => {
  expect(walkOf(recording, 'v6.example.com')).toEqual(['v6.example.com.shop.svc.cluster.local']);
});

it.each(['c-ares', 'busybox-nslookup'])('%s asks for the plain name only', (recording) => {
  expect(walkOf(recording, 'v6.example.com')).toEqual(['v6.example.com']);
});

it('busybox nslookup uses the search list for a name without a dot, c-ares never', () => {
  expect(walkOf('busybox-nslookup', 'redis').length).toBeGreaterThan(4);
  expect(walkOf('c-ares', 'redis')).toContain('redis');
  expect(walkOf('c-ares', 'redis').filter((name) => name.endsWith('cluster.local'))).toEqual([]);
});

it('a cut answer is asked for again by TCP, except by musl 1.2.3 and busybox nslookup, and Go has room for it by EDNS', () => {
  const byTcp = recordingsWhere((messages) => messages.some(({ isTcp }) => isTcp));
  const never = ['busybox-nslookup', 'go', 'go-autopath', 'musl', 'musl-autopath'];
  expect(byTcp.toSorted()).toEqual(NAMES.filter((name) => !never.includes(name)).toSorted());
});

it('Node asks in lower case, the others as they were told', () => {
  const inLowerCase = recordingsWhere((messages) => messages.every(({ name }) => name === name.toLowerCase()));
  expect(inLowerCase.toSorted()).toEqual(['c-ares', 'node-lookup']);
});

it('a query that is not answered in time is asked again, by glibc and musl with the same ID from the same port', () => {
  for (const recording of ['glibc', 'musl']) {
    const queries = seenIn(recording).filter(({ pod, isResponse }) => pod === 'bank' && !isResponse);
    const asked = queries.map(({ name, type, id, port }) => `${name} ${type} ${id} ${port}`);
    expect(asked.length).toBeGreaterThan(new Set(asked).size);
  }
});

it('CoreDNS shows its own look-up of an ExternalName target as one of the client, with the same port and ID', () => {
  const answered = seenIn('glibc').filter(({ pod, isResponse }) => pod === 'bank' && isResponse);
  const key = ({ type, id, port }: Seen) => `${type} ${id} ${port}`;
  const asked = answered.filter(({ name }) => name === 'payments.shop.svc.cluster.local').map(key);
  const own = answered.filter(({ name }) => name === 'end.example.org').map(key);
  expect(asked.length).toBeGreaterThan(0);
  expect(own.toSorted()).toEqual(asked.toSorted());
});
