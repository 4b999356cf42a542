// codec-child.mjs WHAT: CPU nanoseconds a frame of one way to decode or encode, in a process of its own: what V8 has
// learnt from one way must not count for another.
import { encodeFrames } from '../../../scripts/bench/frames.mjs';
import { decodeDnstap, DnstapView, encodeDnstap } from '../dist/index.js';
import { dnstap } from '../generated/dnstap.js';

const FRAMES = 20_000;
const ROUNDS = 30;
const WARM_UP_ROUNDS = 10;

const stream = encodeFrames(FRAMES);
const frames = [];
for (let position = 0; position < stream.length;) {
  const length = stream.readUInt32BE(position);
  frames.push(stream.subarray(position + 4, position + 4 + length));
  position += 4 + length;
}
const view = new DnstapView();

const WAYS = {
  view: [frames, (frame) => view.scan(frame, 0, frame.length)],
  decode: [frames, decodeDnstap],
  'decode-generated': [frames, (frame) => dnstap.Dnstap.decode(frame)],
  encode: [frames.map((frame) => decodeDnstap(frame)), encodeDnstap],
  'encode-generated': [
    frames.map((frame) => dnstap.Dnstap.decode(frame)),
    (message) => dnstap.Dnstap.encode(message).finish(),
  ],
};

const [inputs, act] = WAYS[process.argv[2]];
let done = 0;
let before = process.cpuUsage();
for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
  if (round === WARM_UP_ROUNDS) before = process.cpuUsage();
  for (const input of inputs) if (act(input)) done += 1;
}
const { user, system } = process.cpuUsage(before);
if (done !== FRAMES * (ROUNDS + WARM_UP_ROUNDS)) throw new Error(`${done} frames done`);
process.stdout.write(String(((user + system) * 1e3) / (FRAMES * ROUNDS)));
