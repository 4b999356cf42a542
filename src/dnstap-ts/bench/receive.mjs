// Receive and split: our Receiver beside fstrm_capture writing to /dev/null, each with a sender in a process of its own
// that writes 4096 octets at a time. What counts is the receiver's CPU.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SEND = fileURLToPath(new URL('../../../scripts/bench/send.mjs', import.meta.url));
const CHILD = fileURLToPath(new URL('receive-child.mjs', import.meta.url));
const FRAMES = 4_000_000;
const RUNS = 3;

/** @returns rows of { name, ours, peer, peerName, unit, ratio } */
export async function run({ log = () => {} } = {}) {
  const figures = { split: [], scan: [], capture: [] };
  // In turn, so that a change of the machine's speed meets all.
  for (let turn = 1; turn <= RUNS; turn++) {
    log(`receive, run ${turn} of ${RUNS}`);
    figures.split.push(await withSocket((socket) => measureOurs(socket, '0')));
    figures.scan.push(await withSocket((socket) => measureOurs(socket, '1')));
    figures.capture.push(await withSocket(measureCapture));
  }
  const peer = median(figures.capture);
  const row = (name, ours) => ({
    name,
    ours,
    peer,
    peerName: 'fstrm_capture to /dev/null',
    unit: 'CPU us/frame',
    ratio: peer / ours,
  });
  return [
    row('receive and split', median(figures.split)),
    row('receive, split and scan the envelope', median(figures.scan)),
  ];
}

async function withSocket(measure) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  try {
    return await measure(join(directory, 's'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function measureOurs(socket, scan) {
  const child = spawn(process.execPath, [CHILD, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BENCH_SCAN: scan },
  });
  const output = text(child.stdout);
  await listening(socket, child);
  await send(socket);
  const { frames, cpuSeconds } = JSON.parse(await output);
  if (frames !== FRAMES) throw new Error(`we received ${frames} of ${FRAMES} frames`);
  return (cpuSeconds * 1e6) / FRAMES;
}

async function measureCapture(socket) {
  const args = ['-t', 'protobuf:dnstap.Dnstap', '-u', socket, '-w', '/dev/null'];
  const child = spawn('fstrm_capture', args, { stdio: 'ignore' });
  await listening(socket, child);
  const before = cpuSeconds(child.pid);
  await send(socket);
  const used = cpuSeconds(child.pid) - before;
  child.kill();
  return (used * 1e6) / FRAMES;
}

async function send(socket) {
  const sender = spawn(process.execPath, [SEND, socket, String(FRAMES)], { stdio: 'inherit' });
  const [code] = await new Promise((resolve) => sender.once('exit', (...status) => resolve(status)));
  if (code !== 0) throw new Error(`the sender ended with ${code}`);
}

/** Waits until a child listens; throws when it ends instead. */
export async function listening(socket, child) {
  while (!existsSync(socket)) {
    if (child.exitCode !== null) throw new Error(`the receiver ended with ${child.exitCode}`);
    await delay(10);
  }
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** User and system time of another process: fields 14 and 15 of proc(5) stat, counted behind the name in brackets. */
function cpuSeconds(processId) {
  const fields = readFileSync(`/proc/${processId}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
