// npm run bench [-- PART...]: our figures beside those of others, measured in the same run, as ratios (above 1: we are
// better). PART is in the name of a file below, such as stores; without one all are run.
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const LIBRARY = '../src/dnstap-ts/bench';
const BENCHES = [
  './bench/pipeline.mjs',
  './bench/stores.mjs',
  './bench/reconciler.mjs',
  `${LIBRARY}/receive.mjs`,
  `${LIBRARY}/codec.mjs`,
  `${LIBRARY}/paced.mjs`,
];

const log = (text) => process.stderr.write(`bench: ${text}\n`);
const partPath = (name) => execFileSync(join(ROOT, 'scripts', 'parts'), [name], { encoding: 'utf8' }).trim();

process.stdout.write(
  `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}; npm run bench${process.argv
    .slice(2)
    .map((part) => ` ${part}`)
    .join('')}\n\n`,
);
const rows = [];
const parts = process.argv.slice(2);
const chosen = BENCHES.filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
for (const bench of chosen) rows.push(...(await (await import(bench)).run({ partPath, log })));
const cells = [
  ['WHAT', 'UNIT', 'OURS', 'PEER', 'RATIO', 'PEER IS'],
  ...rows.map(({ name, unit, ours, peer, ratio, peerName }) => [
    name,
    unit,
    ours.toFixed(2),
    peer.toFixed(2),
    ratio.toFixed(2),
    peerName,
  ]),
];
const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
for (const row of cells) {
  process.stdout.write(
    `${row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd()}\n`,
  );
}
