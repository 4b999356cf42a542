import { once } from 'node:events';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, linkSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';

import { type DnstapError, FrameQueue, Receiver, type ReceiverConnection, type ReceiverOptions } from '../src/index.js';
import { codeOfRejection } from './support/code-of.js';
import { Authority, type Certificate } from './support/certificates.js';
import { ACCEPT, bytes, CLIENT_RESPONSE, dataFrame, FINISH, READY, START, STOP } from './support/frames.js';
import { Peer, until } from './support/peer.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const directory = temporaryDirectory();
const FRAME = dataFrame(CLIENT_RESPONSE);
const open: Receiver[] = [];
let sockets = 0;

function socketPath(): string {
  return join(directory, `${++sockets}.sock`);
}

interface Listening {
  readonly receiver: Receiver;
  readonly frames: string[];
  readonly ended: ReceiverConnection[];
}

async function listen(options: Partial<ReceiverOptions> = {}): Promise<Listening> {
  const frames: string[] = [];
  const ended: ReceiverConnection[] = [];
  const receiver = new Receiver({
    endpoint: 'tcp://127.0.0.1:0',
    onFrame: (buffer, start, end) => void frames.push(buffer.toString('hex', start, end)),
    ...options,
  });
  receiver.on('close', (connection) => void ended.push(connection));
  open.push(receiver);
  await receiver.listen();
  return { receiver, frames, ended };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((receiver) => receiver.close()));
});

describe('Receiver', () => {
  it.each(['unix', 'tcp'])('takes a session over %s, answers STOP with FINISH and closes', async (kind) => {
    const { receiver, frames, ended } = await listen(kind === 'unix' ? { endpoint: socketPath() } : {});
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY);
    await peer.hears(ACCEPT);
    peer.send(START + FRAME + FRAME + STOP);
    await peer.closed;
    expect(peer.received).toBe(ACCEPT + FINISH);
    expect(frames).toEqual([CLIENT_RESPONSE.toString('hex'), CLIENT_RESPONSE.toString('hex')]);
    await until(() => ended.length === 1);
    expect(ended[0]?.error).toBeUndefined();
    expect(ended[0]?.bidirectional).toBe(true);
  });

  it('closes after FINISH though the peer keeps its side open', async () => {
    const { receiver } = await listen({ endpoint: socketPath() });
    const peer = await Peer.connect(receiver.endpoint);
    peer.socket.allowHalfOpen = true;
    peer.send(READY + START + STOP);
    await until(() => receiver.statistics().openConnections === 0 && receiver.statistics().acceptedConnections === 1);
    expect(receiver.statistics().failedConnections).toEqual({});
    peer.socket.destroy();
  });

  it('takes a peer that is gone before FINISH for an orderly end', async () => {
    const { receiver, ended, frames } = await listen();
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + FRAME + STOP);
    peer.socket.resetAndDestroy();
    await until(() => ended.length === 1);
    expect(ended[0]?.error === undefined || frames.length === 0).toBe(true);
  });

  it('writes nothing to a peer that opens with START', async () => {
    const { receiver, frames, ended } = await listen();
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(START + FRAME + STOP);
    await peer.closed;
    await until(() => ended.length === 1);
    expect(peer.received).toBe('');
    expect(frames).toHaveLength(1);
    expect(ended[0]?.bidirectional).toBe(false);
  });

  it('takes an end without STOP between frames for an orderly one, and within a frame for a truncation', async () => {
    const { receiver, frames, ended } = await listen();
    const orderly = await Peer.connect(receiver.endpoint);
    orderly.send(READY + START + FRAME);
    orderly.socket.end();
    await until(() => ended.length === 1);
    const truncated = await Peer.connect(receiver.endpoint);
    truncated.send(READY + START + FRAME + FRAME.slice(0, 40));
    truncated.socket.end();
    await until(() => ended.length === 2);
    expect(ended.map((connection) => connection.error?.code)).toEqual([undefined, 'DNSTAP_ERR_TRUNCATED']);
    expect(frames).toHaveLength(2);
  });

  it('assembles frames that are longer than its read buffer', async () => {
    const { receiver, frames } = await listen({ maxFrameBytes: 2_000_000 });
    const peer = await Peer.connect(receiver.endpoint);
    const long = Buffer.alloc(1_500_000, 0x5a);
    peer.send(READY + START + FRAME + dataFrame(long) + FRAME + STOP);
    await peer.closed;
    expect(frames.map((frame) => frame.length / 2)).toEqual([
      CLIENT_RESPONSE.length,
      1_500_000,
      CLIENT_RESPONSE.length,
    ]);
    expect(frames[1]).toBe(long.toString('hex'));
  });

  it('skips a frame over its limit, counts it, and keeps the connection', async () => {
    const { receiver, frames } = await listen({ maxFrameBytes: 200 });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + FRAME + dataFrame(Buffer.alloc(70_000, 1)) + FRAME);
    await until(() => frames.length === 2);
    expect(receiver.connections()).toMatchObject([{ frames: 2, oversizeFrames: 1, started: true }]);
    expect(receiver.statistics()).toMatchObject({ frames: 2, oversizeFrames: 1, openConnections: 1 });
  });

  it('keeps several connections apart, as around a reload of CoreDNS', async () => {
    const { receiver, frames } = await listen();
    const old = await Peer.connect(receiver.endpoint);
    const fresh = await Peer.connect(receiver.endpoint);
    old.send(READY + START + FRAME.slice(0, 100));
    fresh.send(READY + START + FRAME.slice(0, 30));
    await Promise.all([old.hears(ACCEPT), fresh.hears(ACCEPT)]);
    fresh.send(FRAME.slice(30));
    await until(() => frames.length === 1);
    old.send(FRAME.slice(100) + STOP);
    await old.closed;
    expect(frames).toEqual([CLIENT_RESPONSE.toString('hex'), CLIENT_RESPONSE.toString('hex')]);
    expect(receiver.connections().map(({ id }) => id)).toEqual([2]);
  });

  it('leaves idle connections alone after START', async () => {
    const { receiver, frames } = await listen({ handshakeTimeoutMs: 30 });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START);
    await peer.hears(ACCEPT);
    await new Promise((resolve) => setTimeout(resolve, 120));
    peer.send(FRAME);
    await until(() => frames.length === 1);
    expect(receiver.statistics().failedConnections).toEqual({});
  });

  it.each([
    ['silence', ''],
    ['READY and silence', READY],
    ['half a READY', READY.slice(0, 30)],
  ])('closes on %s when the handshake takes too long', async (_name, hex) => {
    const { receiver, ended } = await listen({ handshakeTimeoutMs: 50 });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(hex);
    await peer.closed;
    await until(() => ended.length === 1);
    expect(ended.map((connection) => connection.error?.code)).toEqual(['DNSTAP_ERR_HANDSHAKE_TIMEOUT']);
    expect(receiver.statistics().failedConnections).toEqual({ DNSTAP_ERR_HANDSHAKE_TIMEOUT: 1 });
  });

  it('closes on one byte a time when the handshake takes too long', async () => {
    const { receiver, ended } = await listen({ handshakeTimeoutMs: 60 });
    const peer = await Peer.connect(receiver.endpoint);
    const drip = setInterval(() => peer.socket.write(Buffer.from([0])), 5);
    await peer.closed;
    await until(() => ended.length === 1);
    clearInterval(drip);
    expect(ended[0]?.error?.code).toMatch(/HANDSHAKE_TIMEOUT|NOT_FRAME_STREAMS/);
  });

  it('closes the socket itself when a READY names foreign types only', async () => {
    const { receiver, ended } = await listen();
    const peer = await Peer.connect(receiver.endpoint);
    peer.send('00000000 00000010 00000004 00000001 00000004 61626364');
    await peer.closed;
    await until(() => ended.length === 1);
    expect(peer.received).toBe('');
    expect(ended[0]?.error?.code).toBe('DNSTAP_ERR_CONTENT_TYPE');
  });

  it('survives a peer that speaks HTTP while others go on', async () => {
    const { receiver, frames, ended } = await listen();
    const good = await Peer.connect(receiver.endpoint);
    good.send(READY + START);
    const bad = await Peer.connect(receiver.endpoint);
    bad.socket.write('GET / HTTP/1.1\r\n\r\n');
    await bad.closed;
    await until(() => ended.length === 1);
    expect(ended[0]?.error?.code).toBe('DNSTAP_ERR_NOT_FRAME_STREAMS');
    good.send(FRAME);
    await until(() => frames.length === 1);
  });

  it('refuses connections over its limit at once, and takes new ones when there is room', async () => {
    const { receiver, ended } = await listen({ maxConnections: 2 });
    const refused: { readonly code: string }[] = [];
    receiver.on('refused', (refusal) => refused.push(refusal));
    const peers = [await Peer.connect(receiver.endpoint), await Peer.connect(receiver.endpoint)];
    const third = await Peer.connect(receiver.endpoint);
    await third.closed;
    await until(() => receiver.statistics().openConnections === 2);
    expect(receiver.statistics().refusedConnections).toEqual({ DNSTAP_ERR_TOO_MANY_CONNECTIONS: 1 });
    expect(refused.map(({ code }) => code)).toEqual(['DNSTAP_ERR_TOO_MANY_CONNECTIONS']);
    peers[0]?.socket.destroy();
    await until(() => ended.length === 1);
    const fourth = await Peer.connect(receiver.endpoint);
    fourth.send(READY);
    await fourth.hears(ACCEPT);
  });

  it.each([
    ['ends in order', READY + START + FRAME + STOP],
    ['vanishes', READY + START + FRAME],
  ])('keeps nothing of a peer that comes back at once, time after time, and %s', async (_what, hex) => {
    const { receiver, frames } = await listen({ endpoint: socketPath(), maxConnections: 2 });
    for (let round = 1; round <= 300; round++) {
      const peer = await Peer.connect(receiver.endpoint);
      peer.socket.end(bytes(hex));
      await peer.closed;
      await until(() => frames.length === round);
    }
    await until(() => receiver.connections().length === 0);
    expect(receiver.statistics()).toMatchObject({
      acceptedConnections: 300,
      frames: 300,
      refusedConnections: {},
      failedConnections: {},
    });
  });

  it('refuses addresses that are not on its list', async () => {
    const { receiver } = await listen({ allowedAddresses: ['192.0.2.0/24'] });
    const peer = await Peer.connect(receiver.endpoint);
    await peer.closed;
    expect(receiver.statistics().refusedConnections).toEqual({ DNSTAP_ERR_PEER_NOT_ALLOWED: 1 });
    const { receiver: open } = await listen({ allowedAddresses: ['127.0.0.0/8'] });
    const allowed = await Peer.connect(open.endpoint);
    allowed.send(READY);
    await allowed.hears(ACCEPT);
  });

  it('counts what its consumer reports, by connection and in all, also after the connection', async () => {
    const { receiver, ended } = await listen({
      onFrame: (_buffer, _start, _end, connection) => {
        connection.countDecodeError('DNSTAP_ERR_TRUNCATED');
        connection.countDropped();
      },
    });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + FRAME + FRAME);
    await until(() => receiver.statistics().frames === 2);
    const expected = { frames: 2, droppedFrames: 2, decodeErrors: { DNSTAP_ERR_TRUNCATED: 2 } };
    const [statistics] = receiver.connections();
    expect(statistics).toMatchObject({ ...expected, id: 1, bytes: bytes(READY + START + FRAME + FRAME).length });
    expect(statistics?.sinceMs).toBeLessThanOrEqual(statistics?.lastFrameAtMs ?? 0);
    expect(statistics?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    peer.socket.end();
    await until(() => ended.length === 1);
    expect(receiver.statistics()).toMatchObject({ ...expected, openConnections: 0, acceptedConnections: 1 });
  });

  it('tells at most 64 kinds of decode errors apart', async () => {
    let kinds = 0;
    const { receiver } = await listen({
      onFrame: (_buffer, _start, _end, connection) => {
        for (; kinds < 100; kinds++) connection.countDecodeError(`KIND_${kinds}`);
      },
    });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + FRAME);
    await until(() => kinds === 100);
    const counts = receiver.statistics().decodeErrors;
    expect(Object.keys(counts)).toHaveLength(65);
    expect(counts.other).toBe(36);
  });

  it('ends the connection whose handler throws, reports it, and lives on', async () => {
    let failing = true;
    const { receiver, ended } = await listen({
      onFrame: () => {
        if (failing) throw new Error('a fault of the consumer');
      },
    });
    const reported = once(receiver, 'error');
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + FRAME);
    const [error] = (await reported) as [DnstapError];
    expect(error.code).toBe('DNSTAP_ERR_HANDLER');
    expect(error.cause).toBeInstanceOf(Error);
    await peer.closed;
    await until(() => ended.length === 1);
    expect(ended[0]?.error?.code).toBe('DNSTAP_ERR_HANDLER');
    failing = false;
    const next = await Peer.connect(receiver.endpoint);
    next.send(READY + START + FRAME);
    await until(() => receiver.connections()[0]?.frames === 1);
  });

  it.each(['unix', 'tcp'])(
    'drains: every frame that peers have written before close is delivered (%s)',
    async (kind) => {
      const { receiver, frames, ended } = await listen(kind === 'unix' ? { endpoint: socketPath() } : {});
      const peers = await Promise.all(Array.from({ length: 10 }, async () => Peer.connect(receiver.endpoint)));
      for (const peer of peers) peer.send(READY + START);
      for (const peer of peers) await peer.hears(ACCEPT);
      // 119 KB a peer go into the kernel's buffers at once; nothing of them has been read when close begins.
      for (const peer of peers) peer.send(FRAME.repeat(1000));
      expect(peers.map(({ socket }) => socket.writableLength)).toEqual(peers.map(() => 0));
      expect(frames).toHaveLength(0);
      await receiver.close();
      for (const peer of peers) await peer.closed;
      expect(frames).toHaveLength(10_000);
      expect(new Set(frames)).toEqual(new Set([CLIENT_RESPONSE.toString('hex')]));
      expect(receiver.statistics()).toMatchObject({ openConnections: 0, frames: 10_000 });
      expect(ended.map(({ error }) => error)).toEqual(peers.map(() => undefined));
    },
  );

  it('drains what a peer goes on writing, and finishes a session that ends meanwhile', async () => {
    const { receiver, frames } = await listen({ endpoint: socketPath() });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START);
    await peer.hears(ACCEPT);
    peer.send(FRAME.repeat(20_000) + STOP); // 2.4 MB: more than the kernel takes before somebody reads
    expect(peer.socket.writableLength).toBeGreaterThan(0);
    await receiver.close();
    await peer.closed;
    expect(frames).toHaveLength(20_000);
    expect(peer.received).toBe(ACCEPT + FINISH);
  });

  it('drains for a second at most: a peer that never ends does not keep it open', async () => {
    const { receiver } = await listen();
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START);
    await peer.hears(ACCEPT);
    const more = (): void => void (peer.socket.destroyed || peer.socket.write(bytes(FRAME), () => setImmediate(more)));
    more();
    await receiver.close();
    await peer.closed;
    expect(receiver.statistics()).toMatchObject({ openConnections: 0, failedConnections: {} });
  });

  it('closes once and for all: idempotent, no new connections, no new listening', async () => {
    const { receiver } = await listen();
    const { endpoint } = receiver;
    await Promise.all([receiver.close(), receiver.close()]);
    await receiver.close();
    await expect(Peer.connect(endpoint)).rejects.toThrow();
    const closed = new Receiver({ endpoint: 'tcp://127.0.0.1:0', onFrame: () => {} });
    await closed.close();
    expect(await codeOfRejection(() => closed.listen())).toBe('DNSTAP_ERR_CLOSED');
  });

  it('publishes what happens on diagnostics channels', async () => {
    const heard: string[] = [];
    const names = ['listening', 'connection', 'handshake', 'close', 'refused'].map((name) => `dnstap:receiver:${name}`);
    const listener = (_message: unknown, name: string | symbol): void => void heard.push(String(name));
    for (const name of names) subscribe(name, listener);
    const { receiver, ended } = await listen({ maxConnections: 1 });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START);
    await peer.hears(ACCEPT);
    await (
      await Peer.connect(receiver.endpoint)
    ).closed;
    peer.socket.end();
    await until(() => ended.length === 1);
    for (const name of names) unsubscribe(name, listener);
    expect(new Set(heard)).toEqual(new Set(names));
  });

  it.each([
    ['no endpoint', { endpoint: 'dnstap.sock' }, 'DNSTAP_ERR_ENDPOINT'],
    ['TLS without certificates', { endpoint: 'tls://127.0.0.1:0' }, 'DNSTAP_ERR_OPTION'],
    ['certificates without TLS', { tls: { cert: '', key: '' } }, 'DNSTAP_ERR_OPTION'],
    ['no connections', { maxConnections: 0 }, 'DNSTAP_ERR_OPTION'],
    ['a frame limit over 16 MiB', { maxFrameBytes: 16 * 1024 * 1024 + 1 }, 'DNSTAP_ERR_OPTION'],
    ['a frame limit that is no number', { maxFrameBytes: Number.NaN }, 'DNSTAP_ERR_OPTION'],
    ['a negative time', { handshakeTimeoutMs: -1 }, 'DNSTAP_ERR_OPTION'],
    ['an address range that is none', { allowedAddresses: ['x'] }, 'DNSTAP_ERR_OPTION'],
  ])('refuses to be made with %s', async (_name, options, code) => {
    expect(
      await codeOfRejection(() => new Receiver({ endpoint: 'tcp://127.0.0.1:0', onFrame: () => {}, ...options })),
    ).toBe(code);
  });
});

describe('Receiver on a unix socket', () => {
  it('sets the mode, and removes the file on close', async () => {
    const path = socketPath();
    const { receiver } = await listen({ endpoint: path, socketMode: 0o666 });
    expect(statSync(path).mode & 0o777).toBe(0o666);
    expect(receiver.endpoint).toBe(`unix://${path}`);
    await receiver.close();
    expect(existsSync(path)).toBe(false);
  });

  it('sets the owner', async () => {
    const path = socketPath();
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    await listen({ endpoint: path, socketOwner: owner });
    expect(statSync(path)).toMatchObject(owner);
  });

  it('takes the place of a socket file that nobody listens on', async () => {
    const path = socketPath();
    const server = createServer().listen(path);
    await once(server, 'listening');
    const keep = `${path}.kept`;
    linkSync(path, keep); // closing removes the first name only
    server.close();
    await once(server, 'close');
    renameSync(keep, path);
    const { receiver } = await listen({ endpoint: path });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY);
    await peer.hears(ACCEPT);
    expect(statSync(path).isSocket()).toBe(true);
  });

  it('leaves a socket alone that somebody listens on', async () => {
    const { receiver } = await listen({ endpoint: socketPath() });
    const second = new Receiver({ endpoint: receiver.endpoint, onFrame: () => {} });
    expect(await codeOfRejection(() => second.listen())).toBe('DNSTAP_ERR_ADDRESS_IN_USE');
    await second.close();
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY);
    await peer.hears(ACCEPT);
  });

  it('leaves a file alone that is no socket', async () => {
    const path = socketPath();
    writeFileSync(path, 'precious');
    const receiver = new Receiver({ endpoint: path, onFrame: () => {} });
    expect(await codeOfRejection(() => receiver.listen())).toBe('DNSTAP_ERR_ADDRESS_IN_USE');
    expect(statSync(path).size).toBe(8);
  });

  it('does not listen when the socket cannot be given to its owner', async () => {
    const path = socketPath();
    const owner = { uid: -2, gid: -2 }; // what no system takes
    const receiver = new Receiver({ endpoint: path, socketOwner: owner, onFrame: () => {} });
    expect(await codeOfRejection(() => receiver.listen())).toBe('DNSTAP_ERR_CONNECTION');
    expect(existsSync(path)).toBe(false);
  });

  it('fails with a code where it cannot listen, and says of a directory that it is missing', async () => {
    const receiver = new Receiver({ endpoint: join(directory, 'missing', 'x.sock'), onFrame: () => {} });
    await expect(receiver.listen()).rejects.toMatchObject({ code: 'DNSTAP_ERR_CONNECTION', cause: { code: 'ENOENT' } });
    const { receiver: first } = await listen();
    const second = new Receiver({ endpoint: first.endpoint, onFrame: () => {} });
    expect(await codeOfRejection(() => second.listen())).toBe('DNSTAP_ERR_ADDRESS_IN_USE');
  });
});

describe('Receiver over TLS', () => {
  let authority: Authority;
  let foreign: Authority;
  let server: Certificate;

  beforeAll(() => {
    authority = new Authority();
    foreign = new Authority('another authority');
    server = authority.issue('localhost', ['DNS:localhost', 'IP:127.0.0.1']);
  });

  afterAll(() => {
    authority.remove();
    foreign.remove();
  });

  function connect(receiver: Receiver, client?: Certificate): Peer {
    const port = Number(receiver.endpoint.split(':').at(-1));
    return new Peer(connectTls({ host: '127.0.0.1', port, ca: authority.cert, ...client }));
  }

  async function listenTls(tls: object = {}, options: Partial<ReceiverOptions> = {}): Promise<Listening> {
    return listen({ endpoint: 'tls://127.0.0.1:0', tls: { ...server, ...tls }, ...options });
  }

  async function completesSession(peer: Peer): Promise<void> {
    peer.send(READY + START + FRAME + STOP);
    await peer.closed;
    expect(peer.received).toBe(ACCEPT + FINISH);
  }

  it('takes a session, with long frames', async () => {
    const { receiver, frames } = await listenTls();
    const peer = connect(receiver);
    peer.send(READY + START + dataFrame(Buffer.alloc(100_000, 7)) + FRAME + STOP);
    await peer.closed;
    expect(peer.received).toBe(ACCEPT + FINISH);
    expect(frames.map((frame) => frame.length / 2)).toEqual([100_000, CLIENT_RESPONSE.length]);
  });

  it('drains: every frame that peers have written before close is delivered', async () => {
    const { receiver, frames } = await listenTls();
    const peers = [connect(receiver), connect(receiver), connect(receiver)];
    for (const peer of peers) peer.send(READY + START);
    for (const peer of peers) await peer.hears(ACCEPT);
    const written = peers.map(
      async ({ socket }) => new Promise((resolve) => void socket.write(bytes(FRAME.repeat(500)), resolve)),
    );
    await Promise.all(written);
    await receiver.close();
    expect(frames).toHaveLength(1500);
  });

  it('asks for a certificate of its authority', async () => {
    const { receiver, frames } = await listenTls({ ca: authority.cert });
    await completesSession(connect(receiver, authority.issue('coredns')));
    const without = connect(receiver);
    without.send(READY + START + FRAME);
    await without.closed;
    const wrong = connect(receiver, foreign.issue('coredns'));
    wrong.send(READY + START + FRAME);
    await wrong.closed;
    await until(() => receiver.statistics().openConnections === 0);
    expect(frames).toHaveLength(1);
    expect(receiver.statistics().failedConnections).toEqual({ DNSTAP_ERR_CONNECTION: 2 });
  });

  it('lets in by common name, DNS name or URI of the certificate, and nobody else', async () => {
    const allowedSubjects = ['coredns', 'dns.example.com', 'spiffe://cluster.local/ns/kube-system/sa/coredns'];
    const { receiver, frames } = await listenTls({ ca: authority.cert, allowedSubjects });
    await completesSession(connect(receiver, authority.issue('coredns')));
    await completesSession(connect(receiver, authority.issue('a', ['DNS:x.example.com', 'DNS:dns.example.com'])));
    const uri = 'URI:spiffe://cluster.local/ns/kube-system/sa/coredns';
    await completesSession(connect(receiver, authority.issue('b', [uri])));
    for (const name of ['mallory', 'coredns.example.com']) {
      const refused = connect(receiver, authority.issue(name, ['DNS:example.com']));
      refused.send(READY + START + FRAME);
      await refused.closed;
      expect(refused.received).toBe('');
    }
    expect(frames).toHaveLength(3);
    expect(receiver.statistics().failedConnections).toEqual({ DNSTAP_ERR_PEER_NOT_ALLOWED: 2 });
  });

  it('closes a client that does not speak TLS, and one that says nothing', async () => {
    const { receiver, ended } = await listenTls({}, { handshakeTimeoutMs: 60 });
    const endpoint = receiver.endpoint.replace('tls:', 'tcp:');
    const plain = await Peer.connect(endpoint);
    plain.send(READY);
    await plain.closed;
    const silent = await Peer.connect(endpoint);
    await silent.closed;
    await until(() => ended.length === 2);
    expect(ended.map((connection) => connection.error?.code)).toEqual([
      'DNSTAP_ERR_CONNECTION',
      'DNSTAP_ERR_HANDSHAKE_TIMEOUT',
    ]);
  });

  it('counts connections from TCP on, so that unfinished TLS handshakes are limited too', async () => {
    const { receiver } = await listenTls({}, { maxConnections: 1 });
    const endpoint = receiver.endpoint.replace('tls:', 'tcp:');
    await Peer.connect(endpoint);
    const second = await Peer.connect(endpoint);
    await second.closed;
    expect(receiver.statistics().refusedConnections).toEqual({ DNSTAP_ERR_TOO_MANY_CONNECTIONS: 1 });
  });

  it('refuses an allow list without an authority', async () => {
    const tls = { ...server, allowedSubjects: ['coredns'] };
    const receiver = new Receiver({ endpoint: 'tls://127.0.0.1:0', tls, onFrame: () => {} });
    expect(await codeOfRejection(() => receiver.listen())).toBe('DNSTAP_ERR_OPTION');
    const broken = new Receiver({ endpoint: 'tls://127.0.0.1:0', tls: { cert: 'x', key: 'y' }, onFrame: () => {} });
    expect(await codeOfRejection(() => broken.listen())).toBe('DNSTAP_ERR_OPTION');
  });
});

describe('FrameQueue', () => {
  it('hands frames to an async iterator, in order, as copies', async () => {
    const queue = new FrameQueue();
    const { receiver } = await listen({ onFrame: queue.onFrame });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + dataFrame(bytes('01')) + dataFrame(bytes('02')));
    const seen: string[] = [];
    for await (const { frame, connection } of queue) {
      seen.push(`${connection.id}:${frame.toString('hex')}`);
      if (seen.length === 2) peer.send(dataFrame(bytes('03')));
      if (seen.length === 3) queue.end();
    }
    expect(seen).toEqual(['1:01', '1:02', '1:03']);
  });

  it('drops the newest frames when full, and says how many, in all and by connection', async () => {
    const queue = new FrameQueue({ maxFrames: 3 });
    const { receiver } = await listen({ onFrame: queue.onFrame });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + ['01', '02', '03', '04', '05'].map((hex) => dataFrame(bytes(hex))).join(''));
    await until(() => receiver.statistics().frames === 5);
    expect(queue.length).toBe(3);
    expect(queue.droppedFrames).toBe(2);
    expect(receiver.statistics().droppedFrames).toBe(2);
    queue.end();
    const kept: string[] = [];
    for await (const { frame } of queue) kept.push(frame.toString('hex'));
    expect(kept).toEqual(['01', '02', '03']);
  });

  it('is bounded in bytes, too, and does not grow with what has passed', async () => {
    const queue = new FrameQueue({ maxBytes: 10 });
    const { receiver } = await listen({ onFrame: queue.onFrame });
    const peer = await Peer.connect(receiver.endpoint);
    peer.send(READY + START + dataFrame(Buffer.alloc(8)) + dataFrame(Buffer.alloc(8)));
    await until(() => receiver.statistics().frames === 2);
    expect(queue.droppedFrames).toBe(1);
    let passed = 0;
    for await (const { frame } of queue) {
      passed += frame.length;
      if (passed > 8 * 3000) queue.end();
      else peer.send(dataFrame(Buffer.alloc(8)));
    }
    expect(queue.droppedFrames).toBe(1);
    expect(await codeOfRejection(() => new FrameQueue({ maxFrames: 0 }))).toBe('DNSTAP_ERR_OPTION');
  });
});
