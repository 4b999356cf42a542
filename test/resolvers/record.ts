import { DnstapView, formatAddress, MessageType, Receiver } from 'dnstap-ts';
import { startClusterDns } from '../support/cluster-dns.js';
import { runCommand } from '../support/command.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { closeAtEnd } from '../support/lifetime.js';
import { partPath } from '../support/parts.js';
import { createPodNetwork, type ClientPod, type PodNetwork } from '../support/pods.js';
import { createOwners, createRunningPods } from '../support/running-pod.js';
import { INTERNET_NAMES, startSmallInternet } from '../support/small-internet.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { judgeLookups, type GroundTruth, type PodTruth } from './ground-truth.js';
import { startOtherServer, type OtherServer } from './other-servers.js';
import type { PodResolver, ResolverProgram } from './programs.js';
import { mainWorkload, NODE_SEARCH_DOMAIN, secondWorkload, wildcardWorkload, type NameToLookUp } from './workload.js';

/** What one program did. */
export interface Recording {
  readonly name: string;
  /** The CLIENT_QUERY and CLIENT_RESPONSE frames of its pods, in the order in which CoreDNS sent them. */
  readonly frames: readonly Buffer[];
  readonly truth: GroundTruth;
}

/** How the cluster's DNS is set up. */
export interface DnsSetting {
  /** Put behind the program's name; empty for kubeadm's setting. */
  readonly suffix: '' | '-autopath' | '-coredns-1.11' | '-metadata' | `-behind-${OtherServer}`;
  /** What clients ask, and what tells of it, in the place of CoreDNS, which stands behind it. */
  readonly server?: OtherServer;
  /** The host of the last look-up, another one for each setting: when it has arrived, everything before it has. */
  readonly lastHost: string;
  /** An endpoint that CoreDNS sends everything to as well. */
  readonly alsoTo?: string;
}

/** A cluster with Services, and a small internet outside. */
export interface ResolverCluster {
  readonly kubeconfigFile: string;
  /**
   * Lets programs look names up in pods of their own, behind a CoreDNS of their own, all at the same time, and keeps what
   * CoreDNS tells of each.
   */
  record(programs: readonly ResolverProgram[], setting: DnsSetting): Promise<readonly Recording[]>;
  /** The Kubernetes objects of all pods so far, as kubectl prints them. */
  objects(): Promise<string>;
}

/** Of the pods that only make the last look-up. */
export const LAST_NAMESPACE = 'last';

interface Client {
  readonly pod: ClientPod;
  readonly workload: string;
  readonly names: readonly NameToLookUp[];
}

const NAMESPACES = ['shop', 'bank', 'wild', LAST_NAMESPACE] as const;

/** Services that clients look up: one with an address, one without, and one that is another name for a host outside. */
const SERVICES = [
  { metadata: { name: 'redis', namespace: 'shop' }, spec: { ports: [{ port: 6379 }] } },
  { metadata: { name: 'headless', namespace: 'shop' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } },
  {
    metadata: { name: 'payments', namespace: 'shop' },
    spec: { type: 'ExternalName', externalName: 'end.example.org' },
  },
].map((service) => ({ apiVersion: 'v1', kind: 'Service', ...service }));

/** @throws TestSupportError where there are no pods, see createPodNetwork */
export async function startResolverCluster(): Promise<ResolverCluster> {
  const [server, internet] = await Promise.all([startKubeApiserver(), startSmallInternet()]);
  await createCluster(server);
  const lastPods = new Map<string, number>();
  return {
    kubeconfigFile: server.kubeconfigFile,
    objects: async () => server.kubectl(['get', 'pods,replicasets,deployments', '-A', '-o', 'json']),
    record: async (programs, setting) => {
      const [network, tap] = await Promise.all([createPodNetwork(), startTap()]);
      await startDns(setting, { server, network, upstream: internet.address, tap: tap.address });
      const names = programs.map(({ name }) => `${name}${setting.suffix}`);
      const resolvers = programs.map(({ resolver = {} }) => resolver);
      const clients = await createClients({ names, resolvers }, server, network);
      const number = (lastPods.get(setting.suffix) ?? 0) + 1;
      lastPods.set(setting.suffix, number);
      const lastName = `last${setting.suffix}${number === 1 ? '' : `-${number}`}`;
      const last = await createLastPod(lastName, server, network);
      const done = await Promise.all(
        programs.map(async (program, index) => ({
          name: names[index] ?? '',
          ...(await runProgramInPods(program, clients[index] ?? [], setting)),
        })),
      );
      await last.lookUp(setting.lastHost);
      await waitUntil(() => tap.framesOf([last.podIp]).length > 0, { what: setting.lastHost });
      const coredns = (await runCommand(await partPath(partOf(setting)), ['-version'])).stdout.split('\n')[0] ?? '';
      return done.map(({ name, ...truth }) => ({
        name,
        frames: tap.framesOf(truth.pods.map(({ podIp }) => podIp)),
        truth: { ...truth, coredns: `${coredns}${withOf(setting)}` },
      }));
    },
  };
}

/** A zone of the cluster's own DNS, as companies have them. */
const ALIAS = ['template IN ANY alias.example.org {', '   answer "{{ .Name }} 60 IN CNAME edge.example.net."', '}'];

const WITH = {
  '': '',
  '-autopath': ' with autopath',
  '-coredns-1.11': '',
  '-metadata': ' with the namespace and pod in `extra`',
} as const;

function withOf({ suffix, server }: DnsSetting): string {
  return server === undefined ? WITH[suffix as keyof typeof WITH] : ` behind ${server}`;
}

function partOf({ suffix }: DnsSetting): 'coredns' | 'coredns-1.11' {
  return suffix === '-coredns-1.11' ? 'coredns-1.11' : 'coredns';
}

interface DnsSurroundings {
  readonly server: KubeApiserver;
  readonly network: PodNetwork;
  readonly upstream: string;
  readonly tap: string;
}

async function startDns(setting: DnsSetting, { server, network, upstream, tap }: DnsSurroundings): Promise<void> {
  const { suffix, alsoTo } = setting;
  if (setting.server !== undefined) {
    const { address } = await startInternalDns(server, upstream);
    return startOtherServer(setting.server, { host: network.dnsAddress, upstream: address, tap });
  }
  const dnstapOptions =
    suffix === '-metadata' ? ['extra "{/kubernetes/client-namespace} {/kubernetes/client-pod-name}"'] : [];
  await startClusterDns({
    part: partOf(setting),
    apiServer: server,
    upstream,
    host: network.dnsAddress,
    port: 53,
    dnstap: `unix://${tap}`,
    dnstapOptions,
    pods: suffix === '-autopath' || suffix === '-metadata' ? 'verified' : 'insecure',
    extraLines: [
      ...ALIAS,
      ...(alsoTo === undefined ? [] : [`dnstap ${alsoTo} full`]),
      ...(suffix === '-autopath' ? ['autopath @kubernetes'] : []),
      ...(suffix === '-metadata' ? ['metadata'] : []),
    ],
  });
}

/** A CoreDNS that tells nothing, on a loopback port. */
async function startInternalDns(server: KubeApiserver, upstream: string): Promise<{ readonly address: string }> {
  const { host, port } = await startClusterDns({ apiServer: server, upstream, extraLines: ALIAS });
  return { address: `${host}:${port}` };
}

async function createCluster(server: KubeApiserver): Promise<void> {
  const namespaces = NAMESPACES.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  const list = { apiVersion: 'v1', kind: 'List', items: [...namespaces, ...SERVICES] };
  await server.kubectl(['create', '-f', '-'], JSON.stringify(list));
}

/** The clients of each name: a pod of a Deployment and two that belong to nothing. */
async function createClients(
  { names, resolvers }: { readonly names: readonly string[]; readonly resolvers: readonly PodResolver[] },
  server: KubeApiserver,
  network: PodNetwork,
): Promise<readonly (readonly Client[])[]> {
  const deployments = await createOwners(
    server,
    names.map((name) => ({ kind: 'Deployment', namespace: 'shop', name: `web-${name}` })),
  );
  const replicaSets = await createOwners(
    server,
    names.map((name, index) => ({
      kind: 'ReplicaSet',
      namespace: 'shop',
      name: `web-${name}-5d9c7b8f6d`,
      owner: deployments[index] ?? {},
    })),
  );
  const clients = await Promise.all(
    names.map(async (name, index) => createNetworkPods(name, resolvers[index] ?? {}, network)),
  );
  const pods = clients.flatMap((ofName, index) =>
    ofName.map(({ pod: { name, namespace, podIp }, workload }) => ({
      name,
      namespace,
      podIp,
      ownerReferences: workload.startsWith('Deployment/') ? [replicaSets[index] ?? {}] : [],
    })),
  );
  await createRunningPods(server, pods);
  return clients;
}

/** The pod of the last look-up. */
async function createLastPod(name: string, server: KubeApiserver, network: PodNetwork): Promise<ClientPod> {
  const pod = await network.createPod({ namespace: LAST_NAMESPACE, name });
  await createRunningPods(server, [{ namespace: pod.namespace, name: pod.name, podIp: pod.podIp }]);
  return pod;
}

async function createNetworkPods(
  name: string,
  { twoNameservers, nodeSearchDomains: more = [], ...resolver }: PodResolver,
  network: PodNetwork,
): Promise<readonly Client[]> {
  const again = `${resolver.resolverOptions ?? 'ndots:5'} timeout:1 attempts:3`;
  const options = {
    ...resolver,
    nodeSearchDomains: [...more, NODE_SEARCH_DOMAIN],
    ...(twoNameservers ? { nameservers: [network.dnsAddress, network.dnsAddress] } : {}),
  };
  const wild = { ...options, nodeSearchDomains: [INTERNET_NAMES.wildcardDomain] };
  const [main, second, lost] = await Promise.all([
    network.createPod({ ...options, namespace: 'shop', name: `web-${name}-5d9c7b8f6d-x2k4q` }),
    network.createPod({ ...options, namespace: 'bank', name: `ledger-${name}`, resolverOptions: again }),
    network.createPod({ ...wild, namespace: 'wild', name: `lost-${name}` }),
  ]);
  // What connects after its look-up is to fail at once.
  const unreachable = 'ip route add unreachable 0.0.0.0/1 && ip route add unreachable 128.0.0.0/1';
  await Promise.all([main, second, lost].map(async (pod) => pod.exec('sh', '-c', unreachable)));
  return [
    { pod: main, workload: `Deployment/web-${name}`, names: mainWorkload(name) },
    { pod: second, workload: `Pod/${second.name}`, names: secondWorkload(name) },
    { pod: lost, workload: `Pod/${lost.name}`, names: wildcardWorkload() },
  ];
}

async function runProgramInPods(
  program: ResolverProgram,
  clients: readonly Client[],
  { suffix }: DnsSetting,
): Promise<Omit<GroundTruth, 'coredns'>> {
  const how = { ...program, hasAutopath: suffix === '-autopath' };
  const pods = await Promise.all(clients.map(async (client) => lookUpAll(program, client)));
  const judged = pods.map((pod, index) => judgeLookups(pod, clients[index]?.names ?? [], how));
  return {
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
  framesOf(clients: readonly string[]): readonly Buffer[];
}

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
    framesOf: (clients) => frames.filter(({ client }) => clients.includes(client)).map(({ bytes }) => bytes),
  };
}
