import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { encodeDnstap, MessageType, SocketFamily, SocketProtocol } from 'dnstap-ts';
import { encodeMessage, type WritableRecord } from '../../src/dns/message-writer.js';
import { CLASS_IN, RecordType, ResponseCode } from '../../src/dns/record-types.js';
import { ScenarioError, type ScenarioMessage } from './scenario-schema.js';

const CLASS_CH = 3; // RFC 1035 section 3.2.4
const DEFAULT_TTL_SECONDS = 60;
const LATENCY_MS = 1;
const FIRST_PORT = 30_000;
const HINFO = 13;
const TYPES: Readonly<Record<string, number>> = { ...RecordType, HINFO };

/** Whose message it is, and its query time. */
export interface FrameContext {
  readonly client: string;
  readonly atMs: number;
  /** Counts the messages of the scenario, from 1. */
  readonly sequence: number;
}

/** A message for each number of a range in its name; itself where there is none. */
export function expandRange(message: ScenarioMessage): readonly ScenarioMessage[] {
  const match = /\{(data )?(\d+)\.\.(\d+)\}/.exec(message.asks);
  if (match === null) return [message];
  const [range, isData, first, last] = match;
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => {
    const number = String(Number(first) + index);
    const text = isData === undefined ? number : createHash('sha1').update(number).digest('hex');
    return { ...message, asks: message.asks.replace(range, text) };
  });
}

/** The record types that a message asks for; `A+AAAA` are two messages. */
export function typesOf({ asks }: ScenarioMessage): readonly string[] {
  return (asks.split(' ')[1] ?? '').split('+');
}

/** Encodes one message as CoreDNS would send it. */
export function encodeFrame(message: ScenarioMessage, type: string, context: FrameContext): Buffer {
  if (message.frame !== undefined) return Buffer.from(message.frame.replaceAll(' ', ''), 'hex');
  const { client, atMs, sequence } = context;
  const dns = encodeDns(message, type, sequence);
  const isResponse = message.kind.endsWith('_RESPONSE');
  const hasQueryTime = message.times === 'both';
  const hasResponseTime = message.times !== 'none' && isResponse;
  const bytes = encodeDnstap({
    type: 1,
    identity: Buffer.from(message.collector),
    ...(message.extra === undefined ? {} : { extra: Buffer.from(message.extra) }),
    message: {
      type: MessageType[message.kind],
      socketFamily: client.includes(':') ? SocketFamily.INET6 : SocketFamily.INET,
      socketProtocol: SocketProtocol.UDP,
      queryAddress: encodeAddress(client, message.mapped),
      queryPort: message.port ?? FIRST_PORT + sequence,
      ...(hasQueryTime ? timeFields('query', atMs) : {}),
      ...(hasResponseTime ? timeFields('response', atMs + LATENCY_MS) : {}),
      ...(isResponse ? { responseMessage: dns } : { queryMessage: dns }),
    },
  });
  return Buffer.from(bytes);
}

function timeFields(which: 'query' | 'response', atMs: number): object {
  const seconds = Math.floor(atMs / 1000);
  return { [`${which}TimeSec`]: BigInt(seconds), [`${which}TimeNsec`]: (atMs - seconds * 1000) * 1_000_000 };
}

/** Octets of an address, taken from the one place that writes them: an answer record. */
function encodeAddress(address: string, isMapped: boolean): Buffer {
  const type = address.includes(':') ? RecordType.AAAA : RecordType.A;
  const record = { name: '.', type, class: CLASS_IN, ttlSeconds: 0, address };
  const octets = encodeMessage({ id: 0, flags: 0, questions: [], answers: [record] }).subarray(-(type === 1 ? 4 : 16));
  return isMapped ? Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), octets]) : octets;
}

function encodeDns(message: ScenarioMessage, type: string, sequence: number): Buffer {
  if (message.dns !== undefined) return Buffer.from(message.dns.replaceAll(' ', ''), 'hex');
  const [name = '.'] = message.asks.split(' ');
  const records = message.answers.map((text) => parseRecord(text, name)).filter((record) => belongs(record, type));
  const bits = { query: -0x8000, aa: 0x0400, tc: 0x0200 };
  const flags = message.flags.reduce((sum, flag) => sum + bits[flag], 0x8180 | (message.opcode << 11));
  return encodeMessage({
    id: message.id ?? sequence,
    flags: flags + ResponseCode[message.rcode],
    questions: [{ name, type: typeNumber(type), class: message.class === 'IN' ? CLASS_IN : CLASS_CH }],
    answers: records,
  });
}

/** Of `A+AAAA`, each message has the addresses of its own type. */
function belongs({ type }: WritableRecord, asked: string): boolean {
  const isAddress = type === RecordType.A || type === RecordType.AAAA;
  return !isAddress || !['A', 'AAAA'].includes(asked) || type === typeNumber(asked);
}

function typeNumber(type: string): number {
  const number = TYPES[type] ?? Number(/^TYPE(\d+)$/.exec(type)?.[1]);
  if (Number.isNaN(number)) throw new ScenarioError(`unknown record type ${type}`);
  return number;
}

/** `192.0.2.1`, or `OWNER [TTL] TYPE DATA`. */
function parseRecord(text: string, asked: string): WritableRecord {
  if (isIP(text) !== 0) return parseRecord(`@ ${isIP(text) === 4 ? 'A' : 'AAAA'} ${text}`, asked);
  const match = /^(\S+) (?:(\d+) )?([A-Z0-9]+)(?: (.*))?$/.exec(text);
  if (match === null) throw new ScenarioError(`no record: ${text}`);
  const [, owner = '', ttl, type = '', data = ''] = match;
  return {
    name: owner === '@' ? asked : owner,
    type: typeNumber(type),
    class: CLASS_IN,
    ttlSeconds: ttl === undefined ? DEFAULT_TTL_SECONDS : Number(ttl),
    ...rdataOf(type, data),
  };
}

/** Types that the writer does not know are given as octets: `@ MX 000a04...`. */
function rdataOf(type: string, data: string): Pick<WritableRecord, 'address' | 'target' | 'rdata'> {
  if (type === 'A' || type === 'AAAA') return { address: data };
  if (['CNAME', 'DNAME', 'NS', 'PTR'].includes(type)) return { target: data };
  const [first = '', ...rest] = data.split(' ');
  if (type === 'MX') return { rdata: Buffer.concat([uint16(first), wireName(rest[0])]) };
  if (type === 'SRV')
    return { rdata: Buffer.concat([first, ...rest.slice(0, 2)].map(uint16).concat(wireName(rest[2]))) };
  if (type === 'TXT') return { rdata: characterString(data) };
  if (type === 'HTTPS' || type === 'SVCB') return { rdata: serviceBinding(first, rest) };
  throw new ScenarioError(`no way to write a record of type ${type}`);
}

function uint16(text: string): Buffer {
  return Buffer.from([Number(text) >> 8, Number(text) & 0xff]);
}

function characterString(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}

function wireName(name = '.'): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([...labels.map(characterString), Buffer.alloc(1)]);
}

/** `1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1` (RFC 9460 section 2.2). */
function serviceBinding(priority: string, [target, ...parameters]: readonly string[]): Buffer {
  const encoded = parameters.map((parameter) => {
    const [key = '', value = ''] = parameter.split('=');
    const [number, octets] = parameterOf(key, value);
    return Buffer.concat([uint16(String(number)), uint16(String(octets.length)), octets]);
  });
  return Buffer.concat([uint16(priority), wireName(target), ...encoded]);
}

function parameterOf(key: string, value: string): readonly [number, Buffer] {
  // RFC 9460 section 14.3.2
  if (key === 'alpn') return [1, Buffer.concat(value.split(',').map(characterString))];
  if (key === 'port') return [3, uint16(value)];
  if (key === 'ipv4hint') return [4, Buffer.concat(value.split(',').map((address) => encodeAddress(address, false)))];
  throw new ScenarioError(`unknown service parameter ${key}`);
}
