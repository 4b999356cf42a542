import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { ControlType, DNSTAP_CONTENT_TYPE, encodeControlFrame } from 'dnstap-ts';
import { Collector } from '../../src/intake/dnstap/collector.js';
import { ConnectionLog } from '../../src/intake/dnstap/connection-log.js';
import { corefileLine } from '../../src/install/corefile/corefile-line.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { Authority } from '../../src/dnstap-ts/test/support/certificates.js';
import { askByUdp } from '../../src/dnstap-ts/test/interop/dns-client.js';
import { startCoreDns } from '../support/coredns.js';
import { freePort } from '../support/free-port.js';
import { acceptsTcp } from '../support/probe.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

const log = createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now });
const START = encodeControlFrame({ type: ControlType.START, contentTypes: [DNSTAP_CONTENT_TYPE] });
const STOP = encodeControlFrame({ type: ControlType.STOP, contentTypes: [] });

it('says how many DNS servers are connected, and whether one went without saying so', async () => {
  const path = createTemporaryDirectory().file('s');
  const changes: (readonly [number, boolean])[] = [];
  const collector = new Collector({
    endpoints: [`unix://${path}`],
    intake: () => undefined,
    maxConnections: 10,
    maxFrameBytes: 65_536,
    socketMode: 0o600,
    onConnections: (connections, wasCut) => changes.push([connections, wasCut]),
    log,
  });
  await collector.listen();
  const open = async (bytes: Uint8Array): Promise<Socket> => {
    const socket = connect(path);
    socket.resume().on('error', () => undefined); // how it ends is what the collector is asked
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  };
  const count = async (changed: number): Promise<boolean> => waitUntil(() => changes.length === changed);
  const orderly = await open(START);
  await count(1);
  const killed = await open(START);
  await count(2);
  (await open(new Uint8Array())).destroy(); // no DNS server yet
  orderly.write(STOP);
  await count(3);
  killed.destroy();
  await count(4);
  expect(changes).toEqual([
    [1, false],
    [2, false],
    [1, false],
    [0, true],
  ]);
  await collector.close();
});

const limits = { maxConnections: 10, maxFrameBytes: 65_536, socketMode: 0o600 };

it.each(['coredns', 'coredns-1.11'] as const)('takes %s over TLS, by the line that it is given', async (part) => {
  const authority = new Authority();
  const { cert, key } = authority.issue('collector', ['IP:127.0.0.1']);
  let frames = 0;
  const intake = (): void => void (frames += 1);
  const collector = new Collector({ ...limits, endpoints: ['tls://127.0.0.1:0'], intake, tls: { cert, key }, log });
  await collector.listen();
  const tap = corefileLine({ endpoint: collector.endpoints[0] ?? '', version: '1.11.0' });
  if (!('line' in tap)) throw new Error(tap.refused);
  expect(tap.cautions).toContain('tls-trust');
  const port = await freePort();
  await startCoreDns({
    part,
    corefile: `.:${port} {\n  bind 127.0.0.1\n  ${tap.line}\n  whoami\n  health 127.0.0.1:${await freePort()}\n}\n`,
    files: { 'ca.pem': authority.cert },
    environment: { SSL_CERT_FILE: 'ca.pem' },
    ready: async () => acceptsTcp('127.0.0.1', port),
  });
  await waitUntil(() => collector.connections().some(({ started }) => started));
  await askByUdp(port, 'www.example.com');
  await waitUntil(() => frames === 2); // the query and the response
  await collector.close();
  authority.remove();
});

it('takes nobody from a network that is not allowed', async () => {
  const collector = new Collector({
    ...limits,
    endpoints: ['tcp://127.0.0.1:0'],
    intake: () => undefined,
    allowedAddresses: ['192.0.2.0/24'],
    log,
  });
  await collector.listen();
  const socket = connect(Number(new URL(collector.endpoints[0] ?? '').port), '127.0.0.1');
  socket.resume().on('error', () => undefined); // closed or reset: either is a refusal
  await once(socket, 'close');
  expect(collector.connections()).toEqual([]);
  await collector.close();
});

it('listens nowhere when it cannot listen everywhere, so that its process can end', async () => {
  const port = await freePort();
  const taken = createServer().listen(port, '127.0.0.1');
  await once(taken, 'listening');
  const path = createTemporaryDirectory().file('s');
  const endpoints = [`unix://${path}`, `tcp://127.0.0.1:${port}`];
  const collector = new Collector({ ...limits, endpoints, intake: () => undefined, log });
  await expect(collector.listen()).rejects.toMatchObject({ code: 'DNSTAP_ERR_ADDRESS_IN_USE' });
  expect(existsSync(path)).toBe(false);
  taken.close();
});

it('counts the frames that it skipped and the connections that failed, and does not take a probe for one', async () => {
  const lines: string[] = [];
  const collector = new Collector({
    ...limits,
    endpoints: ['tcp://127.0.0.1:0'],
    intake: () => undefined,
    log: createLogger({ level: 'info', format: 'json', stream: lineStream(lines), now: Date.now }),
  });
  await collector.listen();
  const port = Number(new URL(collector.endpoints[0] ?? '').port);
  const say = async (bytes: Uint8Array): Promise<void> => {
    const socket = connect(port, '127.0.0.1').resume();
    socket.on('error', () => undefined); // the collector may reset it
    socket.end(bytes);
    await once(socket, 'close');
  };
  await say(new Uint8Array()); // a probe
  await say(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  const oversize = Buffer.alloc(4 + limits.maxFrameBytes + 1);
  oversize.writeUInt32BE(limits.maxFrameBytes + 1);
  await say(Buffer.concat([START, oversize, STOP]));
  await waitUntil(() => collector.statistics().oversizeFrames === 1);
  expect(collector.statistics()).toEqual({
    frames: 0,
    oversizeFrames: 1,
    refusedConnections: new Map(),
    failedConnections: new Map([['DNSTAP_ERR_NOT_FRAME_STREAMS', 1]]),
  });
  await collector.close();
  const told = lines.map((line) => JSON.parse(line) as { readonly msg: string; readonly code?: string });
  expect(told.map(({ msg, code }) => [msg, code])).toEqual([
    ['listening for dnstap', undefined],
    ['dnstap handshake failed', 'DNSTAP_ERR_NOT_FRAME_STREAMS'],
    ['dnstap connected', undefined],
    ['dnstap disconnected', undefined],
  ]);
});

it('tells of ten connections of a kind in a minute, and then how many more there were', () => {
  const lines: string[] = [];
  let nowMs = 0;
  const log = createLogger({ level: 'info', format: 'json', stream: lineStream(lines), now: () => 0 });
  const told = new ConnectionLog(log, () => nowMs);
  for (let connection = 0; connection < 1000; connection++) told.tell('info', 'dnstap connected', {});
  told.tell('warn', 'dnstap connection refused', { code: 'A' });
  expect(lines).toHaveLength(11);
  nowMs = 60_000;
  told.tell('info', 'dnstap connected', {});
  told.tell('info', 'dnstap connected', {});
  expect(lines.slice(11).map((line) => (JSON.parse(line) as { unlogged?: number }).unlogged)).toEqual([990, undefined]);
});

function lineStream(lines: string[]): PassThrough {
  const stream = new PassThrough();
  stream.on('data', (chunk: Buffer) => lines.push(...chunk.toString().trimEnd().split('\n')));
  return stream;
}
