import fc from 'fast-check';
import { askByUdp } from '../../../src/dnstap-ts/test/interop/dns-client.js';
import { decodeDnstap, MessageType } from 'dnstap-ts';
import { checkCorefile } from '../../../src/install/corefile/check-corefile.js';
import { startTap } from '../../../src/dnstap-ts/test/interop/tap.js';
import { insertTap } from '../../../src/install/corefile/insert-tap.js';
import { startCoreDns, type CoreDnsOptions } from '../../support/coredns.js';
import { freePort } from '../../support/free-port.js';
import { startKubeApiserver, type KubeApiserver } from '../../support/kube-apiserver.js';
import { acceptsTcp } from '../../support/probe.js';
import { startSmallInternet, type SmallInternet } from '../../support/small-internet.js';
import { waitUntil } from '../../support/wait-until.js';
import { startableCorefile } from './corefile-arbitrary.js';
import { CORE_FILES } from './corefiles.js';

type CoreDnsPart = NonNullable<CoreDnsOptions['part']>;

const VERSIONS: Readonly<Record<CoreDnsPart, string>> = {
  'coredns-1.10': '1.10.1',
  'coredns-1.11': '1.11.3',
  'coredns-1.14': '1.14.2',
  coredns: '1.15.0',
};
const PARTS = Object.keys(VERSIONS) as readonly CoreDnsPart[]; // the keys of the object above
const AT_ONCE = 6;
const GENERATED = 12;
const DNS_HEADER_BYTES = 12;

/** What a Corefile imports on k3s and AKS: an operator's own lines, beside the Corefile and not in a directory. */
const FILES = { 'custom-log.override': 'log\n', 'custom-corp.server': '', NodeHosts: '192.0.2.77 node.example\n' };

let internet: SmallInternet;
let apiServer: KubeApiserver;

beforeAll(async () => {
  internet = await startSmallInternet();
  apiServer = await startKubeApiserver();
}, 120_000);

afterAll(async () => {
  await apiServer.stop();
  await internet.stop();
});

/** The Corefile with what a test machine has: other ports, its own upstream and API server. */
async function makeStartable(text: string): Promise<{ readonly corefile: string; readonly port: number }> {
  const port = await freePort();
  const free = async (): Promise<string> => `127.0.0.1:${await freePort()}`;
  const [health, ready, metrics] = [await free(), await free(), await free()];
  const kubeconfig = `kubeconfig ${apiServer.kubeconfigFile} test`;
  const corefile = text
    .replaceAll(/(?<=[\w.]):(?:53|5353)\b/g, `:${port}`)
    .replaceAll(/^(\s*bind) 169.*$/gm, '$1 127.0.0.1')
    .replaceAll(/^(\s*health)\b[^{\r\n]*/gm, `$1 ${health} `)
    .replaceAll(/^(\s*ready)\b[^\r\n]*/gm, `$1 ${ready}`)
    .replaceAll(/^(\s*prometheus)\b[^\r\n]*/gm, `$1 ${metrics}`)
    .replaceAll(/^(\s*kubernetes\b[^{\r\n]*)\{/gm, `$1{\n${kubeconfig}\n`)
    .replaceAll(/^(\s*kubernetes\b[^{\r\n]*)$/gm, `$1 {\n${kubeconfig}\n}`)
    .replaceAll(/10\.\d+\.\d+\.53(?::8600)?/g, internet.address)
    .replaceAll('/etc/resolv.conf', internet.address)
    .replaceAll('/etc/coredns/custom/*', 'custom-*')
    .replaceAll('custom/*', 'custom-*')
    .replaceAll('/etc/coredns/', '');
  return { corefile, port };
}

/** A name in a zone of the block that is asked for. */
function nameIn(keys: readonly string[]): string {
  const zone = (keys.find((key) => !key.startsWith('second')) ?? '').replace(/^[a-z]+:\/\//, '').replace(/:\d+,?$/, '');
  return zone === '.' ? 'www.example.com' : `host.${zone.replace(/\.$/, '').toLowerCase()}`;
}

/** The name as it stands in a DNS message. */
function wireName(name: string): Buffer {
  return Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ]);
}

/** Starts a CoreDNS with the edited Corefile, asks it once for each tapped block, and expects one full pair of frames each. */
async function expectOnePairEach(
  part: CoreDnsPart,
  { corefile, port }: { corefile: string; port: number },
): Promise<void> {
  const tap = await startTap();
  const options = { endpoint: `unix://${tap.address}`, version: VERSIONS[part] };
  const result = insertTap(corefile, options);
  if ('refused' in result) throw new Error(`${JSON.stringify(result)}\n${corefile}`);
  const coredns = await startCoreDns({
    part,
    corefile: result.text,
    files: FILES,
    ready: () => acceptsTcp('127.0.0.1', port),
  });
  try {
    const names = [...new Set(result.tapped.map(nameIn))]; // views of one zone: one of them answers
    const types = (name: string): readonly number[] =>
      tap
        .messages()
        .filter(({ type, queryMessage, responseMessage }) => {
          const message = type === MessageType.CLIENT_QUERY ? queryMessage : responseMessage;
          const isOfClient = type === MessageType.CLIENT_QUERY || type === MessageType.CLIENT_RESPONSE;
          return isOfClient && Buffer.from(message ?? []).indexOf(wireName(name)) === DNS_HEADER_BYTES;
        })
        .map(({ type }) => type)
        .toSorted((a, b) => a - b);
    for (const name of names) await askByUdp(port, name);
    // A second message of any query would come on the same connection before those of the query after it.
    for (const name of names) await askByUdp(port, `after.${name}`);
    await waitUntil(() => names.every((name) => types(`after.${name}`).length === 2), { what: names.join() });
    const pair = [MessageType.CLIENT_QUERY, MessageType.CLIENT_RESPONSE];
    expect(names.map((name) => [name, types(name)])).toEqual(names.map((name) => [name, pair]));
  } catch (err) {
    throw new Error(`${part}\n${result.text}\n${coredns.log().slice(-2000)}`, { cause: err });
  } finally {
    await coredns.kill('SIGKILL'); // lameduck would make it wait
    await coredns.stop();
    await tap.close();
  }
}

/** All at once, a few at a time. @returns what failed */
async function failuresOf(
  part: CoreDnsPart,
  files: readonly { readonly name: string; readonly text: string }[],
): Promise<readonly unknown[]> {
  const failures: unknown[] = [];
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { name, text } = file;
      await makeStartable(text)
        .then((startable) => expectOnePairEach(part, startable))
        .catch((err: unknown) => failures.push(name, err));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}

describe('a CoreDNS with an edited Corefile', () => {
  it.each(PARTS)(
    '%s sends one full pair of messages a query, in every shape of a Corefile',
    async (part) => {
      expect(await failuresOf(part, CORE_FILES)).toEqual([]);
    },
    180_000,
  );

  it.each(['coredns-1.10', 'coredns'] as const)(
    '%s sends one full pair of messages a query, with generated Corefiles',
    async (part) => {
      const texts = fc.sample(startableCorefile({ port: 53, upstream: '/etc/resolv.conf' }), GENERATED);
      expect(
        await failuresOf(
          part,
          texts.map((text) => ({ name: text, text })),
        ),
      ).toEqual([]);
    },
    180_000,
  );

  it.each(PARTS.filter((part) => part !== 'coredns-1.10'))('%s adds what extra asks for', async (part) => {
    const tap = await startTap();
    const port = await freePort();
    const corefile = `.:${port} {\n  metadata\n  forward . ${internet.address}\n}\n`;
    const options = { endpoint: `unix://${tap.address}`, version: VERSIONS[part], extra: '"{type}" of {name}' };
    const result = insertTap(corefile, options);
    if ('refused' in result) throw new Error(result.refused);
    await startCoreDns({ part, corefile: result.text, ready: () => acceptsTcp('127.0.0.1', port) });
    await askByUdp(port, 'www.example.com');
    const frame = await waitUntil(() => tap.frames[0], { what: 'a frame' });
    expect(Buffer.from(decodeDnstap(frame).extra ?? []).toString()).toBe('"A" of www.example.com.');
    expect(result.cautions).not.toContain('extra-needs-metadata');
  });

  it.each(PARTS)('%s passes over what checkCorefile calls misplaced, and starts', async (part) => {
    const tap = await startTap();
    const port = await freePort();
    const endpoint = `unix://${tap.address}`;
    const corefile = `.:${port} {\n  hosts {\n    dnstap ${endpoint} full\n    fallthrough\n  }\n  forward . ${internet.address}\n}\n`;
    await startCoreDns({ part, corefile, ready: () => acceptsTcp('127.0.0.1', port) });
    await askByUdp(port, 'www.example.com'); // CoreDNS connects before it serves
    expect(tap.opened).toHaveLength(0);
    expect(checkCorefile(corefile, { endpoint })).toMatchObject({
      findings: expect.arrayContaining([expect.objectContaining({ code: 'tap-misplaced', line: 3 })]),
    });
  });
});
