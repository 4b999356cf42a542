// send.mjs SOCKET COUNT [CAPTURE]: sends at least COUNT frames, made up or those of a capture again and again, over a unix
// socket in writes of 4096 octets, as CoreDNS does under load.
import { writeSync } from 'node:fs';
import { connect } from 'node:net';
import { readFrameStreamFile } from 'dnstap-ts';
import { encodeFrames } from './frames.mjs';

const [path, count, capture] = process.argv.slice(2);
const DISTINCT = 20_000;
const WRITE_OCTETS = 4096;
const CONTENT_TYPE = Buffer.from('protobuf:dnstap.Dnstap');
const control = (type, contentType) => {
  const field = contentType ? Buffer.concat([Buffer.from('0000000100000016', 'hex'), CONTENT_TYPE]) : Buffer.alloc(0);
  const header = Buffer.alloc(12);
  header.writeUInt32BE(4 + field.length, 4);
  header.writeUInt32BE(type, 8);
  return Buffer.concat([header, field]);
};
const [READY, START, STOP] = [control(4, true), control(2, true), control(3, false)];

const distinct = capture === undefined ? DISTINCT : await countFrames(capture);
const frames = capture === undefined ? encodeFrames(DISTINCT) : await readFrames(capture);
const rounds = Math.ceil(Number(count) / distinct);

async function countFrames(file) {
  return (await readFrameStreamFile(file, { onFrame: () => {} })).frames;
}

/** The frames of a capture with their length in front, glued together. */
async function readFrames(file) {
  const pieces = [];
  await readFrameStreamFile(file, {
    onFrame: (buffer, start, end) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(end - start);
      pieces.push(length, Buffer.from(buffer.subarray(start, end)));
    },
  });
  return Buffer.concat(pieces);
}

const socket = connect(path);
const clock = new Int32Array(new SharedArrayBuffer(4));

/** Writes to the socket at once. Node's own stream costs the sender more than all that the receiver does. */
function write(bytes) {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(socket._handle.fd, bytes, at);
    } catch (err) {
      if (err.code !== 'EAGAIN') throw err;
      Atomics.wait(clock, 0, 0, 0.1); // the receiver is behind
    }
  }
}

socket.once('connect', () => write(READY));
socket.once('data', () => {
  write(START);
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < frames.length; at += WRITE_OCTETS) write(frames.subarray(at, at + WRITE_OCTETS));
  }
  write(STOP);
  socket.once('data', () => socket.end());
});
socket.on('error', (err) => {
  throw err;
});
