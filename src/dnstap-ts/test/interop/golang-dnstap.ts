import { runCommand } from '../../../../test/support/command.js';
import { partPath } from '../../../../test/support/parts.js';
import { summarizeDns, rcodeName, readName } from '../../src/dns-summary.js';
import {
  decodeDnstap,
  type Dnstap,
  DnstapType,
  formatAddress,
  kindName,
  type Message,
  MessageType,
  SocketFamily,
  SocketProtocol,
} from '../../src/index.js';
import { type DnstapJson, dnstapToJson } from '../../src/message-json.js';
import { formatTime } from '../../src/message-text.js';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Decodes the frames of a file with golang-dnstap in both ways it can be had, and compares with ours: its JSON, which
 * gives names and reads the DNS messages, and every field as it lies in its Go structures.
 */
export async function expectGolangAgrees(frames: readonly Uint8Array[], file: string): Promise<void> {
  const decoded = frames.map((frame) => decodeDnstap(frame));
  expect(await readAsJson(file)).toEqual(decoded.map(asGolangShows));
  expect(await readFieldsWithGolang(file)).toEqual(decoded.map((frame) => withoutText(dnstapToJson(frame))));
}

/** Every field of every frame of a file as golang-dnstap has it, in the form of our own JSON. */
export async function readFieldsWithGolang(file: string): Promise<readonly Fields[]> {
  return readLines((await runCommand(await partPath('golang-dnstap-fields'), [file])).stdout);
}

function readLines(output: string): readonly Fields[] {
  const lines = output.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Fields);
}

/** Our JSON without the text of addresses, which it adds to what the frame holds. */
export function withoutText({ message, ...frame }: DnstapJson): Fields {
  if (typeof message !== 'object') return frame;
  const fields = Object.entries(message).filter(([name]) => name !== 'query_ip' && name !== 'response_ip');
  return { ...frame, message: Object.fromEntries(fields) };
}

/** Every frame of a file as golang-dnstap's JSON shows it, DNS messages reduced to header and question. */
async function readAsJson(file: string): Promise<readonly Fields[]> {
  const { stdout } = await runCommand(await partPath('dnstap'), ['-r', file, '-j']);
  return readLines(stdout).map((frame) => {
    const message = frame['message'] as Fields; // every producer sends one
    return {
      ...frame,
      message: { ...message, ...dnsField(message, 'query_message'), ...dnsField(message, 'response_message') },
    };
  });
}

function dnsField(message: Fields, name: string): Fields {
  const text = message[name];
  return typeof text === 'string' ? { [name]: parseDnsText(text) } : {};
}

/** The header and question of what miekg/dns prints; what it cannot read is `unreadable`. */
function parseDnsText(text: string): unknown {
  const header =
    /;; opcode: (\w+), status: (\w+), id: (\d+)\n;; flags: ?([^;]*); (?:QUERY|ZONE): (\d+), (?:ANSWER|PREREQ): (\d+), (?:AUTHORITY|UPDATE): (\d+), ADDITIONAL: (\d+)/.exec(
      text,
    );
  if (header === null) return 'unreadable';
  const [, , rcode, id, flags, ...counts] = header;
  const question = /(?:QUESTION|ZONE) SECTION:\n;(\S+)\t(\S+)\t (\S+)\n/.exec(text);
  return {
    id: Number(id),
    rcode,
    flags: flags?.split(' ').filter((flag) => flag !== ''),
    counts: counts.map(Number),
    question: question === null ? undefined : `${question[1]} ${question[2]} ${question[3]}`,
  };
}

function ourDns(bytes: Uint8Array | null | undefined): unknown {
  if (!bytes) return undefined;
  const summary = summarizeDns(bytes);
  if (summary === undefined || (summary.counts[0] > 0 && summary.question === undefined)) return 'unreadable';
  const { id, rcode, flags, counts, question } = summary;
  return {
    id,
    rcode: rcodeName(rcode),
    flags,
    counts: [...counts],
    question: question && `${question.name} ${question.class} ${question.type}`,
  };
}

/** Our decoding in golang-dnstap's words; its JSON has no `extra`. */
function asGolangShows(dnstap: Dnstap): Fields {
  const message: Partial<Message> = dnstap.message ?? {};
  return present({
    type: kindName(DnstapType, dnstap.type),
    identity: textOf(dnstap.identity),
    version: textOf(dnstap.version),
    message: present({
      type: kindName(MessageType, message.type ?? 0),
      query_time: golangTime(message.queryTimeSec, message.queryTimeNsec),
      response_time: golangTime(message.responseTimeSec, message.responseTimeNsec),
      socket_family: message.socketFamily ? kindName(SocketFamily, message.socketFamily) : undefined,
      socket_protocol: message.socketProtocol ? kindName(SocketProtocol, message.socketProtocol) : '<nil>',
      query_address: message.queryAddress ? formatAddress(message.queryAddress) : undefined,
      response_address: message.responseAddress ? formatAddress(message.responseAddress) : undefined,
      query_port: message.queryPort ?? undefined,
      response_port: message.responsePort ?? undefined,
      query_zone: message.queryZone ? readName(message.queryZone, 0)?.text : undefined,
      query_message: ourDns(message.queryMessage),
      response_message: ourDns(message.responseMessage),
    }),
  });
}

function present(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== ''));
}

function textOf(bytes: Uint8Array | null | undefined): string | undefined {
  return bytes ? Buffer.from(bytes).toString() : undefined;
}

/** Go's RFC3339Nano leaves out trailing zeros. */
function golangTime(seconds: bigint | null | undefined, nanoseconds: number | null | undefined): string | undefined {
  return formatTime(seconds, nanoseconds)?.replace(/\.?0+Z$/, 'Z');
}
