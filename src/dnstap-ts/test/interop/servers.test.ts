import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { ROOT } from '../../../../test/support/command.js';
import { freePort } from '../../../../test/support/free-port.js';
import { closeAtEnd } from '../../../../test/support/lifetime.js';
import { acceptsTcp } from '../../../../test/support/probe.js';
import { startPart, type Part } from '../../../../test/support/process.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import { formatAddress, type Message, MessageType, SocketProtocol } from '../../src/index.js';
import { Authority } from '../support/certificates.js';
import { ACCEPT, bytes, READY, START, STOP } from '../support/frames.js';
import { askByTcp, askByTls, askByUdp, send } from './dns-client.js';
import { startTap, type Tap } from './tap.js';
import { startUpstream } from './upstream.js';

const authority = new Authority();
afterAll(() => authority.remove());

interface ServerOptions {
  readonly command: string;
  readonly args: (directory: string) => readonly string[];
  /** By name; `DIR` in them stands for the server's own directory. */
  readonly files: Readonly<Record<string, string>>;
  readonly port: number;
}

async function startServer({ command, args, files, port }: ServerOptions): Promise<Part> {
  const directory = createTemporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(directory.file(name), content.replaceAll('DIR', directory.path));
  }
  return startPart({
    name: command,
    command,
    args: args(directory.path),
    directory,
    ready: async () => acceptsTcp('127.0.0.1', port),
  });
}

const ZONE = `$TTL 60
@ IN SOA ns.example.com. admin.example.com. 1 60 60 60 60
@ IN NS ns
ns IN A 192.0.2.53
www IN A 192.0.2.1
`;

function hasQueryTime(message: Message): boolean {
  return message.queryTimeSec !== null && message.queryTimeNsec !== null;
}

function ofType(tap: Tap, type: keyof typeof MessageType): readonly Message[] {
  return tap.messages().filter((message) => message.type === MessageType[type]);
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
  tls-port: ${port + 1}
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

  it('says TCP for DNS over TLS', async () => {
    const tap = await startTap('tcp');
    const port = await freePort();
    await start(port, `dnstap-ip: "${tap.address.replace(':', '@')}"\n  dnstap-tls: no`);
    await askByTls(port + 1, 'www.example.com');
    const [query] = await tap.waitFor('CLIENT_QUERY');
    expect(query?.socketProtocol).toBe(SocketProtocol.TCP);
    await tap.expectAgreement();
  });

  it('taps what is no DNS query: it looks only afterwards', async () => {
    const tap = await startTap();
    const port = await freePort();
    await start(port, `dnstap-socket-path: "${tap.address}"`);
    const response = '000981800001000000000000 03777777 07 6578616d706c65 03636f6d00 0001 0001'; // QR is set
    await send(port, bytes(response));
    await askByUdp(port, 'www.example.com');
    const queries = await tap.waitFor('CLIENT_QUERY', 2);
    expect(queries.map(({ queryMessage }) => ((queryMessage?.[2] ?? 0) & 0x80) !== 0)).toContain(true);
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
    let heard = '';
    const directory = createTemporaryDirectory();
    const server = createServer((socket: Socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => void (heard += chunk.toString('hex')));
    }).listen(directory.file('silent.sock'));
    await once(server, 'listening');
    closeAtEnd({ close: async () => void server.close() });
    const port = await freePort();
    const unbound = await start(port, `dnstap-socket-path: "${directory.file('silent.sock')}"`);
    await waitUntil(() => heard === READY);
    await unbound.kill('SIGTERM');
    await waitUntil(() => heard.endsWith(STOP));
    expect(heard.includes(START) || heard.includes(ACCEPT)).toBe(false);
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

  it('stops on SIGTERM because it had its ACCEPT', async () => {
    const tap = await startTap();
    const port = await freePort();
    const knot = await start(port, `unix:${tap.address}`);
    await waitUntil(() => tap.opened.length > 0);
    const before = Date.now();
    await knot.stop();
    expect(Date.now() - before).toBeLessThan(10_000); // then it would have been killed
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

  it('client, resolver, auth and update messages; forwarded queries are RESOLVER_QUERY with RD', async () => {
    const tap = await startTap();
    const port = await freePort();
    const bind = await start(port, tap);
    await askByUdp(port, 'www.example.com');
    await askByTcp(port, 'www.example.com');
    await askByUdp(port, 'www.example.net');
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
    expect(client.map(({ queryAddress }) => formatAddress(queryAddress ?? new Uint8Array()))).toContain('127.0.0.1');
    await tap.expectAgreement();
    await bind.stop();
    await waitUntil(() => tap.closed.length === tap.opened.length);
    expect(tap.closed.every(({ error }) => error === undefined)).toBe(true);
  });
});

// RFC 2136: an UPDATE of the zone example.com that adds new.example.com A 192.0.2.9
const UPDATE =
  '0bad 2800 0001 0000 0001 0000 07 6578616d706c65 03 636f6d 00 0006 0001 03 6e6577 c00c 0001 0001 0000003c 0004 c0000209';

describe('dnsdist', () => {
  it('client messages, with both times, the right protocol and type 15 in front; it ends without STOP', async () => {
    const tap = await startTap();
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
newServer({address="127.0.0.1:${upstream}"}):setUp()
tap = newFrameStreamUnixLogger("${tap.address}")
addAction(AllRule(), DnstapLogAction("d1", tap))
addResponseAction(AllRule(), DnstapLogResponseAction("d1", tap))
`,
      },
    });
    await waitUntil(() => tap.opened.length > 0);
    await askByUdp(port, 'www.example.net');
    await askByTls(port + 1, 'tls.example.net');
    const responses = await tap.waitFor('CLIENT_RESPONSE', 2);
    expect(responses.every(hasQueryTime)).toBe(true);
    expect(responses.map(({ socketProtocol }) => socketProtocol)).toEqual([SocketProtocol.UDP, SocketProtocol.DOT]);
    const typeBeforeMessage = tap.frames.map((frame) => frame.indexOf(Buffer.from([0x78, 0x01])) < frame.indexOf(0x72));
    expect(typeBeforeMessage).toContain(true);
    await tap.expectAgreement();
    await dnsdist.stop();
    await waitUntil(() => tap.closed.length === tap.opened.length);
    expect(tap.closed.every(({ error }) => error === undefined)).toBe(true);
  });
});
