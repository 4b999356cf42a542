import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { type DnstapError, Receiver, type ReceiverOptions, Sender, type SenderOptions } from '../src/index.js';
import { codeOf } from './support/code-of.js';
import { Authority } from './support/certificates.js';
import { ACCEPT, bytes, CLIENT_RESPONSE, dataFrame, FINISH, READY, START, STOP } from './support/frames.js';
import { until } from './support/peer.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const directory = temporaryDirectory();
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function receive(options: Partial<ReceiverOptions> = {}) {
  const frames: string[] = [];
  const receiver = new Receiver({
    endpoint: 'tcp://127.0.0.1:0',
    onFrame: (buffer, start, end) => void frames.push(buffer.toString('hex', start, end)),
    ...options,
  });
  await receiver.listen();
  closing.push(() => receiver.close());
  return { receiver, frames };
}

function createSender(options: SenderOptions): Sender {
  const sender = new Sender({ reconnectMinMs: 5, reconnectMaxMs: 20, timeoutMs: 2000, ...options });
  closing.push(() => sender.close({ signal: AbortSignal.timeout(1) }));
  return sender;
}

/** A receiver that says exactly what a test tells it to. */
async function scriptedReceiver(script: (socket: Socket) => void): Promise<{ endpoint: string; server: Server }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    script(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return { endpoint: `tcp://127.0.0.1:${address.port}`, server };
}

const HEX = CLIENT_RESPONSE.toString('hex');

describe('Sender', () => {
  it.each(['unix', 'tcp'])('sends over %s, and close waits for FINISH', async (kind) => {
    const endpoint = kind === 'unix' ? join(directory, 'sender.sock') : 'tcp://127.0.0.1:0';
    const { receiver, frames } = await receive({ endpoint });
    const sender = createSender({ endpoint: receiver.endpoint });
    const frame = Buffer.from(CLIENT_RESPONSE);
    for (let count = 0; count < 1000; count++) expect(sender.send(frame)).toBe(true);
    frame.fill(0); // may be reused at once
    expect(await sender.close()).toBe(true);
    expect(frames).toHaveLength(1000);
    expect(new Set(frames)).toEqual(new Set([HEX]));
    expect(sender.statistics()).toMatchObject({
      sentFrames: 1000,
      confirmedFrames: 1000,
      droppedFrames: 0,
      connected: false,
    });
  });

  it('flushes with STOP and FINISH, and goes on with a new stream', async () => {
    const { receiver, frames } = await receive();
    const sender = createSender({ endpoint: receiver.endpoint });
    sender.send(CLIENT_RESPONSE);
    expect(await sender.flush()).toBe(true);
    expect(frames).toHaveLength(1);
    sender.send(CLIENT_RESPONSE);
    expect(await sender.flush()).toBe(true);
    expect(frames).toHaveLength(2);
    expect(receiver.statistics().acceptedConnections).toBeGreaterThanOrEqual(2);
    expect(await sender.close()).toBe(true);
  });

  it('sends without a handshake where nobody answers', async () => {
    const { receiver, frames } = await receive();
    const sender = createSender({ endpoint: receiver.endpoint, bidirectional: false });
    sender.send(CLIENT_RESPONSE);
    expect(await sender.close()).toBe(true);
    await until(() => frames.length === 1);
  });

  it('says on the wire what fstrm says', async () => {
    let heard = '';
    const { endpoint } = await scriptedReceiver((socket) => {
      socket.on('data', (chunk: Buffer) => {
        heard += chunk.toString('hex');
        if (heard === READY) socket.write(bytes(ACCEPT));
        if (heard.endsWith(STOP)) socket.end(bytes(FINISH));
      });
    });
    const sender = createSender({ endpoint });
    sender.send(bytes('0102'));
    expect(await sender.close()).toBe(true);
    expect(heard).toBe(READY + START + dataFrame(bytes('0102')) + STOP);
  });

  it('connects when the receiver appears, and keeps what was queued meanwhile', async () => {
    const path = join(directory, 'late.sock');
    const sender = createSender({ endpoint: path });
    sender.send(CLIENT_RESPONSE);
    await once(sender, 'disconnect');
    const { frames } = await receive({ endpoint: path });
    await until(() => frames.length === 1);
    expect(await sender.close()).toBe(true);
  });

  it('reconnects when the receiver comes back, and counts what it cannot be sure of', async () => {
    const path = join(directory, 'restart.sock');
    const first = await receive({ endpoint: path });
    const sender = createSender({ endpoint: path });
    sender.send(CLIENT_RESPONSE);
    await until(() => first.frames.length === 1);
    await first.receiver.close();
    await until(() => !sender.statistics().connected);
    sender.send(CLIENT_RESPONSE);
    const second = await receive({ endpoint: path });
    await until(() => second.frames.length === 1);
    expect(await sender.close()).toBe(true);
    expect(sender.statistics()).toMatchObject({ unconfirmedFrames: 1, confirmedFrames: 1, connections: 2 });
  });

  it('bounds its queue while nobody reads, drops what does not fit, and says so', async () => {
    const { endpoint } = await scriptedReceiver((socket) => {
      socket.once('data', () => {
        socket.write(bytes(ACCEPT));
        socket.pause(); // and never reads again
      });
    });
    const sender = createSender({ endpoint, maxQueueBytes: 100_000, timeoutMs: 100 });
    sender.start();
    await once(sender, 'connect');
    const frame = Buffer.alloc(10_000);
    let accepted = 0;
    for (let turn = 0; turn < 2000; turn++) {
      if (sender.send(frame)) accepted++;
      if (turn % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const { droppedFrames, queuedFrames } = sender.statistics();
    expect(droppedFrames).toBe(2000 - accepted);
    expect(droppedFrames).toBeGreaterThan(0);
    expect(queuedFrames * 10_004).toBeLessThanOrEqual(100_000);
    expect(await sender.close()).toBe(false);
  });

  it.each([
    ['is silent', () => {}],
    [
      'accepts a foreign type',
      (socket: Socket) => void socket.write(bytes('00000000 00000010 00000001 00000001 00000004 61626364')),
    ],
    ['speaks something else', (socket: Socket) => void socket.write('220 mail.example.com ESMTP\r\n')],
    ['closes at once', (socket: Socket) => void socket.destroy()],
  ])('tries again when the receiver %s, and close gives up in time', async (_name, script) => {
    let connections = 0;
    const { endpoint } = await scriptedReceiver((socket) => {
      connections++;
      script(socket);
    });
    const sender = createSender({ endpoint, timeoutMs: 50 });
    sender.send(CLIENT_RESPONSE);
    await until(() => connections >= 2);
    expect(await sender.close()).toBe(false);
    await delay(80); // what it began before is accepted by then
    const after = connections;
    await delay(80);
    expect(connections).toBe(after);
  });

  it('does not wait longer than it may for a FINISH that does not come', async () => {
    const { endpoint } = await scriptedReceiver((socket) => {
      socket.once('data', () => socket.write(bytes(ACCEPT)));
    });
    const sender = createSender({ endpoint, timeoutMs: 80 });
    sender.send(CLIENT_RESPONSE);
    await until(() => sender.statistics().sentFrames === 1);
    expect(await sender.flush({ signal: AbortSignal.timeout(40) })).toBe(false);
    expect(await sender.close()).toBe(false);
    expect(sender.statistics()).toMatchObject({ confirmedFrames: 0, unconfirmedFrames: 1 });
  });

  it('pauses longer with each failure, up to its limit, and never all senders at once', async () => {
    const times: number[] = [];
    const sender = createSender({ endpoint: join(directory, 'nobody.sock'), reconnectMinMs: 10, reconnectMaxMs: 40 });
    sender.on('disconnect', () => void times.push(performance.now()));
    sender.start();
    await until(() => times.length === 6);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.min(...pauses.slice(2))).toBeGreaterThanOrEqual(19); // at least half of 40 ms
  });

  it('refuses frames that cannot be, and everything once it is closed', async () => {
    const sender = createSender({ endpoint: join(directory, 'nobody.sock') });
    expect(codeOf(() => sender.send(new Uint8Array(0)))).toBe('DNSTAP_ERR_FRAME_TOO_LARGE');
    expect(codeOf(() => sender.send(new Uint8Array(16 * 1024 * 1024 + 1)))).toBe('DNSTAP_ERR_FRAME_TOO_LARGE');
    expect(await sender.flush()).toBe(true);
    expect(await sender.close()).toBe(true);
    expect(await sender.close()).toBe(true);
    expect(codeOf(() => sender.send(CLIENT_RESPONSE))).toBe('DNSTAP_ERR_CLOSED');
    expect(await sender.flush()).toBe(false);
    expect(codeOf(() => new Sender({ endpoint: 'x' }))).toBe('DNSTAP_ERR_ENDPOINT');
    expect(codeOf(() => new Sender({ endpoint: '/x', tls: {} }))).toBe('DNSTAP_ERR_OPTION');
  });

  it("checks the receiver's certificate and shows its own", async () => {
    const authority = new Authority();
    const foreign = new Authority('another authority');
    closing.push(
      () => authority.remove(),
      () => foreign.remove(),
    );
    const tls = { ...authority.issue('localhost', ['DNS:localhost', 'IP:127.0.0.1']), ca: authority.cert };
    const { receiver, frames } = await receive({ endpoint: 'tls://127.0.0.1:0', tls });
    const client = authority.issue('client');
    const good = createSender({ endpoint: receiver.endpoint, tls: { ca: authority.cert, ...client } });
    good.send(CLIENT_RESPONSE);
    expect(await good.close()).toBe(true);
    expect(frames).toEqual([HEX]);
    const distrusting = createSender({ endpoint: receiver.endpoint, tls: { ca: foreign.cert, ...client } });
    distrusting.start();
    const [error] = (await once(distrusting, 'disconnect')) as [DnstapError];
    expect(error.code).toBe('DNSTAP_ERR_CONNECTION');
    expect(distrusting.statistics().connections).toBe(0);
  });
});
