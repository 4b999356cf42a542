// receive-child.mjs SOCKET [SENDERS]: receives and splits, and prints what it took once all senders have ended.
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { DnstapView, Receiver } from '../dist/index.js';

const [path, senders = '1'] = process.argv.slice(2);
const view = new DnstapView({ only: 6 });
const scans = process.env.BENCH_SCAN === '1';
let clients = 0;
let open = Number(senders);
let before;
const delay = monitorEventLoopDelay({ resolution: 1 });
const rssMiB = [];

const receiver = new Receiver({
  endpoint: path,
  onFrame: scans
    ? (buffer, start, end) => {
        if (view.scan(buffer, start, end)) clients += view.queryAddressLength;
      }
    : () => {},
});
receiver.on('handshake', () => {
  before ??= process.cpuUsage();
  delay.enable();
});
receiver.on('close', () => {
  open -= 1;
  if (open > 0) return;
  const { user, system } = process.cpuUsage(before);
  const { frames } = receiver.statistics();
  const result = {
    frames,
    clients,
    cpuSeconds: (user + system) / 1e6,
    delayP99Ms: delay.percentile(99) / 1e6 - 1,
    rssMiB,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  clearInterval(sampling);
  void receiver.close();
});
const sampling = setInterval(() => rssMiB.push(process.memoryUsage.rss() / 2 ** 20), 1000);
await receiver.listen();
