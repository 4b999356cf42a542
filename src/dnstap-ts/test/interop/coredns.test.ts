import { setTimeout as delay } from 'node:timers/promises';

import { startCoreDns, type CoreDns, type CoreDnsOptions } from '../../../../test/support/coredns.js';
import { freePort } from '../../../../test/support/free-port.js';
import { acceptsTcp } from '../../../../test/support/probe.js';
import { waitUntil } from '../../../../test/support/wait-until.js';
import { decodeDnstap, formatAddress, MessageType, SocketFamily, SocketProtocol } from '../../src/index.js';
import { Authority } from '../support/certificates.js';
import { askByTcp, askByTls, askByUdp } from './dns-client.js';
import { startTap } from './tap.js';

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
  it('over a unix socket: client messages by UDP and TCP, with both times in responses', async () => {
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

  it('over TCP: an unframed end of the process costs nothing that was flushed', async () => {
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

  it('without `full`: addresses and times, but no DNS message', async () => {
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

  it('with identity, version and extra', async () => {
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

  it('with an identity that is present and empty', async () => {
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

  it('one connection a server block, idle ones included; a reload closes the old and opens new ones', async () => {
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
  });

  it('forwarding: messages to the upstream, whose address is the client before 1.14.5 and CoreDNS itself since', async () => {
    const tap = await startTap();
    const [port, upstream] = [await freePort(), await freePort()];
    await start(part, upstream, `.:${upstream} {\n bind 127.0.0.1\n ${TEMPLATE}\n}`);
    await start(
      part,
      port,
      `.:${port} {\n bind 127.0.0.1\n dnstap unix://${tap.address} full\n forward . 127.0.0.1:${upstream}\n}`,
    );
    await askByUdp(port, 'www.example.com');
    await tap.waitFor('CLIENT_RESPONSE');
    const [forwarded] = await tap.waitFor('FORWARDER_RESPONSE');
    const [client] = await tap.waitFor('CLIENT_RESPONSE');
    expect(forwarded?.responsePort).toBe(upstream);
    expect(forwarded?.queryTimeNsec && forwarded.responseTimeNsec).toBeTruthy();
    const samePort = forwarded?.queryPort === client?.queryPort;
    expect(samePort).toBe(part === 'coredns-1.11');
    await tap.expectAgreement();
    await tap.close();
  });

  it('forwarding to an upstream that refuses', async () => {
    const tap = await startTap();
    const [port, upstream] = [await freePort(), await freePort()];
    await start(
      part,
      port,
      `.:${port} {\n bind 127.0.0.1\n dnstap unix://${tap.address} full\n forward . 127.0.0.1:${upstream}\n}`,
    );
    await askByUdp(port, 'www.example.com');
    const [query] = await tap.waitFor('FORWARDER_QUERY');
    expect(query?.responsePort).toBe(upstream);
    expect([0, 4]).toContain(query?.queryAddress?.length ?? 0); // since 1.14.5 it may have none
    await delay(1500); // the flush of what belongs to the same query
    await tap.expectAgreement();
    await tap.close();
  });

  it('DNS over TLS, which it calls TCP', async () => {
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

  it('under load: chunks that cut frames anywhere, and an order that goes back in time', async () => {
    const tap = await startTap();
    const port = await freePort();
    await start(part, port, `.:${port} {\n bind 127.0.0.1\n dnstap unix://${tap.address} full\n ${TEMPLATE}\n}`);
    await Promise.all(
      Array.from({ length: 20 }, async (_, client) => {
        for (let count = 0; count < 100; count++)
          await askByUdp(port, `c${client}-${count}.${'x'.repeat(count % 60)}y.example.com`);
      }),
    );
    await tap.waitFor('CLIENT_RESPONSE', 2000);
    expect(tap.messages().filter(({ type }) => type === MessageType.CLIENT_QUERY)).toHaveLength(2000);
    await tap.expectAgreement();
    await tap.close();
  });
});

const authority = new Authority();
afterAll(() => authority.remove());
