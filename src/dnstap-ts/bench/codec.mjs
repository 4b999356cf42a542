// The view and the codec beside the code that protobufjs generates, used as it is.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('codec-child.mjs', import.meta.url));
const RUNS = 5;
const WAYS = ['view', 'decode', 'decode-generated', 'encode', 'encode-generated'];

/** @returns rows of { name, ours, peer, peerName, unit, ratio } */
export async function run({ log = () => {} } = {}) {
  const figures = Object.fromEntries(WAYS.map((way) => [way, []]));
  for (let turn = 1; turn <= RUNS; turn++) {
    log(`codec, run ${turn} of ${RUNS}`);
    for (const way of WAYS)
      figures[way].push(Number(execFileSync(process.execPath, [CHILD, way], { encoding: 'utf8' })));
  }
  const row = (name, way, peerWay, peerName) => {
    const [ours, peer] = [median(figures[way]), median(figures[peerWay])];
    return { name, ours, peer, peerName, unit: 'CPU ns/frame', ratio: peer / ours };
  };
  return [
    row('DnstapView.scan', 'view', 'decode-generated', 'protobufjs static decode'),
    row('decodeDnstap', 'decode', 'decode-generated', 'protobufjs static decode'),
    row('encodeDnstap', 'encode', 'encode-generated', 'protobufjs static encode'),
  ];
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
