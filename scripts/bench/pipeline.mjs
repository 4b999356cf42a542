// The whole collect pipeline, Frame Streams to merged Observations, beside golang-dnstap with miekg/dns decoding the same
// frames: each receives over a unix socket from a sender in a process of its own, and what counts is the receiver's CPU.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, '..', '..', 'dist');
const FRAMES = 4_000_000;
const INPUTS = {
  'frames of a recorded capture': join(HERE, '..', '..', 'test', 'data', 'coredns.fstrm.gz'),
  'made-up answers of 209 octets': undefined,
};
const RUNS = 3;

/** @returns rows of { name, ours, peer, peerName, unit, ratio } */
export async function run({ partPath, log }) {
  const golang = await partPath('golang-dnstap-bench');
  const script = (name) => (socket) => [join(HERE, name), socket, DIST];
  const ours = { command: process.execPath, args: script('collect.mjs') };
  const peers = {
    'golang-dnstap + miekg/dns': { command: golang, args: (socket) => ['-unix', socket], share: 1 },
    'protobufjs + dns-packet': { command: process.execPath, args: script('collect-with-packages.mjs'), share: 1 / 4 },
  };
  const rows = [];
  for (const [input, capture] of Object.entries(INPUTS)) {
    rows.push(...(await compare({ input, capture, ours, peers, log })));
  }
  return rows;
}

async function compare({ input, capture, ours, peers, log }) {
  const programs = Object.entries({ ours: { ...ours, share: 1 }, ...peers });
  const results = Object.fromEntries(programs.map(([name]) => [name, []]));
  // In turn, so that a change of the machine's speed meets all.
  for (let i = 1; i <= RUNS; i++) {
    for (const [name, program] of programs) {
      log(`pipeline, ${input}, run ${i} of ${RUNS}: ${name}`);
      results[name].push(await measure({ ...program, frames: FRAMES * program.share, capture }));
    }
  }
  return Object.keys(peers).flatMap((peerName) => {
    const peer = { peerName, peer: results[peerName] };
    return [
      row({ input, unit: 'CPU us/frame', figure: cpuPerFrame, isCost: true }, results.ours, peer),
      row({ input, unit: '1000 frames/s', figure: framesPerSecond, isCost: false }, results.ours, peer),
    ];
  });
}

const cpuPerFrame = (result) => ((result.cpuUserSeconds + result.cpuSystemSeconds) * 1e6) / result.frames;
const framesPerSecond = (result) => result.frames / result.wallSeconds / 1000;

function row({ input, unit, figure, isCost }, ours, { peerName, peer }) {
  const [own, other] = [median(ours.map(figure)), median(peer.map(figure))];
  const name = `receive, decode, merge: ${input}`;
  return { name, unit, ours: own, peer: other, peerName, ratio: isCost ? other / own : own / other };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure({ command, args, frames, capture }) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const socket = join(directory, 's');
  try {
    const receiver = output(command, args(socket));
    await listening(socket);
    const sender = spawn(
      process.execPath,
      [join(HERE, 'send.mjs'), socket, String(frames), ...(capture === undefined ? [] : [capture])],
      { stdio: 'inherit' },
    );
    const result = JSON.parse(await receiver);
    if (sender.exitCode === null) await new Promise((resolve) => sender.once('exit', resolve));
    if (result.frames < frames) throw new Error(`${command} saw ${result.frames} of ${frames} frames`);
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
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
}
