import { Resolver } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { runCommand } from './command.js';
import { startCoreDns, type CoreDns } from './coredns.js';
import { freePort } from './free-port.js';
import { partPath } from './parts.js';
import { acceptsTcp } from './probe.js';
import { startPart } from './process.js';
import { createTemporaryDirectory } from './temporary-directory.js';
import { waitUntil } from './wait-until.js';

const LOOKUPS = 5;

/** CoreDNS hands its messages over once a second, and does not wait for that when it ends. */
const TAP_DELAY_MS = 2_000;

/** A CoreDNS that answers everything and taps it, and a way to ask it the same thing some times. */
async function startTapped(socket: string): Promise<{ coredns: CoreDns; ask: () => Promise<void> }> {
  const port = await freePort();
  const coredns = await startCoreDns({
    corefile: `.:${port} {
      bind 127.0.0.1
      dnstap unix://${socket} full
      template IN A . {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
      }
    }`,
    ready: async () => acceptsTcp('127.0.0.1', port),
  });
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${port}`]);
  const ask = async (): Promise<void> => {
    for (let asked = 0; asked < LOOKUPS; asked += 1) await resolver.resolve4('www.example.com');
  };
  return { coredns, ask };
}

it('reports what a CoreDNS sent over a unix socket', async () => {
  const directory = createTemporaryDirectory();
  const socket = directory.file('dnstap.sock');
  const output = directory.file('report.json');
  const bench = await startPart({
    name: 'golang-dnstap-bench',
    command: 'sh',
    args: ['-c', 'exec "$0" -unix "$1" >"$2"', await partPath('golang-dnstap-bench'), socket, output],
    ready: () => existsSync(socket),
  });
  const { coredns, ask } = await startTapped(socket);
  await ask();
  await delay(TAP_DELAY_MS);
  await coredns.stop();
  await waitUntil(() => !bench.isRunning(), { what: 'the end of the bench' });
  const { stdout } = await runCommand('cat', [output]);
  expect(JSON.parse(stdout)).toMatchObject({ frames: 2 * LOOKUPS, responses: LOOKUPS, pairs: 1 });
});

it('reads a file of fstrm_capture as often as it is told', async () => {
  const directory = createTemporaryDirectory();
  const [socket, file] = [directory.file('dnstap.sock'), directory.file('capture.fstrm')];
  const capture = await startPart({
    name: 'fstrm_capture',
    command: 'fstrm_capture',
    args: ['-t', 'protobuf:dnstap.Dnstap', '-u', socket, '-w', file],
    ready: () => existsSync(socket),
  });
  const { coredns, ask } = await startTapped(socket);
  await ask();
  await delay(TAP_DELAY_MS);
  await coredns.stop();
  await capture.kill('SIGTERM');
  const { stdout } = await runCommand(await partPath('golang-dnstap-bench'), ['-read', file, '-repeat', '3']);
  expect(JSON.parse(stdout)).toMatchObject({ frames: 6 * LOOKUPS, responses: 3 * LOOKUPS, pairs: 1 });
  const { stdout: text } = await runCommand(await partPath('dnstap'), ['-r', file, '-q']);
  expect(text).toContain('CR 127.0.0.1 UDP');
});
