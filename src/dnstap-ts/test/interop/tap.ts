import { join } from 'node:path';

import { closeAtEnd } from '../../../../test/support/lifetime.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import {
  decodeDnstap,
  DnstapView,
  FrameStreamFileWriter,
  type Message,
  MessageType,
  Receiver,
  type ReceiverConnection,
} from '../../src/index.js';
import { expectGolangAgrees } from './golang-dnstap.js';

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
  /** Decodes every frame, or the first so many, with golang-dnstap and with the view too, and compares them field by field. */
  expectAgreement(options?: { readonly first: number }): Promise<void>;
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
    expectAgreement: async (options) =>
      expectAgreement(frames.slice(0, options?.first), join(directory.path, `${frames.length}.fstrm`)),
    close: () => receiver.close(),
  };
}

/** Whether a message says when the query came. */
export function hasQueryTime(message: Message): boolean {
  return message.queryTimeSec !== null && message.queryTimeNsec !== null;
}

/** Whether field 15, `type`, comes before field 14, `message`. */
export function hasTypeInFront(frame: Buffer): boolean {
  return frame.includes(Buffer.from([0x78, 0x01, 0x72]));
}

/** The messages of a type that have come so far. */
export function ofType(tap: Tap, type: keyof typeof MessageType): readonly Message[] {
  return tap.messages().filter((message) => message.type === MessageType[type]);
}

async function expectAgreement(frames: readonly Buffer[], file: string): Promise<void> {
  await writeCapture(file, frames);
  await expectGolangAgrees(frames, file);
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

function asViewed(view: DnstapView): object {
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

function asDecoded(message: Message): object {
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
