// collect-with-packages.mjs SOCKET DIST: what npm's packages do with the same frames: protobufjs's static code and
// dns-packet, counting per (client, name) in a Map. Frame Streams are ours, since npm has none.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { decode } from 'dns-packet';
import { Receiver } from 'dnstap-ts';

const [path, dist] = process.argv.slice(2);
const generated = join(dist, '..', 'src', 'dnstap-ts', 'generated', 'dnstap.js');
const { dnstap } = await import(pathToFileURL(generated).href);
const CLIENT_RESPONSE = 6;
const pairs = new Map();
let frames = 0;

function take(buffer, start, end) {
  frames++;
  const { message } = dnstap.Dnstap.decode(buffer.subarray(start, end));
  if (message?.type !== CLIENT_RESPONSE) return;
  const { questions, answers } = decode(Buffer.from(message.responseMessage));
  const addresses = [];
  const cnames = [];
  for (const { type, data } of answers) {
    if (type === 'A' || type === 'AAAA') addresses.push(data);
    else if (type === 'CNAME') cnames.push(data);
  }
  const client = message.queryAddress.join('.');
  const key = `${client} ${questions[0].name.toLowerCase()}`;
  const known = pairs.get(key);
  const atMs = Number(message.queryTimeSec) * 1000 + Math.floor(message.queryTimeNsec / 1e6);
  if (known === undefined) pairs.set(key, { count: 1, firstMs: atMs, lastMs: atMs, addresses, cnames });
  else Object.assign(known, { count: known.count + 1, lastMs: atMs, addresses, cnames });
}

const receiver = new Receiver({ endpoint: `unix://${path}`, onFrame: take, socketMode: 0o600 });
const before = process.cpuUsage();
const start = performance.now();
receiver.on('close', () => {
  const { user, system } = process.cpuUsage(before);
  const wallSeconds = (performance.now() - start) / 1000;
  process.stdout.write(
    `${JSON.stringify({ frames, pairs: pairs.size, wallSeconds, cpuUserSeconds: user / 1e6, cpuSystemSeconds: system / 1e6 })}\n`,
  );
  process.exit(0);
});
await receiver.listen();
