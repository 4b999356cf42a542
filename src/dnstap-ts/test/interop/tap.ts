import { join } from 'node:path';

import { runCommand } from '../../../../test/support/command.js';
import { closeAtEnd } from '../../../../test/support/lifetime.js';
import { partPath } from '../../../../test/support/parts.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import { summarizeDns, rcodeName, readName } from '../../src/dns-summary.js';
import { formatTime } from '../../src/message-text.js';
import {
  decodeDnstap,
  type Dnstap,
  DnstapType,
  DnstapView,
  formatAddress,
  FrameStreamFileWriter,
  kindName,
  type Message,
  MessageType,
  Receiver,
  type ReceiverConnection,
  SocketFamily,
  SocketProtocol,
} from '../../src/index.js';

/** A receiver for a producer under test, and what came. */
export interface Tap {
  readonly receiver: Receiver;
  /** Path of the unix socket, or `host:port`. */
  readonly address: string;
  readonly frames: readonly Buffer[];
  readonly closed: readonly ReceiverConnection[];
  readonly opened: readonly ReceiverConnection[];
  /** Every message so far. */
  messages(): readonly Message[];
  /** Waits for messages of a type. */
  waitFor(type: keyof typeof MessageType, count?: number): Promise<readonly Message[]>;
  /** Decodes every frame with golang-dnstap and with the view too, and compares them field by field. */
  expectAgreement(): Promise<void>;
  close(): Promise<void>;
}

/** Listens on a unix socket that everybody may connect to, or on a port of 127.0.0.1. */
export async function startTap(kind: 'unix' | 'tcp' = 'unix'): Promise<Tap> {
  const directory = createTemporaryDirectory();
  const path = directory.file('tap.sock');
  const frames: Buffer[] = [];
  const closed: ReceiverConnection[] = [];
  const opened: ReceiverConnection[] = [];
  const receiver = new Receiver({
    endpoint: kind === 'unix' ? path : 'tcp://127.0.0.1:0',
    socketMode: 0o666,
    onFrame: (buffer, start, end) => void frames.push(Buffer.from(buffer.subarray(start, end))),
  });
  receiver.on('handshake', (connection) => void opened.push(connection));
  receiver.on('close', (connection) => void closed.push(connection));
  closeAtEnd({ close: () => receiver.close() });
  await receiver.listen();
  const messages = () => frames.map((frame) => decodeDnstap(frame).message).filter((message) => !!message);
  return {
    receiver,
    address: kind === 'unix' ? path : receiver.endpoint.replace('tcp://', ''),
    frames,
    closed,
    opened,
    messages,
    waitFor: (type, count = 1) =>
      waitUntil(
        () => {
          const found = messages().filter((message) => message.type === MessageType[type]);
          return found.length >= count ? found : undefined;
        },
        { what: `${count} ${type}` },
      ),
    expectAgreement: () => expectAgreement(frames, join(directory.path, `${frames.length}.fstrm`)),
    close: () => receiver.close(),
  };
}

async function expectAgreement(frames: readonly Buffer[], file: string): Promise<void> {
  await writeCapture(file, frames);
  const theirs = await readWithGolang(file);
  expect(theirs).toEqual(frames.map((frame) => asGolangShows(decodeDnstap(frame))));
  const view = new DnstapView();
  for (const frame of frames) {
    expect(view.scan(frame, 0, frame.length)).toBe(true);
    expect(asViewed(view)).toEqual(asDecoded(decodeDnstap(frame).message ?? { type: 0 }));
  }
}

/** Writes frames to a file. */
export async function writeCapture(file: string, frames: readonly Uint8Array[]): Promise<void> {
  const writer = await FrameStreamFileWriter.open(file);
  for (const frame of frames) await writer.write(frame);
  await writer.close();
}

type Fields = Readonly<Record<string, unknown>>;

/** Every frame of a file as golang-dnstap's JSON shows it, DNS messages reduced to header and question. */
export async function readWithGolang(file: string): Promise<readonly Fields[]> {
  const { stdout } = await runCommand(await partPath('dnstap'), ['-r', file, '-j']);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const frame = JSON.parse(line) as Fields & { readonly message: Fields };
    const { message } = frame;
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
      socket_protocol: message.socketProtocol ? kindName(SocketProtocol, message.socketProtocol) : undefined,
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

function asViewed(view: DnstapView): Fields {
  const part = (start: number, length: number) =>
    Buffer.from(view.buffer.subarray(start, start + length)).toString('hex');
  return {
    type: view.type,
    family: view.socketFamily,
    protocol: view.socketProtocol,
    ports: [view.queryPort, view.responsePort],
    times: [view.queryTimeSec, view.queryTimeNsec, view.responseTimeSec, view.responseTimeNsec],
    addresses: [
      part(view.queryAddressStart, view.queryAddressLength),
      part(view.responseAddressStart, view.responseAddressLength),
    ],
    messages: [
      part(view.queryMessageStart, view.queryMessageLength),
      part(view.responseMessageStart, view.responseMessageLength),
    ],
    zone: part(view.queryZoneStart, view.queryZoneLength),
  };
}

function asDecoded(message: Message): Fields {
  const hex = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('hex');
  return {
    type: message.type,
    family: message.socketFamily ?? 0,
    protocol: message.socketProtocol ?? 0,
    ports: [message.queryPort ?? 0, message.responsePort ?? 0],
    times: [
      Number(message.queryTimeSec ?? -1n),
      message.queryTimeNsec ?? -1,
      Number(message.responseTimeSec ?? -1n),
      message.responseTimeNsec ?? -1,
    ],
    addresses: [hex(message.queryAddress), hex(message.responseAddress)],
    messages: [hex(message.queryMessage), hex(message.responseMessage)],
    zone: hex(message.queryZone),
  };
}
