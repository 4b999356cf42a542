// Paced at 300,000 frames a second from one sender, and at 100,000 from each of three: none lost, an event loop that stays
// free, memory that does not grow. The peer of these rows is the limit we have set ourselves.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { listening } from './receive.mjs';

const CHILD = fileURLToPath(new URL('receive-child.mjs', import.meta.url));
const SEND = fileURLToPath(new URL('paced-send.mjs', import.meta.url));
const SECONDS = Number(process.env.BENCH_PACED_SECONDS ?? 30);
const MAX_DELAY_P99_MS = 5;
const MAX_RSS_GROWTH_MIB = 16;

/** @returns rows of { name, ours, peer, peerName, unit, ratio } */
export async function run({ log = () => {} } = {}) {
  const rows = [];
  for (const { senders, rate } of [
    { senders: 1, rate: 300_000 },
    { senders: 3, rate: 100_000 },
  ]) {
    log(`paced, ${senders} x ${rate} frames/s for ${SECONDS} s`);
    rows.push(...(await measure(senders, rate)));
  }
  return rows;
}

async function measure(senders, rate) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  try {
    const socket = join(directory, 's');
    const child = spawn(process.execPath, [CHILD, socket, String(senders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, BENCH_SCAN: '1' },
    });
    const output = text(child.stdout);
    await listening(socket, child);
    const sending = Array.from({ length: senders }, () => {
      const sender = spawn(process.execPath, [SEND, socket, String(rate), String(SECONDS)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return text(sender.stdout);
    });
    const sent = (await Promise.all(sending)).reduce((sum, count) => sum + Number(count), 0);
    return rowsOf(`paced ${senders} x ${rate / 1000}k/s`, sent, JSON.parse(await output));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function rowsOf(name, sent, { frames, delayP99Ms, rssMiB }) {
  if (frames !== sent) throw new Error(`${name}: ${sent - frames} of ${sent} frames lost`);
  const row = (what, unit, ours, peer) => ({
    name: `${name}, ${what}`,
    unit,
    ours,
    peer,
    peerName: 'limit',
    ratio: peer / ours,
  });
  const half = rssMiB.slice(Math.floor(rssMiB.length / 2));
  return [
    row('event loop delay p99', 'ms', Math.max(delayP99Ms, 0.01), MAX_DELAY_P99_MS),
    row('growth of RSS in the second half', 'MiB', Math.max(half.at(-1) - half[0], 0.01), MAX_RSS_GROWTH_MIB),
  ];
}
