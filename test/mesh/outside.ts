import { fileURLToPath } from 'node:url';
import { runCommand } from '../support/command.js';
import type { ClientPod, PodNetwork } from '../support/pods.js';
import { acceptsTcp } from '../support/probe.js';
import { startPart } from '../support/process.js';
import { rootPrefix } from '../support/root.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

/** Addresses of the world outside: each answers for any name. */
export const ADDRESS = '192.0.2.10';
export const OTHER_ADDRESS = '192.0.2.20';
/** The port that its servers open last. */
const LAST_PORT = 5432;

/** Makes a pod that stands for the world outside: it answers at these addresses. */
export async function createOutside(network: PodNetwork): Promise<ClientPod> {
  const pod = await network.createPod({ name: 'servers', namespace: 'outside' });
  for (const address of [ADDRESS, OTHER_ADDRESS]) await pod.exec('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
  const directory = createTemporaryDirectory();
  const [certificate, key] = [directory.file('certificate.pem'), directory.file('key.pem')];
  const subject = ['-subj', '/CN=example.com', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await runCommand('openssl', ['req', '-x509', ...subject, '-keyout', key, '-out', certificate, '-days', '2']);
  const servers = fileURLToPath(new URL('outside-servers.fixture.mjs', import.meta.url));
  const inPod = [...rootPrefix(), 'ip', 'netns', 'exec', pod.netns];
  const [command, ...args] = [...inPod, process.execPath, servers, certificate, key];
  await startPart({
    name: 'outside',
    command: command ?? '',
    args,
    directory,
    ready: async () => acceptsTcp(pod.podIp, LAST_PORT),
  });
  return pod;
}

/** Makes a pod from which that world can be reached. */
export async function createClient(
  namespace: string,
  { network, outside }: { readonly network: PodNetwork; readonly outside: ClientPod },
): Promise<ClientPod> {
  const pod = await network.createPod({ name: 'web', namespace });
  await pod.exec('ip', 'route', 'add', '192.0.2.0/24', 'via', outside.podIp);
  return pod;
}

/** A connection that a pod may make, in the words of curl. */
export type Connection = readonly string[];

/** The address is dialled whatever the name. */
export const https = (host: string, port = 443, address = ADDRESS): Connection => [
  '--resolve',
  `${host}:${port}:${address}`,
  `https://${host}:${port}/`,
];
export const http = (host: string, port = 80, address = ADDRESS): Connection => [
  '--resolve',
  `${host}:${port}:${address}`,
  `http://${host}:${port}/`,
];
export const tcp = (port: number, address = ADDRESS): Connection => [`telnet://${address}:${port}`];

/** What came back, or why nothing did. */
export async function probe(pod: ClientPod, connection: Connection): Promise<string> {
  // A byte for a server that waits for one; curl sends none to those that it speaks HTTP with.
  const curl = 'printf x | curl --silent --insecure --max-time 10 --write-out " %{http_code}" "$@"';
  try {
    return (await pod.exec('sh', '-c', curl, 'sh', ...connection)).stdout.trim();
  } catch (error) {
    const status = (error as Error).cause as { readonly code?: unknown } | undefined;
    return `curl ${String(status?.code)}`;
  }
}

/** The same of many connections at once, by their names. */
export async function probeAll(
  pod: ClientPod,
  connections: Readonly<Record<string, Connection>>,
): Promise<Readonly<Record<string, string>>> {
  const results = Object.entries(connections).map(async ([name, one]) => [name, await probe(pod, one)] as const);
  return Object.fromEntries(await Promise.all(results));
}

export const passes = (answer: string): boolean => /^(?:tls|http|tcp|server first) /.test(answer);

/** Those of the connections that do not pass. */
export async function stopped(pod: ClientPod, connections: Readonly<Record<string, Connection>>): Promise<string[]> {
  return Object.entries(await probeAll(pod, connections)).flatMap(([name, answer]) => (passes(answer) ? [] : [name]));
}
