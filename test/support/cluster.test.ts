import { startClusterDns, type ClusterDns } from './cluster-dns.js';
import { createHelm } from './helm.js';
import { startKubeApiserver, type KubeApiserver } from './kube-apiserver.js';
import { startKubeControllerManager } from './kube-controller-manager.js';
import { createPodNetwork, type ClientPod, type PodNetwork } from './pods.js';
import { asRoot } from './root.js';
import { createRunningPod } from './running-pod.js';
import { startSmallInternet, INTERNET_NAMES } from './small-internet.js';
import { runCommand } from './command.js';
import { waitUntil } from './wait-until.js';

let server: KubeApiserver;
let network: PodNetwork;

beforeAll(async () => {
  [server, network] = await Promise.all([startKubeApiserver({ crds: 'istio-crds' }), createPodNetwork()]);
});

describe('the API server', () => {
  it('is of the pinned version and serves ServiceEntries', async () => {
    const version = JSON.parse(await server.kubectl(['version', '--output=json'])) as {
      serverVersion: { gitVersion: string };
    };
    expect(version.serverVersion.gitVersion).toMatch(/^v1\.\d+\.\d+$/);
    await server.kubectl(['get', 'serviceentries.networking.istio.io', '--all-namespaces']);
  });

  it('rejects a ServiceEntry that the rules of the CRD do not allow', async () => {
    const entry = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'bad', namespace: 'default' },
      spec: { hosts: ['www.example.com'], ports: [{ number: 0, name: 'tls', protocol: 'TLS' }] },
    };
    await expect(server.kubectl(['create', '-f', '-'], JSON.stringify(entry))).rejects.toMatchObject({
      code: 'TEST_ERR_COMMAND_FAILED',
    });
  });

  it('knows a pod with its address', async () => {
    await createRunningPod(server, { namespace: 'default', name: 'known', podIp: '10.244.250.9' });
    const podIp = await server.kubectl(['get', 'pod', 'known', '--output=jsonpath={.status.podIP}']);
    expect(podIp).toBe('10.244.250.9');
  });

  it('keeps its objects over SIGKILL and restart', async () => {
    await server.kubectl(['create', 'namespace', 'kept']);
    await server.kill('SIGKILL');
    await server.restart();
    expect(await server.kubectl(['get', 'namespace', 'kept', '--output=name'])).toBe('namespace/kept\n');
  });

  it('gets ReplicaSets and pods from the controllers', async () => {
    const controllers = await startKubeControllerManager(server);
    await server.kubectl(['create', 'deployment', 'web', '--image=example.com/web:1']);
    const pods = await waitUntil(async () => {
      const names = await server.kubectl(['get', 'pods', '--selector=app=web', '--output=name']);
      return names !== '' && names;
    });
    expect(pods).toMatch(/^pod\/web-/);
    await controllers.stop();
    expect(controllers.isRunning()).toBe(false);
  });

  it('is what helm talks to', async () => {
    const helm = await createHelm(server);
    expect(JSON.parse(await helm('list', '--output=json'))).toEqual([]);
  });
});

describe('a client pod', () => {
  let clusterDns: ClusterDns;
  let pod: ClientPod;

  beforeAll(async () => {
    const internet = await startSmallInternet();
    clusterDns = await startClusterDns({
      apiServer: server,
      upstream: internet.address,
      host: network.dnsAddress,
      port: 53,
      extraLines: ['log'],
    });
    pod = await network.createPod({ name: 'web', namespace: 'shop', nodeSearchDomains: ['corp.example.net'] });
  });

  it('finds an external name at the end of its search path', async () => {
    expect(await pod.lookUp('www.example.com')).toEqual(['192.0.2.10', '2001:db8::10']);
    const asked = [...clusterDns.log().matchAll(/"A IN (www\.example\.com\.\S*) /g)].map((match) => match[1]);
    expect(asked).toEqual([
      'www.example.com.shop.svc.cluster.local.',
      'www.example.com.svc.cluster.local.',
      'www.example.com.cluster.local.',
      'www.example.com.corp.example.net.',
      'www.example.com.',
    ]);
    expect(clusterDns.log()).toContain(`${pod.podIp}:`);
  });

  it('finds a Service of the cluster, and nothing where there is nothing', async () => {
    expect(await pod.lookUp('kubernetes.default')).toEqual(['10.96.0.1']);
    expect(await pod.lookUp(INTERNET_NAMES.nxdomain[0])).toEqual([]);
    expect(await pod.lookUp(INTERNET_NAMES.dangling[0])).toEqual([]);
  });

  it('connects to whatever its wildcard search domain answers', async () => {
    const caught = await network.createPod({
      name: 'caught',
      namespace: 'shop',
      nodeSearchDomains: [INTERNET_NAMES.wildcardDomain],
    });
    expect(caught.podIp).not.toBe(pod.podIp);
    expect(await caught.lookUp('www.example.com')).toEqual(['203.0.113.99']);
  });

  it('is served by the old CoreDNS as well', async () => {
    await clusterDns.stop();
    const internet = await startSmallInternet();
    await startClusterDns({
      apiServer: server,
      upstream: internet.address,
      host: network.dnsAddress,
      port: 53,
      part: 'coredns-1.11',
    });
    expect(await pod.lookUp('cdn.example.com')).toEqual(['198.51.100.20', '2001:db8:1::20']);
  });
});

describe('a pod network', () => {
  it('leaves neither bridge nor namespace when it is removed, however often', async () => {
    const other = await createPodNetwork();
    expect(other.podCidr).not.toBe(network.podCidr);
    await other.createPod({ name: 'one', namespace: 'shop' });
    const bridge = await bridgeOf(other);
    await other.remove();
    await other.remove();
    expect(await leftovers(bridge)).toBe('');
  });

  it('is removed by the next run when its owner died', async () => {
    await asRoot('ip', 'link', 'add', 'isd999', 'type', 'bridge');
    await asRoot('ip', 'link', 'set', 'isd999', 'alias', 'istio-discovery test 4194305 1');
    await asRoot('ip', 'netns', 'add', 'isd999-10');
    const next = await createPodNetwork();
    expect(await leftovers('isd999')).toBe('');
    await next.remove();
  });

  async function bridgeOf({ dnsAddress }: PodNetwork): Promise<string> {
    return `isd${dnsAddress.split('.')[2]}`;
  }

  async function leftovers(bridge: string): Promise<string> {
    const { stdout } = await runCommand('sh', [
      '-c',
      '{ ip -brief link; ip netns list; } | grep -E "^$0(-| )" || true',
      bridge,
    ]);
    return stdout;
  }
});
