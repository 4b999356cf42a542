import { Resolver } from 'node:dns/promises';
import { DnstapView, formatAddress, MessageType, Receiver } from 'dnstap-ts';
import { startClusterDns } from '../support/cluster-dns.js';
import { runCommand } from '../support/command.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { closeAtEnd } from '../support/lifetime.js';
import { partPath } from '../support/parts.js';
import { createPodNetwork, type ClientPod, type PodNetwork } from '../support/pods.js';
import { createOwner, createRunningPod } from '../support/running-pod.js';
import { INTERNET_NAMES, startSmallInternet } from '../support/small-internet.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { judgeLookups, type GroundTruth, type PodTruth } from './ground-truth.js';
import type { ResolverProgram } from './programs.js';
import { mainWorkload, NODE_SEARCH_DOMAIN, secondWorkload, wildcardWorkload, type NameToLookUp } from './workload.js';

/** What one program did. */
export interface Recording {
  readonly name: string;
  /** The CLIENT_QUERY and CLIENT_RESPONSE frames of its pods, in the order in which CoreDNS sent them. */
  readonly frames: readonly Buffer[];
  readonly truth: GroundTruth;
}

export interface Recordings {
  readonly recordings: readonly Recording[];
  /** The Kubernetes objects of all of them, as kubectl prints them. */
  readonly objects: string;
}

interface Client {
  readonly pod: ClientPod;
  readonly workload: string;
  readonly names: readonly NameToLookUp[];
}

const NAMESPACES = ['shop', 'bank', 'wild'] as const;

/** Services that clients look up: one with an address, one without, and one that is another name for a host outside. */
const SERVICES = [
  { metadata: { name: 'redis', namespace: 'shop' }, spec: { ports: [{ port: 6379 }] } },
  { metadata: { name: 'headless', namespace: 'shop' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } },
  {
    metadata: { name: 'payments', namespace: 'shop' },
    spec: { type: 'ExternalName', externalName: 'end.example.org' },
  },
].map((service) => ({ apiVersion: 'v1', kind: 'Service', ...service }));

/**
 * Lets programs look names up in pods of a cluster, all at the same time, and keeps what CoreDNS tells of each.
 *
 * @throws TestSupportError where there are no pods, see createPodNetwork
 */
export async function recordResolvers(programs: readonly ResolverProgram[]): Promise<Recordings> {
  const [server, network, internet] = await Promise.all([
    startKubeApiserver(),
    createPodNetwork(),
    startSmallInternet(),
  ]);
  const tap = await startTap();
  const replicaSet = await createCluster(server);
  await startClusterDns({
    apiServer: server,
    upstream: internet.address,
    host: network.dnsAddress,
    port: 53,
    dnstap: `unix://${tap.address}`,
  });
  const done = await Promise.all(
    programs.map(async (program) =>
      runProgramInPods(program, await createClients(program, { server, network, replicaSet })),
    ),
  );
  await tap.waitForEverything(network.dnsAddress);
  const coredns = (await runCommand(await partPath('coredns'), ['-version'])).stdout.split('\n')[0] ?? '';
  return {
    recordings: done.map(({ name, ...truth }) => ({
      name,
      frames: tap.framesOf(truth.pods.map(({ podIp }) => podIp)),
      truth: { coredns, ...truth },
    })),
    objects: await server.kubectl(['get', 'pods,replicasets,deployments', '-A', '-o', 'json']),
  };
}

/** Makes namespaces, Services and the owners of the main pods. @returns the reference to their ReplicaSet */
async function createCluster(server: KubeApiserver): Promise<object> {
  const namespaces = NAMESPACES.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  const list = { apiVersion: 'v1', kind: 'List', items: [...namespaces, ...SERVICES] };
  await server.kubectl(['create', '-f', '-'], JSON.stringify(list));
  const owner = await createOwner(server, { kind: 'Deployment', namespace: 'shop', name: 'web' });
  return createOwner(server, { kind: 'ReplicaSet', namespace: 'shop', name: 'web-5d9c7b8f6d', owner });
}

interface Cluster {
  readonly server: KubeApiserver;
  readonly network: PodNetwork;
  readonly replicaSet: object;
}

async function createClients({ name }: ResolverProgram, cluster: Cluster): Promise<readonly Client[]> {
  const { server, network, replicaSet } = cluster;
  const nodeSearchDomains = [NODE_SEARCH_DOMAIN];
  const resolverOptions = 'ndots:5 timeout:1 attempts:3';
  const web = `web-5d9c7b8f6d-${name}`;
  const pods = [
    await network.createPod({ namespace: 'shop', name: web, nodeSearchDomains }),
    await network.createPod({ namespace: 'bank', name: `ledger-${name}`, nodeSearchDomains, resolverOptions }),
    await network.createPod({
      namespace: 'wild',
      name: `lost-${name}`,
      nodeSearchDomains: [INTERNET_NAMES.wildcardDomain],
    }),
  ];
  for (const pod of pods) {
    const ownerReferences = pod.name === web ? [replicaSet] : [];
    await createRunningPod(server, { namespace: pod.namespace, name: pod.name, podIp: pod.podIp, ownerReferences });
    // What connects after its look-up is to fail at once.
    for (const half of ['0.0.0.0/1', '128.0.0.0/1']) await pod.exec('ip', 'route', 'add', 'unreachable', half);
  }
  const [main, second, wildcard] = pods as [ClientPod, ClientPod, ClientPod]; // as made above
  return [
    { pod: main, workload: 'Deployment/web', names: mainWorkload(name) },
    { pod: second, workload: `Pod/${second.name}`, names: secondWorkload(name) },
    { pod: wildcard, workload: `Pod/${wildcard.name}`, names: wildcardWorkload() },
  ];
}

async function runProgramInPods(
  program: ResolverProgram,
  clients: readonly Client[],
): Promise<Omit<GroundTruth, 'coredns'> & { readonly name: string }> {
  const pods = await Promise.all(clients.map(async (client) => lookUpAll(program, client)));
  const judged = pods.map((pod, index) => judgeLookups(pod, clients[index]?.names ?? []));
  return {
    name: program.name,
    program: await program.version(),
    pods,
    learnt: judged.flatMap(({ learnt }) => learnt).toSorted(),
    ambiguous: judged.flatMap(({ ambiguous }) => ambiguous),
  };
}

async function lookUpAll(program: ResolverProgram, { pod, workload, names }: Client): Promise<PodTruth> {
  const { stdout: resolvConf } = await pod.exec('cat', '/etc/resolv.conf');
  const lookups = await program.lookUp(
    pod,
    names.map(({ name }) => name),
  );
  return { namespace: pod.namespace, workload, podIp: pod.podIp, resolvConf, lookups };
}

interface Tap {
  readonly address: string;
  /** Waits until CoreDNS has sent what happened before now. */
  waitForEverything(dnsAddress: string): Promise<void>;
  framesOf(clients: readonly string[]): readonly Buffer[];
}

const LAST_NAME = 'end-of-recording.example.com';

async function startTap(): Promise<Tap> {
  const address = createTemporaryDirectory().file('tap.sock');
  const frames: { readonly client: string; readonly bytes: Buffer }[] = [];
  const view = new DnstapView();
  const receiver = new Receiver({
    endpoint: address,
    onFrame: (buffer, start, end) => {
      view.scan(buffer, start, end);
      if (view.type !== MessageType.CLIENT_QUERY && view.type !== MessageType.CLIENT_RESPONSE) return;
      const { queryAddressStart: at, queryAddressLength: length } = view;
      const client = formatAddress(buffer.subarray(at, at + length));
      frames.push({ client, bytes: Buffer.from(buffer.subarray(start, end)) });
    },
  });
  closeAtEnd({ close: () => receiver.close() });
  await receiver.listen();
  return {
    address,
    waitForEverything: async (dnsAddress) => {
      const resolver = new Resolver();
      resolver.setServers([dnsAddress]);
      await resolver.resolve4(LAST_NAME).catch(() => undefined); // there is no such name
      await waitUntil(() => frames.some(({ bytes }) => bytes.includes('end-of-recording')), { what: LAST_NAME });
    },
    framesOf: (clients) => frames.filter(({ client }) => clients.includes(client)).map(({ bytes }) => bytes),
  };
}
