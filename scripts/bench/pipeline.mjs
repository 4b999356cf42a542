// The whole collect pipeline, Frame Streams to merged Observations, beside golang-dnstap with miekg/dns decoding the same
// frames: each receives over a unix socket from a sender in a process of its own, and what counts is the receiver's CPU.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, '..', '..', 'dist');
const FRAMES = 4_000_000;
const RUNS = 3;

/** @returns rows of { name, ours, peer, peerName, unit, ratio } */
export async function run({ partPath, log }) {
  const golang = await partPath('golang-dnstap-bench');
  const rows = { ours: [], peer: [] };
  // In turn, so that a change of the machine's speed meets both.
  for (let i = 1; i <= RUNS; i++) {
    log(`pipeline, run ${i} of ${RUNS}`);
    rows.ours.push(await measure(process.execPath, (socket) => [join(HERE, 'collect.mjs'), socket, DIST]));
    rows.peer.push(await measure(golang, (socket) => ['-unix', socket]));
  }
  const cpu = (result) => ((result.cpuUserSeconds + result.cpuSystemSeconds) * 1e6) / result.frames;
  const rate = (result) => result.frames / result.wallSeconds / 1000;
  const row = (name, unit, figure, ratioOf) => {
    const [ours, peer] = [median(rows.ours.map(figure)), median(rows.peer.map(figure))];
    return { name, unit, ours, peer, peerName: 'golang-dnstap + miekg/dns', ratio: ratioOf(ours, peer) };
  };
  return [
    row('receive, decode, merge per (client, host)', 'CPU us/frame', cpu, (ours, peer) => peer / ours),
    row('receive, decode, merge per (client, host)', '1000 frames/s', rate, (ours, peer) => ours / peer),
  ];
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure(command, args) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const socket = join(directory, 's');
  try {
    const receiver = output(command, args(socket));
    await listening(socket);
    const sender = spawn(process.execPath, [join(HERE, 'send.mjs'), socket, String(FRAMES)], { stdio: 'inherit' });
    const result = JSON.parse(await receiver);
    if (sender.exitCode === null) await new Promise((resolve) => sender.once('exit', resolve));
    if (result.frames !== FRAMES) throw new Error(`${command} saw ${result.frames} of ${FRAMES} frames`);
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function output(command, args) {
  return new Promise((resolve, reject) => {
    execFile(command, args, (err, stdout) => (err === null ? resolve(stdout) : reject(err)));
  });
}

async function listening(socket) {
  const { existsSync } = await import('node:fs');
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
}
