import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT, runCommand } from '../../../../test/support/command.js';
import { freePort } from '../../../../test/support/free-port.js';
import type { Part } from '../../../../test/support/process.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import {
  decodeDnstap,
  formatAddress,
  type Message,
  MessageType,
  readFrameStreamFile,
  SocketProtocol,
} from '../../src/index.js';
import { askByHttps, askByTcp, askByTls, askByUdp } from './dns-client.js';
import { startServer } from './server.js';
import { hasQueryTime, hasTypeInFront, ofType, startTap } from './tap.js';
import { startUpstream } from './upstream.js';
import { startWire } from './wire.js';

function typesOf(messages: readonly Message[]): readonly number[] {
  return [...new Set(messages.map(({ type }) => type))].toSorted((a, b) => a - b);
}

/**
 * The command line of Knot Resolver. Its Lua files are read from where it was built for; unpacked into the cache they lie
 * elsewhere, so there it gets a /usr of its own that has both.
 */
function kresd(): readonly string[] {
  const cache = execFileSync(join(ROOT, 'scripts', 'env'), ['cache'], { encoding: 'utf8' }).trim();
  const tools = join(cache, 'tools');
  const unpacked = existsSync(tools) ? readdirSync(tools).map((name) => join(tools, name, 'usr')) : [];
  const usr = unpacked.find((directory) => existsSync(join(directory, 'sbin', 'kresd')));
  if (usr === undefined) return ['kresd'];
  const namespaces = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
  const script = `mount -t overlay overlay -o lowerdir=${usr}:/usr /usr && exec kresd "$@"`;
  return ['unshare', ...namespaces, 'sh', '-c', script, 'kresd'];
}

describe('Knot Resolver', () => {
  async function start(port: number, socket: string): Promise<Part> {
    const upstream = await startUpstream();
    const [command = '', ...prefix] = kresd();
    return startServer({
      command,
      args: (directory) => [...prefix, '-n', '-c', `${directory}/kresd.conf`, directory],
      port,
      files: {
        'kresd.conf': `log_target('stderr')
net.listen('127.0.0.1', ${port}, { kind = 'dns' })
net.listen('127.0.0.1', ${port + 1}, { kind = 'tls' })
net.listen('127.0.0.1', ${port + 2}, { kind = 'doh2' })
cache.open(10 * MB, 'lmdb://DIR/cache')
trust_anchors.remove('.')
modules.load('dnstap')
dnstap.config({
  socket_path = '${socket}', identity = 'k1', version = 'v1',
  client = { log_queries = true, log_responses = true, log_tcp_rtt = true },
})
policy.add(policy.all(policy.STUB('127.0.0.1@${upstream}')))
`,
      },
    });
  }

  it('client messages with the right protocol; no query time in responses, and the round-trip time in `extra`', async () => {
    const tap = await startTap();
    const wire = await startWire(tap.address);
    const port = await freePort();
    const resolver = await start(port, wire.address);
    await askByUdp(port, 'www.example.net');
    await askByTcp(port, 'tcp.example.net');
    await askByTls(port + 1, 'tls.example.net');
    await askByHttps(port + 2, 'https.example.net');
    const responses = await tap.waitFor('CLIENT_RESPONSE', 4);
    expect(typesOf(tap.messages())).toEqual([MessageType.CLIENT_QUERY, MessageType.CLIENT_RESPONSE]);
    expect(responses.map(hasQueryTime)).toEqual([false, false, false, false]);
    expect(ofType(tap, 'CLIENT_QUERY').map(hasQueryTime)).toEqual([true, true, true, true]);
    expect(responses.map(({ socketProtocol }) => socketProtocol)).toEqual([
      SocketProtocol.UDP,
      SocketProtocol.TCP,
      SocketProtocol.DOT,
      SocketProtocol.DOH,
    ]);
    const extras = tap.frames.map((frame) => Buffer.from(decodeDnstap(frame).extra ?? []).toString());
    expect(extras.filter((extra) => extra !== '').every((extra) => /^rtt=\d+\n$/.test(extra))).toBe(true);
    expect(extras.filter((extra) => extra !== '')).toHaveLength(3); // one an answer over TCP
    await tap.expectAgreement();
    await resolver.stop();
    await waitUntil(() => tap.closed.length === tap.opened.length);
    expect(wire.stopped()).toEqual([true]);
    expect(tap.closed.map(({ error }) => error)).toEqual([undefined]);
  });
});

describe('PowerDNS Recursor', () => {
  it('resolver messages with both times and type 15 in front; it opens more connections than it uses and ends without STOP', async () => {
    const tap = await startTap();
    const wire = await startWire(tap.address);
    const [port, upstream] = [await freePort(), await startUpstream()];
    const recursor = await startServer({
      command: 'pdns_recursor',
      args: (directory) => [`--config-dir=${directory}`],
      port,
      files: {
        'recursor.conf': `daemon=no
disable-syslog=yes
local-address=127.0.0.1
local-port=${port}
socket-dir=DIR
dnssec=off
security-poll-suffix=
forward-zones-recurse=.=127.0.0.1:${upstream}
lua-config-file=DIR/recursor.lua
`,
        'recursor.lua': `dnstapFrameStreamServer({ "${wire.address}" }, { logQueries = true, logResponses = true })\n`,
      },
    });
    await askByUdp(port, 'www.example.net');
    await askByUdp(port, 'api.example.net');
    const responses = await tap.waitFor('RESOLVER_RESPONSE', 2);
    expect(responses.every(hasQueryTime)).toBe(true);
    expect(typesOf(tap.messages())).toEqual([MessageType.RESOLVER_QUERY, MessageType.RESOLVER_RESPONSE]);
    expect(tap.frames.every(hasTypeInFront)).toBe(true);
    const used = tap.receiver.connections().filter(({ frames }) => frames > 0);
    expect(tap.opened.length).toBeGreaterThan(used.length); // one a thread, the rest idle for ever
    await tap.expectAgreement();
    await recursor.stop();
    await waitUntil(() => tap.closed.length === tap.opened.length);
    expect(wire.stopped()).toEqual(tap.opened.map(() => false));
    expect(tap.closed.map(({ error }) => error)).toEqual(tap.opened.map(() => undefined));
  });
});

describe('kdig', () => {
  async function ask(port: number, ...options: readonly string[]): Promise<readonly Message[]> {
    const file = createTemporaryDirectory().file('kdig.tap');
    await runCommand('kdig', ['@127.0.0.1', '-p', String(port), 'www.example.net', '-E', file, ...options]);
    const messages: Message[] = [];
    const result = await readFrameStreamFile(file, {
      onFrame: (buffer, start, end) => {
        const { message } = decodeDnstap(buffer.subarray(start, end));
        if (message) messages.push(message);
      },
    });
    expect(result.complete).toBe(true);
    return messages;
  }

  it('tool messages; no query time in responses; its own address only over TCP', async () => {
    const upstream = await startUpstream();
    const byUdp = await ask(upstream);
    const byTcp = await ask(upstream, '+tcp');
    for (const messages of [byUdp, byTcp]) {
      expect(messages.map(({ type }) => type)).toEqual([MessageType.TOOL_QUERY, MessageType.TOOL_RESPONSE]);
      expect(messages.map(hasQueryTime)).toEqual([true, false]);
    }
    const addresses = [byUdp, byTcp].map(([query]) => formatAddress(query?.queryAddress ?? new Uint8Array()));
    expect(addresses).toEqual(['0.0.0.0', '127.0.0.1']);
  });
});
