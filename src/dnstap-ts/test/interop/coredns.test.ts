import { setTimeout as delay } from 'node:timers/promises';

import { startCoreDns, type CoreDns, type CoreDnsOptions } from '../../../../test/support/coredns.js';
import { freePort } from '../../../../test/support/free-port.js';
import { acceptsTcp } from '../../../../test/support/probe.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import {
  decodeDnstap,
  formatAddress,
  MessageType,
  SocketFamily,
  SocketProtocol,
  unixNanoseconds,
} from '../../src/index.js';
import { Authority } from '../support/certificates.js';
import { askByTcp, askByTls, askByUdp } from './dns-client.js';
import { ofType, startTap, type Tap } from './tap.js';
import { startWire } from './wire.js';

const TEMPLATE = `template IN A example.com {
  answer "{{ .Name }} 60 IN A 192.0.2.1"
}`;

const PARTS = ['coredns', 'coredns-1.11'] as const;

async function start(part: CoreDnsOptions['part'], port: number, corefile: string): Promise<CoreDns> {
  return startCoreDns({
    ...(part !== undefined && { part }),
    corefile,
    ready: async () => acceptsTcp('127.0.0.1', port),
  });
}

describe.each(PARTS)('%s', (part) => {
  it.concurrent('over a unix socket: client messages by UDP and TCP, with both times in responses', async () => {
    const tap = await startTap();
    const port = await freePort();
    const coredns = await start(
      part,
      port,
      // No bind: on a listener for both families versions before 1.14.5 write IPv4 in 16 octets, and call it INET.
      `.:${port} {\n dnstap unix://${tap.address} full\n ${TEMPLATE}\n}`,
    );
    await askByUdp(port, 'WWW.Example.com');
    await askByTcp(port, 'tcp.example.com');
    const responses = await tap.waitFor('CLIENT_RESPONSE', 2);
    const queries = await tap.waitFor('CLIENT_QUERY', 2);
    expect(queries.every(({ queryMessage, responseMessage }) => !!queryMessage && !responseMessage)).toBe(true);
    expect(responses.every(({ queryMessage, responseMessage }) => !queryMessage && !!responseMessage)).toBe(true);
    expect(new Set(responses.map(({ socketProtocol }) => socketProtocol))).toEqual(
      new Set([SocketProtocol.UDP, SocketProtocol.TCP]),
    );
    for (const message of responses) {
      expect(
        message.queryTimeSec && message.queryTimeNsec && message.responseTimeSec && message.responseTimeNsec,
      ).toBeTruthy();
      expect(message.socketFamily).toBe(SocketFamily.INET);
      expect(message.queryAddress).toHaveLength(part === 'coredns' ? 4 : 16);
      expect(formatAddress(message.queryAddress ?? new Uint8Array())).toBe('127.0.0.1');
    }
    // Case is kept; the order of messages is not that of the answers.
    const messages = responses.map(({ responseMessage }) => Buffer.from(responseMessage ?? []).toString('latin1'));
    expect(messages.some((message) => message.includes('Example'))).toBe(true);
    await tap.expectAgreement();
    await coredns.stop();
    await waitUntil(() => tap.closed.length === 1);
    expect([undefined, 'DNSTAP_ERR_CONNECTION']).toContain(tap.closed[0]?.error?.code);
    await tap.close();
  });

  it.concurrent('over TCP: an unframed end of the process costs nothing that was flushed', async () => {
    const tap = await startTap('tcp');
    const port = await freePort();
    const coredns = await start(
      part,
      port,
      `.:${port} {\n bind 127.0.0.1\n dnstap tcp://${tap.address} full\n ${TEMPLATE}\n}`,
    );
    for (let count = 0; count < 200; count++) await askByUdp(port, `n${count}.example.com`);
    await tap.waitFor('CLIENT_RESPONSE', 200);
    await tap.expectAgreement();
    await coredns.kill('SIGKILL');
    await waitUntil(() => tap.closed.length === 1);
    expect(tap.frames).toHaveLength(400);
    await tap.close();
  });

  it.concurrent('without `full`: addresses and times, but no DNS message', async () => {
    const tap = await startTap();
    const port = await freePort();
    await start(part, port, `.:${port} {\n bind 127.0.0.1\n dnstap unix://${tap.address}\n ${TEMPLATE}\n}`);
    await askByUdp(port, 'www.example.com');
    const [response] = await tap.waitFor('CLIENT_RESPONSE');
    expect(response?.queryMessage ?? response?.responseMessage ?? null).toBeNull();
    expect(response?.queryPort).toBeGreaterThan(0);
    await tap.expectAgreement();
    await tap.close();
  });

  it.concurrent('with identity, version and extra', async () => {
    const tap = await startTap();
    const port = await freePort();
    const options = '{\n identity n1\n version v1\n extra "{type} {name}"\n}';
    await start(
      part,
      port,
      `.:${port} {\n bind 127.0.0.1\n dnstap unix://${tap.address} full ${options}\n ${TEMPLATE}\n}`,
    );
    await askByUdp(port, 'www.example.com');
    await tap.waitFor('CLIENT_RESPONSE');
    expect(tap.frames.map((frame) => Buffer.from(decodeDnstap(frame).extra ?? []).toString())).toEqual([
      'A www.example.com.',
      'A www.example.com.',
    ]);
    await tap.expectAgreement();
    await tap.close();
  });

  it.concurrent('with an identity that is present and empty', async () => {
    const tap = await startTap();
    const port = await freePort();
    const options = '{\n identity ""\n}';
    await start(
      part,
      port,
      `.:${port} {\n bind 127.0.0.1\n dnstap unix://${tap.address} full ${options}\n ${TEMPLATE}\n}`,
    );
    await askByUdp(port, 'www.example.com');
    await tap.waitFor('CLIENT_RESPONSE');
    expect(decodeDnstap(tap.frames[0] ?? Buffer.alloc(0)).identity).toHaveLength(0);
    await tap.expectAgreement();
    await tap.close();
  });

  it.concurrent(
    'one connection a server block, idle ones included; a reload closes the old and opens new ones',
    async () => {
      const tap = await startTap();
      const [port, other] = [await freePort(), await freePort()];
      const block = (at: number) => `.:${at} {\n bind 127.0.0.1\n dnstap unix://${tap.address} full\n ${TEMPLATE}\n}\n`;
      const coredns = await start(part, port, block(port) + block(other));
      await waitUntil(() => tap.opened.length === 2);
      await askByUdp(port, 'www.example.com');
      await tap.waitFor('CLIENT_RESPONSE');
      expect(new Set(tap.receiver.connections().map(({ frames }) => frames))).toEqual(new Set([0, 2]));
      await coredns.writeCorefile(`${block(port)}${block(other)}# changed\n`);
      await coredns.kill('SIGUSR1');
      await waitUntil(() => tap.opened.length === 4 && tap.closed.length === 2, { timeoutMs: 30_000 });
      expect(tap.closed.map(({ error, bidirectional }) => [error, bidirectional])).toEqual([
        [undefined, true],
        [undefined, true],
      ]);
      await askByUdp(port, 'again.example.com');
      await tap.waitFor('CLIENT_RESPONSE', 2);
      await tap.expectAgreement();
      await tap.close();
    },
  );

  it.concurrent('DNS over TLS, which it calls TCP', async () => {
    const tap = await startTap();
    const port = await freePort();
    const certificate = authority.issue('localhost');
    await startCoreDns({
      part,
      corefile: `tls://.:${port} {\n bind 127.0.0.1\n tls cert.pem key.pem\n dnstap unix://${tap.address} full\n ${TEMPLATE}\n}`,
      files: { 'cert.pem': certificate.cert, 'key.pem': certificate.key },
      ready: async () => acceptsTcp('127.0.0.1', port),
    });
    await askByTls(port, 'www.example.com');
    const [response] = await tap.waitFor('CLIENT_RESPONSE');
    expect(response?.socketProtocol).toBe(SocketProtocol.TCP);
    await tap.expectAgreement();
    await tap.close();
  });

  it.concurrent('under load: chunks that cut frames anywhere, and an order that goes back in time', async () => {
    const tap = await startTap();
    const wire = await startWire(tap.address);
    const port = await freePort();
    await start(part, port, `.:${port} {\n bind 127.0.0.1\n dnstap unix://${wire.address} full\n ${TEMPLATE}\n}`);
    await Promise.all(
      Array.from({ length: 20 }, async (_, client) => {
        for (let count = 0; count < 100; count++)
          await askByUdp(port, `c${client}-${count}.${'x'.repeat(count % 60)}y.example.com`);
      }),
    );
    await tap.waitFor('CLIENT_RESPONSE', 2000);
    expect(tap.messages().filter(({ type }) => type === MessageType.CLIENT_QUERY)).toHaveLength(2000);
    // Its buffer has 4096 octets, and a full one is written wherever it happens to end.
    const full = (wire.connections[0] ?? []).filter(({ length }) => length % 4096 === 0);
    expect(full.length).toBeGreaterThan(2);
    const times = tap.messages().map(({ queryTimeSec, queryTimeNsec }) => unixNanoseconds(queryTimeSec, queryTimeNsec));
    expect(times.filter((time, index) => index > 0 && (time ?? 0n) < (times[index - 1] ?? 0n)).length).toBeGreaterThan(
      0,
    );
    await tap.expectAgreement();
    await tap.close();
  });
});

it.concurrent.each(['coredns-1.10', 'coredns-1.11', 'coredns-1.14', 'coredns'] as const)(
  '%s forwards: messages to the upstream, whose address is the client before 1.14.5 and CoreDNS itself since',
  async (part) => {
    const tap = await startTap();
    const [port, upstream] = [await freePort(), await freePort()];
    await start(part, upstream, `.:${upstream} {\n bind 127.0.0.1\n ${TEMPLATE}\n}`);
    await start(part, port, `.:${port} {\n dnstap unix://${tap.address} full\n forward . 127.0.0.1:${upstream}\n}`);
    await askByUdp(port, 'www.example.com');
    await tap.waitFor('CLIENT_RESPONSE');
    const [forwarded] = await tap.waitFor('FORWARDER_RESPONSE');
    const [client] = await tap.waitFor('CLIENT_RESPONSE');
    expect(forwarded?.responsePort).toBe(upstream);
    expect(forwarded?.queryTimeNsec && forwarded.responseTimeNsec).toBeTruthy();
    const samePort = forwarded?.queryPort === client?.queryPort;
    expect(samePort).toBe(part !== 'coredns');
    // Before 1.14.5 the client's IPv4 address is in 16 octets, and called INET; that of the upstream no longer in 1.14.2.
    expect(forwarded?.socketFamily).toBe(SocketFamily.INET);
    const lengths = [forwarded?.queryAddress, forwarded?.responseAddress].map((address) => address?.length);
    expect(lengths).toEqual({ coredns: [4, 4], 'coredns-1.14': [16, 4] }[part as string] ?? [16, 16]);
    await tap.expectAgreement();
    await tap.close();
  },
);

describe('an upstream that refuses', () => {
  async function startForwarder(part: CoreDnsOptions['part'], port: number, tap: Tap): Promise<void> {
    const dead = await freePort();
    await start(
      part,
      port,
      `.:${port} {\n bind 127.0.0.1\n dnstap unix://${tap.address} full\n forward . 127.0.0.1:${dead}\n}`,
    );
  }

  it.concurrent('coredns-1.11: a flood of FORWARDER_QUERY for one query, and no CLIENT_RESPONSE', async () => {
    const tap = await startTap();
    const port = await freePort();
    await startForwarder('coredns-1.11', port, tap);
    expect(rcodeOf(await askByUdp(port, 'www.example.com'))).toBe(SERVFAIL);
    await delay(1500); // it flushes when it has had nothing to send for a second
    const { CLIENT_QUERY, FORWARDER_QUERY } = MessageType;
    const types = tap.messages().map(({ type }) => type);
    expect(types.filter((type) => type !== FORWARDER_QUERY)).toEqual([CLIENT_QUERY]);
    expect(types.length).toBeGreaterThan(1000);
    expect(tap.receiver.statistics()).toMatchObject({ frames: types.length, droppedFrames: 0, openConnections: 1 });
    await tap.expectAgreement({ first: 500 });
    await tap.close();
  });

  it.concurrent(
    'coredns: by TCP there is no address of its own to tell; the client gets a CLIENT_RESPONSE',
    async () => {
      const tap = await startTap();
      const port = await freePort();
      await startForwarder('coredns', port, tap);
      expect(rcodeOf(await askByTcp(port, 'www.example.com'))).toBe(SERVFAIL);
      const [response] = await tap.waitFor('CLIENT_RESPONSE');
      expect(rcodeOf(response?.responseMessage ?? new Uint8Array())).toBe(SERVFAIL);
      const queries = ofType(tap, 'FORWARDER_QUERY');
      // The address of a socket that never came to be; a retry even has the time of the first try.
      expect(queries.length).toBeGreaterThan(0);
      expect(queries.map(({ queryAddress, queryPort }) => queryAddress ?? queryPort ?? null)).toEqual(
        queries.map(() => null),
      );
      await tap.expectAgreement();
      await tap.close();
    },
  );
});

const SERVFAIL = 2;

function rcodeOf(message: Uint8Array): number {
  return (message[3] ?? 0) & 0x0f;
}

const authority = new Authority();
afterAll(() => authority.remove());
