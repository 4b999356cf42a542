import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { ROOT } from '../../../../test/support/command.js';
import { freePort } from '../../../../test/support/free-port.js';
import { closeAtEnd } from '../../../../test/support/lifetime.js';
import type { Part } from '../../../../test/support/process.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import { formatAddress, SocketProtocol } from '../../src/index.js';
import { Authority } from '../support/certificates.js';
import { ACCEPT, bytes, FINISH, READY, START, STOP } from '../support/frames.js';
import { askByHttps, askByTcp, askByTls, askByUdp, send, sendByTcp } from './dns-client.js';
import { startServer } from './server.js';
import { hasQueryTime, hasTypeInFront, ofType, startTap, type Tap } from './tap.js';
import { startUpstream } from './upstream.js';
import { startWire } from './wire.js';

const authority = new Authority();
afterAll(() => authority.remove());

const ZONE = `$TTL 60
@ IN SOA ns.example.com. admin.example.com. 1 60 60 60 60
@ IN NS ns
ns IN A 192.0.2.53
www IN A 192.0.2.1
`;

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

interface Silent {
  /** Path of its unix socket. */
  readonly address: string;
  /** What all connections have sent, in hex. */
  heard(): string;
  /** Answers after all, also what is still to come. */
  accept(): void;
}

/** Somebody who takes connections and does not answer READY. */
async function startSilent(): Promise<Silent> {
  const address = createTemporaryDirectory().file('silent.sock');
  const sockets: Socket[] = [];
  let heard = '';
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => void (heard += chunk.toString('hex')));
  }).listen(address);
  await once(server, 'listening');
  closeAtEnd({ close: async () => void server.close() });
  return {
    address,
    heard: () => heard,
    accept: () => {
      for (const socket of sockets) socket.write(bytes(ACCEPT + FINISH));
    },
  };
}

describe('unbound', () => {
  async function start(port: number, options: string): Promise<Part> {
    const upstream = await startUpstream();
    const certificate = authority.issue('localhost');
    return startServer({
      command: 'unbound',
      args: (directory) => ['-d', '-c', `${directory}/unbound.conf`],
      port,
      files: {
        'cert.pem': certificate.cert,
        'key.pem': certificate.key,
        'unbound.conf': `server:
  directory: "DIR"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  do-not-query-localhost: no
  interface: 127.0.0.1@${port}
  interface: 127.0.0.1@${port + 1}
  interface: 127.0.0.1@${port + 2}
  tls-port: ${port + 1}
  https-port: ${port + 2}
  tls-service-pem: "DIR/cert.pem"
  tls-service-key: "DIR/key.pem"
  local-zone: "example.com." static
  local-data: "www.example.com. A 192.0.2.1"
remote-control:
  control-enable: no
forward-zone:
  name: "example.net."
  forward-addr: 127.0.0.1@${upstream}
dnstap:
  dnstap-enable: yes
  ${options}
  dnstap-log-client-query-messages: yes
  dnstap-log-client-response-messages: yes
  dnstap-log-forwarder-query-messages: yes
  dnstap-log-forwarder-response-messages: yes
`,
      },
    });
  }

  it('client and forwarder messages; no query time in CLIENT_RESPONSE, both times in FORWARDER_RESPONSE', async () => {
    const tap = await startTap();
    const port = await freePort();
    const unbound = await start(
      port,
      `dnstap-socket-path: "${tap.address}"\n  dnstap-send-identity: yes\n  dnstap-identity: "u1"`,
    );
    await askByUdp(port, 'www.example.com');
    await askByUdp(port, 'www.example.net');
    const responses = await tap.waitFor('CLIENT_RESPONSE', 2);
    const [forwarded] = await tap.waitFor('FORWARDER_RESPONSE');
    expect(responses.map(hasQueryTime)).toEqual([false, false]);
    expect(forwarded && hasQueryTime(forwarded)).toBe(true);
    expect(ofType(tap, 'FORWARDER_QUERY').length).toBeGreaterThan(0);
    await tap.expectAgreement();
    await unbound.stop();
    await waitUntil(() => tap.closed.length === 1);
    expect(tap.closed.map(({ error }) => error)).toEqual([undefined]);
  });

  it('says TCP for DNS over TLS, and nothing for DNS over HTTPS', async () => {
    const tap = await startTap('tcp');
    const port = await freePort();
    await start(port, `dnstap-ip: "${tap.address.replace(':', '@')}"\n  dnstap-tls: no`);
    await askByTls(port + 1, 'www.example.com');
    await askByHttps(port + 2, 'www.example.com');
    const queries = await tap.waitFor('CLIENT_QUERY', 2);
    expect(queries.map(({ socketProtocol }) => socketProtocol)).toEqual([SocketProtocol.TCP, null]);
    await tap.expectAgreement();
  });

  it('taps what is no DNS query: it looks only afterwards', async () => {
    const tap = await startTap();
    const port = await freePort();
    await start(port, `dnstap-socket-path: "${tap.address}"`);
    const response = '000981800001000000000000 03777777 07 6578616d706c65 03636f6d00 0001 0001'; // QR is set
    const loop = '000a01000001000000000000 c00c 0001 0001'; // its name points at itself
    const messages = [response, loop, '0001020304', ''].map((hex) => bytes(hex));
    for (const message of messages) await send(port, message);
    for (const message of messages.slice(0, 2)) await sendByTcp(port, message);
    await askByUdp(port, 'www.example.com');
    const tapped = await waitUntil(() => {
      const queries = ofType(tap, 'CLIENT_QUERY').map(({ queryMessage }) => queryMessage && hexOf(queryMessage));
      return queries.length === messages.length + 3 ? queries : undefined;
    });
    expect(tapped.slice(0, messages.length)).toEqual(messages.map(hexOf));
    await tap.expectAgreement();
  });

  it('sends START first, and reads nothing, with `dnstap-bidirectional: no`', async () => {
    const tap = await startTap();
    const port = await freePort();
    const unbound = await start(port, `dnstap-socket-path: "${tap.address}"\n  dnstap-bidirectional: no`);
    await askByUdp(port, 'www.example.com');
    await tap.waitFor('CLIENT_RESPONSE');
    expect(tap.opened.map(({ bidirectional }) => bidirectional)).toEqual([false]);
    await tap.expectAgreement();
    await unbound.stop();
    await waitUntil(() => tap.closed.length === 1);
    expect(tap.closed[0]?.error).toBeUndefined();
  });

  it('sends READY and, when it ends without ACCEPT, STOP without START', async () => {
    const silent = await startSilent();
    const port = await freePort();
    const unbound = await start(port, `dnstap-socket-path: "${silent.address}"`);
    await waitUntil(() => silent.heard() === READY);
    await unbound.kill('SIGTERM');
    await waitUntil(() => silent.heard().endsWith(STOP));
    expect(silent.heard()).toBe(READY + STOP);
  });
});

/** Debian has the module in a package of its own; unpacked into the cache it is not where knotd looks. */
function knotModule(): string {
  const cache = execFileSync(join(ROOT, 'scripts', 'env'), ['cache'], { encoding: 'utf8' }).trim();
  const places = ['/usr/lib', '/usr/local/lib', join(cache, 'tools')].filter((place) => existsSync(place));
  const found = execFileSync('find', [...places, '-path', '*/knot/modules-*/dnstap.so'], { encoding: 'utf8' });
  const [first = ''] = found.split('\n');
  if (first === '') throw new Error('found no dnstap.so of Knot DNS (Debian package knot-module-dnstap)');
  return first;
}

describe('Knot DNS', () => {
  async function start(port: number, sink: string, options = ''): Promise<Part> {
    return startServer({
      command: 'knotd',
      args: (directory) => ['-c', `${directory}/knot.conf`],
      port,
      files: {
        zone: ZONE,
        'knot.conf': `module:
  - id: mod-dnstap
    file: "${knotModule()}"
server:
  rundir: "DIR"
  listen: 127.0.0.1@${port}
database:
  storage: "DIR"
log:
  - target: stderr
    any: info
mod-dnstap:
  - id: tap
    sink: "${sink}"
    log-queries: on
    log-responses: on
    ${options}
template:
  - id: default
    global-module: mod-dnstap/tap
    storage: "DIR"
zone:
  - domain: example.com
    file: "DIR/zone"
`,
      },
    });
  }

  it('auth messages; no query time in responses', async () => {
    const tap = await startTap();
    const port = await freePort();
    const knot = await start(port, `unix:${tap.address}`);
    await askByUdp(port, 'www.example.com');
    await askByTcp(port, 'www.example.com');
    const responses = await tap.waitFor('AUTH_RESPONSE', 2);
    expect(responses.map(hasQueryTime)).toEqual([false, false]);
    expect(ofType(tap, 'AUTH_QUERY').map(hasQueryTime)).toEqual([true, true]);
    await tap.expectAgreement();
    await knot.stop();
    await waitUntil(() => tap.closed.length === tap.opened.length);
    expect(tap.closed.every(({ error }) => error === undefined)).toBe(true);
  });

  it('both messages in a response with `responses-with-queries`', async () => {
    const tap = await startTap();
    const port = await freePort();
    await start(port, `unix:${tap.address}`, 'responses-with-queries: on');
    await askByUdp(port, 'www.example.com');
    const [response] = await tap.waitFor('AUTH_RESPONSE');
    expect(response?.queryMessage?.length).toBeGreaterThan(12);
    expect(response?.responseMessage?.length).toBeGreaterThan(12);
    await tap.expectAgreement();
  });

  it('without ACCEPT it does not stop on SIGTERM', async () => {
    const silent = await startSilent();
    const port = await freePort();
    const knot = await start(port, `unix:${silent.address}`);
    await waitUntil(() => silent.heard() === READY);
    const stopping = knot.kill('SIGTERM');
    await waitUntil(() => knot.log().includes('stopping server'));
    await delay(1000);
    expect([knot.isRunning(), silent.heard()]).toEqual([true, READY]);
    silent.accept();
    await stopping;
    expect(silent.heard()).toBe(READY + START + STOP);
    expect(knot.isRunning()).toBe(false);
  });

  it('stops on SIGTERM because it had its ACCEPT', async () => {
    const tap = await startTap();
    const port = await freePort();
    const knot = await start(port, `unix:${tap.address}`);
    await waitUntil(() => tap.opened.length > 0);
    await knot.kill('SIGTERM');
    expect(knot.isRunning()).toBe(false);
  });
});

describe('BIND 9', () => {
  async function start(port: number, tap: Tap): Promise<Part> {
    const upstream = await startUpstream();
    return startServer({
      command: 'named',
      args: (directory) => ['-g', '-c', `${directory}/named.conf`],
      port,
      files: {
        zone: ZONE,
        'named.conf': `options {
  directory "DIR";
  listen-on port ${port} { 127.0.0.1; };
  listen-on port ${port + 1} tls ephemeral { 127.0.0.1; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  recursion yes;
  allow-recursion { any; };
  dnssec-validation no;
  forward only;
  forwarders { 127.0.0.1 port ${upstream}; };
  dnstap { all; };
  dnstap-output unix "${tap.address}";
  dnstap-identity "b1";
};
controls { };
zone "example.com" { type primary; file "zone"; allow-update { any; }; };
`,
      },
    });
  }

  it('client, resolver, auth and update messages; forwarded queries are RESOLVER_QUERY with RD, DoT is TCP', async () => {
    const tap = await startTap();
    const port = await freePort();
    const bind = await start(port, tap);
    await askByUdp(port, 'www.example.com');
    await askByTls(port + 1, 'www.example.com');
    await askByUdp(port, 'www.example.net');
    await send(port, bytes(WITHOUT_RD));
    await send(port, bytes(UPDATE));
    const [updated] = await tap.waitFor('UPDATE_RESPONSE');
    const [resolved] = await tap.waitFor('RESOLVER_RESPONSE');
    const [asked] = await tap.waitFor('RESOLVER_QUERY');
    expect((asked?.queryMessage?.[2] ?? 0) & 0x01).toBe(1);
    expect(resolved && hasQueryTime(resolved)).toBe(true);
    expect(updated && hasQueryTime(updated)).toBe(false);
    expect(ofType(tap, 'FORWARDER_QUERY')).toEqual([]);
    const client = [...ofType(tap, 'CLIENT_RESPONSE'), ...ofType(tap, 'AUTH_RESPONSE')];
    expect(client.length).toBeGreaterThan(0);
    expect(client.some(hasQueryTime)).toBe(false);
    expect(new Set(client.map(({ socketProtocol }) => socketProtocol))).toEqual(
      new Set([SocketProtocol.UDP, SocketProtocol.TCP]), // TCP is what it says for TLS
    );
    const [authoritative] = await tap.waitFor('AUTH_RESPONSE');
    expect(hexOf(authoritative?.queryZone ?? new Uint8Array())).toBe(hexOf(bytes('07 6578616d706c65 03 636f6d 00')));
    expect(client.map(({ queryAddress }) => formatAddress(queryAddress ?? new Uint8Array()))).toContain('127.0.0.1');
    await tap.expectAgreement();
    await bind.stop();
    await waitUntil(() => tap.closed.length === tap.opened.length);
    expect(tap.closed.every(({ error }) => error === undefined)).toBe(true);
  });
});

// A query for www.example.com A without RD: of the zone's own server
const WITHOUT_RD = '000c 0000 0001 0000 0000 0000 03 777777 07 6578616d706c65 03 636f6d 00 0001 0001';

// RFC 2136: an UPDATE of the zone example.com that adds new.example.com A 192.0.2.9
const UPDATE =
  '0bad 2800 0001 0000 0001 0000 07 6578616d706c65 03 636f6d 00 0006 0001 03 6e6577 c00c 0001 0001 0000003c 0004 c0000209';

describe('dnsdist', () => {
  it('client messages, with both times, the right protocol and type 15 in front; it ends without STOP', async () => {
    const tap = await startTap();
    const wire = await startWire(tap.address);
    const [port, upstream] = [await freePort(), await startUpstream()];
    const certificate = authority.issue('localhost');
    const dnsdist = await startServer({
      command: 'dnsdist',
      args: (directory) => ['--supervised', '--disable-syslog', '-C', `${directory}/dnsdist.conf`],
      port,
      files: {
        'cert.pem': certificate.cert,
        'key.pem': certificate.key,
        'dnsdist.conf': `setLocal("127.0.0.1:${port}")
addTLSLocal("127.0.0.1:${port + 1}", "DIR/cert.pem", "DIR/key.pem")
addDOHLocal("127.0.0.1:${port + 2}", "DIR/cert.pem", "DIR/key.pem", "/dns-query")
newServer({address="127.0.0.1:${upstream}"}):setUp()
tap = newFrameStreamUnixLogger("${wire.address}")
addAction(AllRule(), DnstapLogAction("d1", tap))
addResponseAction(AllRule(), DnstapLogResponseAction("d1", tap))
`,
      },
    });
    await waitUntil(() => tap.opened.length > 0);
    await askByUdp(port, 'www.example.net');
    await askByTls(port + 1, 'tls.example.net');
    await askByHttps(port + 2, 'https.example.net');
    const responses = await tap.waitFor('CLIENT_RESPONSE', 3);
    expect(responses.every(hasQueryTime)).toBe(true);
    expect(responses.map(({ socketProtocol }) => socketProtocol)).toEqual([
      SocketProtocol.UDP,
      SocketProtocol.DOT,
      SocketProtocol.DOH,
    ]);
    expect(tap.frames.every(hasTypeInFront)).toBe(true);
    await tap.expectAgreement();
    await dnsdist.stop();
    await waitUntil(() => tap.closed.length === tap.opened.length);
    expect(tap.closed.every(({ error }) => error === undefined)).toBe(true);
    expect(wire.stopped()).toEqual(tap.opened.map(() => false));
  });
});
