// A receiver in a process of its own, so that its memory can be measured. Says its state as JSON for every line it is told.
import { createInterface } from 'node:readline';

import { Receiver } from '../../dist/index.js';

const receiver = new Receiver({
  endpoint: process.argv[2],
  maxConnections: 20_000,
  handshakeTimeoutMs: 120_000,
  onFrame() {},
});
await receiver.listen();
process.stdout.write('listening\n');

createInterface({ input: process.stdin }).on('line', () => {
  globalThis.gc();
  const { openConnections, frames } = receiver.statistics();
  const { rss } = process.memoryUsage();
  process.stdout.write(`${JSON.stringify({ rssMiB: rss / 2 ** 20, openConnections, frames })}\n`);
});
