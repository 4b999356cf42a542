// paced-send.mjs SOCKET FRAMES_PER_SECOND SECONDS: sends frames at a steady pace in writes of 4096 octets, and prints how
// many. Writes that do not fit are tried again: nothing is dropped here.
import { writeSync } from 'node:fs';
import { connect } from 'node:net';

import { encodeFrames } from '../../../scripts/bench/frames.mjs';

const [path, rate, seconds] = process.argv.slice(2);
const DISTINCT = 20_000;
const WRITE_OCTETS = 4096;
const CONTENT_TYPE = `0000000100000016${Buffer.from('protobuf:dnstap.Dnstap').toString('hex')}`;
const frames = encodeFrames(DISTINCT);
const ends = [];
for (let position = 0; position < frames.length;) {
  position += 4 + frames.readUInt32BE(position);
  ends.push(position);
}
const clock = new Int32Array(new SharedArrayBuffer(4));
const socket = connect(path, () => write(Buffer.from(`000000000000002200000004${CONTENT_TYPE}`, 'hex')));

function write(bytes) {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(socket._handle.fd, bytes, at, Math.min(WRITE_OCTETS, bytes.length - at));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(clock, 0, 0, 0.1);
    }
  }
}

function sendFrames(count) {
  for (let first = sent % DISTINCT, left = count; left > 0; first = 0) {
    const last = Math.min(DISTINCT, first + left);
    write(frames.subarray(first === 0 ? 0 : ends[first - 1], ends[last - 1]));
    left -= last - first;
  }
  sent += count;
}

let sent = 0;
socket.once('data', () => {
  write(Buffer.from(`000000000000002200000002${CONTENT_TYPE}`, 'hex'));
  const start = performance.now();
  const timer = setInterval(() => {
    const elapsed = Math.min((performance.now() - start) / 1000, Number(seconds));
    const due = Math.floor(elapsed * Number(rate)) - sent;
    if (due > 0) sendFrames(due);
    if (elapsed < Number(seconds)) return;
    clearInterval(timer);
    write(Buffer.from('000000000000000400000003', 'hex'));
    process.stdout.write(String(sent));
    socket.once('data', () => socket.end());
  }, 1);
});
