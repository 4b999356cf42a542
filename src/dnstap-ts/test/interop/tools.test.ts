import { existsSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';

import { runCommand } from '../../../../test/support/command.js';
import { freePort } from '../../../../test/support/free-port.js';
import { partPath } from '../../../../test/support/parts.js';
import { acceptsTcp } from '../../../../test/support/probe.js';
import { startPart, type Part } from '../../../../test/support/process.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import { encodeDnstap, MessageType, readFrameStreamFile, Sender } from '../../src/index.js';
import type { DnstapJson } from '../../src/message-json.js';
import { dnstapArbitrary } from '../support/arbitraries.js';
import { CLIENT_QUERY, CLIENT_RESPONSE, READY, START } from '../support/frames.js';
import { readFieldsWithGolang, withoutText } from './golang-dnstap.js';
import { startTap, writeCapture } from './tap.js';
import { startWire } from './wire.js';

const DNSTAP_TS = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Ordinary frames, frames with any content, and one of 60 KiB, which DNS over TCP makes. */
const FRAMES: readonly Uint8Array[] = [
  CLIENT_QUERY,
  CLIENT_RESPONSE,
  ...fc.sample(dnstapArbitrary, { numRuns: 200, seed: 7 }).map((frame) => encodeDnstap(frame)),
  encodeDnstap({
    type: 1,
    message: { type: MessageType.CLIENT_RESPONSE, responseMessage: Buffer.alloc(60 * 1024, 1) },
  }),
  CLIENT_RESPONSE,
];
const HEX = FRAMES.map((frame) => Buffer.from(frame).toString('hex'));
const START_AND_STOP_BYTES = 42 + 12;
const STREAM_BYTES = FRAMES.reduce((sum, { length }) => sum + 4 + length, START_AND_STOP_BYTES);
const CONTENT_TYPE = 'protobuf:dnstap.Dnstap';

async function readAll(file: string): Promise<readonly string[]> {
  const frames: string[] = [];
  const result = await readFrameStreamFile(file, {
    onFrame: (buffer, start, end) => void frames.push(buffer.toString('hex', start, end)),
  });
  expect(result).toMatchObject({ complete: true, truncatedBytes: 0, trailingBytes: 0, oversizeFrames: 0 });
  return frames;
}

interface Consumer {
  readonly name: string;
  readonly start: (options: { address: string; port: number; file: string }) => Promise<Part>;
  readonly kind: 'unix' | 'tcp';
  /** Ends it, and with it its file; golang-dnstap finishes a file only to begin another one. */
  readonly signal: 'SIGINT' | 'SIGHUP';
}

const CONSUMERS: readonly Consumer[] = [
  {
    name: 'fstrm_capture over a unix socket',
    signal: 'SIGINT',
    kind: 'unix',
    start: ({ address, file }) =>
      startPart({
        name: 'fstrm_capture',
        command: 'fstrm_capture',
        args: ['-t', CONTENT_TYPE, '-u', address, '-w', file],
        ready: () => existsSync(address),
      }),
  },
  {
    name: 'fstrm_capture over TCP',
    signal: 'SIGINT',
    kind: 'tcp',
    start: ({ port, file }) =>
      startPart({
        name: 'fstrm_capture',
        command: 'fstrm_capture',
        args: ['-t', CONTENT_TYPE, '-a', '127.0.0.1', '-p', String(port), '-w', file],
        ready: async () => acceptsTcp('127.0.0.1', port),
      }),
  },
  {
    name: 'golang-dnstap over a unix socket',
    signal: 'SIGHUP',
    kind: 'unix',
    start: async ({ address, file }) =>
      startPart({
        name: 'dnstap',
        command: await partPath('dnstap'),
        args: ['-u', address, '-w', file],
        ready: () => existsSync(address),
      }),
  },
  {
    name: 'golang-dnstap over TCP',
    signal: 'SIGHUP',
    kind: 'tcp',
    start: async ({ port, file }) =>
      startPart({
        name: 'dnstap',
        command: await partPath('dnstap'),
        args: ['-l', `127.0.0.1:${port}`, '-w', file],
        ready: async () => acceptsTcp('127.0.0.1', port),
      }),
  },
];

describe('our sender', () => {
  it.each(CONSUMERS)('to $name, whose file we read', async ({ kind, start, signal }) => {
    const directory = createTemporaryDirectory();
    const [address, file, port] = [directory.file('c.sock'), directory.file('c.fstrm'), await freePort()];
    const consumer = await start({ address, port, file });
    const sender = new Sender({ endpoint: kind === 'unix' ? address : `tcp://127.0.0.1:${port}` });
    for (const frame of FRAMES) expect(sender.send(frame)).toBe(true);
    expect(await sender.close()).toBe(true);
    expect(sender.statistics()).toMatchObject({ confirmedFrames: FRAMES.length, unconfirmedFrames: 0 });
    const finished = directory.file('finished.fstrm');
    renameSync(file, finished);
    await consumer.kill(signal);
    await waitUntil(() => statSync(finished).size === STREAM_BYTES);
    expect(await readAll(finished)).toEqual(HEX);
  });
});

describe('our files', () => {
  it('are read by fstrm_dump, frame by frame', async () => {
    const directory = createTemporaryDirectory();
    const file = directory.file('ours.fstrm');
    await writeCapture(file, FRAMES);
    const { stdout, stderr } = await runCommand('fstrm_dump', [file]);
    const text = `${stdout}${stderr}`;
    expect(text.match(/^Data frame \(\d+\) bytes\.$/gm)).toEqual(
      FRAMES.map(({ length }) => `Data frame (${length}) bytes.`),
    );
    expect(text).toContain('FSTRM_CONTROL_START');
    expect(text).toContain('FSTRM_CONTROL_STOP');
  });

  it('are read by kdig', async () => {
    const file = createTemporaryDirectory().file('ours.fstrm');
    await writeCapture(file, [CLIENT_QUERY, CLIENT_RESPONSE]);
    const { stdout } = await runCommand('kdig', ['-G', file]);
    expect(stdout.match(/; id: \d+$/gm)).toEqual(['; id: 4660']); // it shows responses only
    expect(stdout).toMatch(/^x\.t\.test\.\s+5\s+IN\s+A\s+10\.0\.0\.1$/m);
  });

  it('are read by golang-dnstap, every field of frames with any content, as `decode --json` shows them', async () => {
    // The schema of golang-dnstap 0.4.0 is older than policy and http_protocol.
    const known = dnstapArbitrary.map(({ message, ...frame }) =>
      message ? { ...frame, message: { ...message, policy: null, httpProtocol: null } } : frame,
    );
    const frames = fc.sample(known, { numRuns: 500, seed: 11 }).map((frame) => encodeDnstap(frame));
    const file = createTemporaryDirectory().file('ours.fstrm');
    await writeCapture(file, frames);
    const { stdout } = await runCommand(process.execPath, [DNSTAP_TS, 'decode', '--json', file]);
    const ours = stdout.trimEnd().split('\n');
    expect(ours.map((line) => withoutText(JSON.parse(line) as DnstapJson))).toEqual(await readFieldsWithGolang(file));
    expect(ours).toHaveLength(frames.length);
  });
});

interface Producer {
  readonly name: string;
  readonly kind: 'unix' | 'tcp';
  readonly run: (options: { address: string; file: string }) => Promise<unknown>;
}

function hostAndPort(address: string): readonly [string, string] {
  const [host = '', port = ''] = address.split(':');
  return [host, port];
}

const PRODUCERS: readonly Producer[] = [
  {
    name: 'fstrm_replay over a unix socket',
    kind: 'unix',
    run: ({ address, file }) => runCommand('fstrm_replay', ['-t', CONTENT_TYPE, '-u', address, '-r', file]),
  },
  {
    name: 'fstrm_replay over TCP',
    kind: 'tcp',
    run: ({ address, file }) => {
      const [host, port] = hostAndPort(address);
      return runCommand('fstrm_replay', ['-t', CONTENT_TYPE, '-a', host, '-p', port, '-r', file]);
    },
  },
  {
    name: 'golang-dnstap over a unix socket',
    kind: 'unix',
    run: async ({ address, file }) => runCommand(await partPath('dnstap'), ['-r', file, '-U', address]),
  },
  {
    name: 'golang-dnstap over TCP',
    kind: 'tcp',
    run: async ({ address, file }) => runCommand(await partPath('dnstap'), ['-r', file, '-T', address]),
  },
];

describe('our receiver', () => {
  it.each(PRODUCERS)('from $name, which reads our file', async ({ kind, run }) => {
    const directory = createTemporaryDirectory();
    const file = directory.file('ours.fstrm');
    await writeCapture(file, FRAMES);
    const tap = await startTap(kind);
    const wire = kind === 'unix' ? await startWire(tap.address) : undefined;
    await run({ address: wire?.address ?? tap.address, file });
    const chunks = wire?.connections[0] ?? [];
    await waitUntil(() => tap.closed.length > 0 && tap.frames.length === FRAMES.length);
    expect(tap.frames.map((frame) => frame.toString('hex'))).toEqual(HEX);
    expect(tap.closed.map(({ error }) => error)).toEqual([undefined]);
    if (kind !== 'unix') return;
    // READY, and after our ACCEPT one write with START and frames, far longer than those of CoreDNS.
    expect(chunks.slice(0, 2).map((chunk) => chunk.toString('hex', 0, START.length / 2))).toEqual([READY, START]);
    expect(Math.max(...chunks.map(({ length }) => length))).toBeGreaterThan(32 * 1024);
  });
});
