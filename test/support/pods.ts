import { readFileSync } from 'node:fs';
import { runCommand, type CommandOutput } from './command.js';
import { closeAtEnd, removeAtDeath } from './lifetime.js';
import { asRoot, requireRoot, rootPrefix } from './root.js';
import { TestSupportError } from './test-support-error.js';

/** @see PodNetwork.createPod */
export interface PodOptions {
  readonly name: string;
  /** The Kubernetes namespace: its search path is the pod's. */
  readonly namespace: string;
  /** The search domains of the node, which the kubelet puts behind the cluster's. */
  readonly nodeSearchDomains?: readonly string[];
  /** The whole search list (`dnsPolicy: None`) instead of the cluster's and the node's. */
  readonly searchDomains?: readonly string[];
  /** The nameservers in resolv.conf; the cluster DNS unless told. */
  readonly nameservers?: readonly string[];
  /** The options line of resolv.conf; `ndots:5` unless told. */
  readonly resolverOptions?: string;
}

/** A client with an address and a resolver of its own: a network namespace with a pod's resolv.conf. */
export interface ClientPod {
  readonly name: string;
  readonly namespace: string;
  readonly podIp: string;
  /** Its network namespace, by the name that `ip netns` knows. */
  readonly netns: string;
  /**
   * Runs a command in the pod's network, where names are resolved by the system's real resolver.
   *
   * @throws TestSupportError `TEST_ERR_COMMAND_FAILED` when it ends with another status than 0
   */
  exec(command: string, ...args: readonly string[]): Promise<CommandOutput>;
  /** The addresses that glibc's resolver finds for a name, sorted; empty when there is none. */
  lookUp(name: string): Promise<readonly string[]>;
}

/** A bridge on which the cluster DNS listens and to which pods are connected. */
export interface PodNetwork {
  /** The address for the cluster DNS to listen on, port 53. */
  readonly dnsAddress: string;
  readonly podCidr: string;
  createPod(options: PodOptions): Promise<ClientPod>;
  /** Removes the bridge and all pods. Idempotent. */
  remove(): Promise<void>;
}

const BRIDGE_PREFIX = 'isd';
const MAX_NETWORKS = 250;
const FIRST_POD_HOST = 10;
const MAX_PODS = 240;

/**
 * Makes a network for pods, `10.244.N.0/24`, with an N that no other run uses.
 *
 * ```text
 * network namespace isdN-NAME        the machine itself
 *   eth0 10.244.N.10  ──── veth ──── bridge isdN 10.244.N.1 ◀── CoreDNS, port 53
 *   /etc/resolv.conf from /etc/netns/isdN-NAME
 * ```
 *
 * N is taken by making the bridge, which only one run can do. The bridge's alias names the process that owns it, so that
 * the next run removes what an interrupted one left.
 *
 * @throws TestSupportError `TEST_ERR_PODS_UNSUPPORTED` where there are no network namespaces, `TEST_ERR_NEEDS_ROOT`
 */
export async function createPodNetwork(): Promise<PodNetwork> {
  if (process.platform !== 'linux') {
    const message = `client pods are Linux network namespaces, which ${process.platform} has not: run these tests on Linux`;
    throw new TestSupportError('TEST_ERR_PODS_UNSUPPORTED', message);
  }
  await requireRoot();
  await removeStaleNetworks();
  const network = new NamespaceNetwork(await takeBridge());
  await network.setUp();
  return network;
}

class NamespaceNetwork implements PodNetwork {
  readonly dnsAddress: string;
  readonly podCidr: string;
  readonly #bridge: string;
  readonly #release: () => void;
  readonly #forget: () => void;
  #pods = 0;
  #removed = false;

  constructor(bridge: string) {
    this.#bridge = bridge;
    this.dnsAddress = `10.244.${networkNumber(bridge)}.1`;
    this.podCidr = `10.244.${networkNumber(bridge)}.0/24`;
    this.#release = removeAtDeath({ kind: 'command', command: [...rootPrefix(), 'sh', '-c', removal(bridge)] });
    this.#forget = closeAtEnd({ close: async () => this.remove() });
  }

  async setUp(): Promise<void> {
    await asRoot('ip', 'address', 'add', `${this.dnsAddress}/24`, 'dev', this.#bridge);
    await asRoot('ip', 'link', 'set', this.#bridge, 'up');
  }

  async createPod(options: PodOptions): Promise<ClientPod> {
    const host = FIRST_POD_HOST + this.#pods;
    if (this.#pods >= MAX_PODS) throw new Error(`more than ${MAX_PODS} pods in one network`);
    this.#pods += 1;
    const podIp = `10.244.${networkNumber(this.#bridge)}.${host}`;
    const netns = `${this.#bridge}-${host}`;
    await asRoot('sh', '-ec', podSetup({ bridge: this.#bridge, netns, podIp, dnsAddress: this.dnsAddress, options }));
    return clientPod(netns, podIp, options);
  }

  async remove(): Promise<void> {
    if (this.#removed) return;
    this.#removed = true;
    await asRoot('sh', '-c', removal(this.#bridge));
    this.#release();
    this.#forget();
  }
}

function clientPod(netns: string, podIp: string, { name, namespace }: PodOptions): ClientPod {
  const exec: ClientPod['exec'] = async (command, ...args) => asRoot('ip', 'netns', 'exec', netns, command, ...args);
  return {
    name,
    namespace,
    podIp,
    netns,
    exec,
    lookUp: async (hostname) => {
      try {
        const { stdout } = await exec('getent', 'ahosts', hostname);
        return [...new Set(stdout.split('\n').map((line) => line.split(' ')[0] ?? ''))].filter(Boolean).sort();
      } catch (error) {
        if (isNotFound(error)) return [];
        throw error;
      }
    },
  };
}

/** getent ends with 2 when there is no such name. */
function isNotFound(error: unknown): boolean {
  return error instanceof TestSupportError && (error.cause as { code?: unknown } | undefined)?.code === 2;
}

interface PodSetup {
  readonly bridge: string;
  readonly netns: string;
  readonly podIp: string;
  readonly dnsAddress: string;
  readonly options: PodOptions;
}

/** One script a pod: a process a command would take longer than all its work. */
function podSetup({ bridge, netns, podIp, dnsAddress, options }: PodSetup): string {
  const { namespace, nodeSearchDomains = [], resolverOptions = 'ndots:5' } = options;
  const ofCluster = [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local'];
  const search = options.searchDomains ?? [...ofCluster, ...nodeSearchDomains];
  const resolvConf = [
    ...(search.length === 0 ? [] : [`search ${search.join(' ')}`]),
    ...(options.nameservers ?? [dnsAddress]).map((address) => `nameserver ${address}`),
    `options ${resolverOptions}`,
  ];
  const files = `/etc/netns/${netns}`;
  return `
    ip netns add ${netns}
    ip link add ${netns} type veth peer name eth0 netns ${netns}
    ip link set ${netns} master ${bridge} up
    ip -n ${netns} link set lo up
    ip -n ${netns} address add ${podIp}/24 dev eth0
    ip -n ${netns} link set eth0 up
    ip -n ${netns} route add default via ${dnsAddress}
    mkdir -p ${files}
    printf '%s\\n' ${resolvConf.map((line) => `'${line}'`).join(' ')} >${files}/resolv.conf
    printf '%s\\n' '127.0.0.1 localhost' "${podIp} $(uname -n)" >${files}/hosts
    # Without it a machine whose names go through systemd-resolved would ask that one, outside the namespace.
    if [ -e /etc/nsswitch.conf ]; then echo 'hosts: files dns' >${files}/nsswitch.conf; fi
  `;
}

function removal(bridge: string): string {
  return `
    for netns in $(ip netns list | cut -d ' ' -f 1 | grep '^${bridge}-'); do
      ip netns delete $netns
      rm -rf /etc/netns/$netns
    done
    ip link delete ${bridge}
    rmdir /etc/netns 2>/dev/null
    true
  `;
}

async function takeBridge(): Promise<string> {
  const first = Math.floor(Math.random() * MAX_NETWORKS);
  for (let tries = 0; tries < MAX_NETWORKS; tries += 1) {
    const bridge = `${BRIDGE_PREFIX}${(first + tries) % MAX_NETWORKS}`;
    try {
      await asRoot('ip', 'link', 'add', bridge, 'type', 'bridge');
    } catch (error) {
      if (await exists(bridge)) continue;
      throw error;
    }
    await asRoot('ip', 'link', 'set', bridge, 'alias', owner(process.pid));
    return bridge;
  }
  throw new Error(`all ${MAX_NETWORKS} pod networks are taken`);
}

async function exists(bridge: string): Promise<boolean> {
  return (await bridges()).some(({ ifname }) => ifname === bridge);
}

interface Bridge {
  readonly ifname: string;
  readonly ifalias?: string;
}

async function bridges(): Promise<readonly Bridge[]> {
  const { stdout } = await runCommand('ip', ['-json', 'link', 'show', 'type', 'bridge']);
  // iproute2 prints an array of objects, and nothing at all when there is no bridge.
  return stdout.trim() === '' ? [] : (JSON.parse(stdout) as readonly Bridge[]);
}

async function removeStaleNetworks(): Promise<void> {
  for (const { ifname, ifalias } of await bridges()) {
    // A bridge of ours without an alias is being made at this moment.
    const isOurs = new RegExp(`^${BRIDGE_PREFIX}\\d+$`).test(ifname) && ifalias !== undefined;
    if (isOurs && !isOwnerAlive(ifalias)) await asRoot('sh', '-c', removal(ifname));
  }
}

/** A process number alone is used again one day; with the time of its start it is not. */
function owner(pid: number): string {
  return `istio-discovery test ${pid} ${startTime(pid)}`;
}

function isOwnerAlive(alias: string): boolean {
  const pid = Number(alias.split(' ')[2]);
  return alias === owner(pid);
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold spaces, but ends with the last parenthesis. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone';
  } catch {
    return 'gone';
  }
}

function networkNumber(bridge: string): number {
  return Number(bridge.slice(BRIDGE_PREFIX.length));
}
