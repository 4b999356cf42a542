import { Resolver } from 'node:dns/promises';
import { startCoreDns } from '../support/coredns.js';
import { freePort } from '../support/free-port.js';
import { acceptsTcp } from '../support/probe.js';
import { runProgram, startProgram } from '../support/program.js';
import { startRedis } from '../support/redis.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';

/*
 * Two replicas of the cluster DNS, between which kube-proxy spreads the steps of a client's search walk. In the search domain
 * corp.example.net every name exists.
 */

const NAMES = `  template IN A corp.example.net {
    answer "{{ .Name }} 60 IN A 192.0.2.99"
  }
  template IN A example.com {
    match ^(www|api|mail)\\.example\\.com\\.$
    answer "{{ .Name }} 60 IN A 192.0.2.1"
    fallthrough
  }
  template IN ANY . {
    rcode NXDOMAIN
  }
`;

/** A CoreDNS that tells a collector; resolves to what asks it. */
async function startReplica(name: string, tap: string): Promise<Resolver> {
  const port = await freePort();
  await startCoreDns({
    name,
    corefile: `.:${port} {\n  bind 127.0.0.1\n  dnstap ${tap} full\n${NAMES}}\n`,
    ready: async () => acceptsTcp('127.0.0.1', port),
  });
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver;
}

async function ask(server: Resolver, name: string): Promise<void> {
  await server.resolve4(name).catch((err: unknown) => expect(err).toMatchObject({ code: 'ENOTFOUND' }));
}

/** The walk of api.example.com, whose last step goes to another replica than the ones before it. */
async function walkAcross([first, second]: readonly [Resolver, Resolver]): Promise<void> {
  for (const suffix of ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local']) {
    await ask(first, `api.example.com.${suffix}`);
  }
  await ask(second, 'api.example.com.corp.example.net');
}

async function hostsOf(store: string): Promise<readonly string[]> {
  return (await runProgram('hosts', '--store', store, '-o', 'name')).stdout.split('\n').slice(0, -1);
}

async function reasonsOf(store: string): Promise<readonly string[]> {
  const { stdout } = await runProgram('status', '--store', store, '-o', 'json');
  return (JSON.parse(stdout) as { rejections: { reason: string }[] }).rejections.map(({ reason }) => reason);
}

it.each([
  // One table sees the whole walk. Of two, none does: that it may be a step is known, and it makes no host.
  ['one collector', 1, 'search-conflict'],
  ['a collector each', 2, 'search-undecided'],
] as const)(
  'with %s, a walk over both makes no host of its last step',
  async (_, collectors, reason) => {
    const directory = createTemporaryDirectory();
    const store = (await startRedis()).url;
    const taps = Array.from({ length: collectors }, (__, index) => `unix://${directory.file(`${index}.sock`)}`);
    for (const tap of taps) {
      await startProgram('collect', ['--dnstap', tap, '--store', store, '--observation-flush-ms', '200']);
    }
    const tapOf = (replica: number): string => taps[replica % collectors] as string; // there are as many as collectors
    const replicas = [await startReplica('first', tapOf(0)), await startReplica('second', tapOf(1))] as const;
    await walkAcross(replicas);
    await ask(replicas[0], 'www.example.com');
    await ask(replicas[1], 'mail.example.com');
    await waitUntil(async () => (await reasonsOf(store)).includes(reason), { what: reason, timeoutMs: 40_000 });
    await waitUntil(async () => (await hostsOf(store)).length >= 2, { what: 'the hosts' });
    expect(await hostsOf(store)).toEqual(['mail.example.com', 'www.example.com']);
  },
  90_000,
);
