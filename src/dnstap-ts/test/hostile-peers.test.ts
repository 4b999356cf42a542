import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { Receiver, Sender } from '../src/index.js';
import { bytes, CLIENT_RESPONSE, dataFrame, READY, START } from './support/frames.js';
import { Peer, until } from './support/peer.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const CONNECTIONS = 10_000;
const FRAME_LIMIT_MIB = 0.25;
const directory = temporaryDirectory();
const children: ChildProcess[] = [];
let sockets = 0;

afterEach(async () => {
  for (const child of children.splice(0)) {
    const exited = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGKILL')) await exited;
  }
});

interface Child {
  readonly process: ChildProcess;
  readonly lines: Interface;
}

function start(script: string, ...args: readonly string[]): Child {
  const file = fileURLToPath(new URL(`support/${script}`, import.meta.url));
  // As many files as the system lets a process open: each connection is one.
  const command = 'ulimit -n "$(ulimit -Hn)"; exec "$0" --expose-gc "$@"';
  const child = spawn('bash', ['-c', command, process.execPath, file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return { process: child, lines: createInterface({ input: child.stdout }) };
}

interface State {
  readonly rssMiB: number;
  readonly openConnections: number;
  readonly frames: number;
}

class MeasuredReceiver {
  readonly path: string;
  readonly #child: Child;

  private constructor(path: string, child: Child) {
    this.path = path;
    this.#child = child;
  }

  static async start(): Promise<MeasuredReceiver> {
    const path = join(directory, `${++sockets}.sock`);
    const child = start('hostile-receiver.mjs', path);
    await once(child.lines, 'line');
    return new MeasuredReceiver(path, child);
  }

  async state(): Promise<State> {
    const answer = once(this.#child.lines, 'line');
    this.#child.process.stdin?.write('\n');
    const [line] = (await answer) as [string];
    return JSON.parse(line) as State;
  }

  async stateWith(connections: number): Promise<State> {
    let state = await this.state();
    while (state.openConnections < connections) state = await this.state();
    await new Promise((resolve) => setTimeout(resolve, 200)); // for what is on its way
    return this.state();
  }
}

/** The receiver still takes an honest sender's frames. */
async function expectService(path: string): Promise<void> {
  const sender = new Sender({ endpoint: path });
  for (let count = 0; count < 100; count++) sender.send(CLIENT_RESPONSE);
  expect(await sender.close()).toBe(true);
}

describe('a receiver with hostile peers', () => {
  it('serves on beside 10,000 connections that have begun a frame, each for little memory', async () => {
    const receiver = await MeasuredReceiver.start();
    const before = await receiver.state();
    const begun = `${READY}${START}0003ffff`;
    const peers = start('hostile-peers.mjs', receiver.path, String(CONNECTIONS), begun, '500');
    await once(peers.lines, 'line');
    const { openConnections, rssMiB } = await receiver.stateWith(CONNECTIONS);
    expect(openConnections).toBe(CONNECTIONS);
    // 500 bytes have come of a frame of 256 KiB: 4 KiB each, and what Node needs for a socket.
    expect(rssMiB - before.rssMiB).toBeLessThan(CONNECTIONS * 0.03);
    await expectService(receiver.path);
  }, 120_000);

  it('never keeps more than a frame for a connection', async () => {
    const connections = 400;
    const receiver = await MeasuredReceiver.start();
    const before = await receiver.state();
    const almostWhole = String(256 * 1024 - 100);
    const peers = start(
      'hostile-peers.mjs',
      receiver.path,
      String(connections),
      `${READY}${START}00040000`,
      almostWhole,
    );
    await once(peers.lines, 'line');
    const { rssMiB } = await receiver.stateWith(connections);
    expect(rssMiB - before.rssMiB).toBeLessThan(connections * FRAME_LIMIT_MIB * 1.25 + 32);
    await expectService(receiver.path);
  }, 60_000);

  it('keeps nothing of frames that are too long', async () => {
    const connections = 100;
    const receiver = await MeasuredReceiver.start();
    const before = await receiver.state();
    const peers = start('hostile-peers.mjs', receiver.path, String(connections), `${READY}${START}00f00000`, '1000000');
    await once(peers.lines, 'line');
    const { rssMiB } = await receiver.stateWith(connections);
    expect(rssMiB - before.rssMiB).toBeLessThan(32);
    await expectService(receiver.path);
  }, 60_000);

  it('is not held up by a peer that never reads', async () => {
    const frames: number[] = [];
    const receiver = new Receiver({
      endpoint: 'tcp://127.0.0.1:0',
      onFrame: (_buffer, start, end) => void frames.push(end - start),
    });
    await receiver.listen();
    const peer = await Peer.connect(receiver.endpoint);
    peer.socket.pause();
    peer.send(READY + START + dataFrame(bytes('01')).repeat(1000));
    await until(() => frames.length === 1000);
    await receiver.close();
    expect(receiver.statistics().openConnections).toBe(0);
  });

  it('assembles a frame that comes a byte at a time', async () => {
    const frames: string[] = [];
    const receiver = new Receiver({
      endpoint: 'tcp://127.0.0.1:0',
      onFrame: (buffer, start, end) => void frames.push(buffer.toString('hex', start, end)),
    });
    await receiver.listen();
    const peer = await Peer.connect(receiver.endpoint);
    peer.socket.setNoDelay(true);
    for (const byte of bytes(READY + START + dataFrame(CLIENT_RESPONSE))) {
      peer.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => frames.length === 1);
    expect(frames).toEqual([CLIENT_RESPONSE.toString('hex')]);
    await receiver.close();
  });
});
