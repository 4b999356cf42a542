import { ISTIO_NAMESPACE } from '../support/istiod.js';
import { createPodNetwork, type ClientPod } from '../support/pods.js';
import { startSidecar, type Sidecar } from '../support/sidecar.js';
import { waitUntil } from '../support/wait-until.js';
import {
  ADDRESS,
  createClient,
  createOutside,
  http,
  https,
  OTHER_ADDRESS,
  passes,
  probe,
  probeAll,
  stopped,
  tcp,
  type Connection,
} from './outside.js';
import { startTestMesh, type TestMesh } from './test-mesh.js';

let mesh: TestMesh;
let shop: ClientPod;
let shopSidecar: Sidecar;
let bank: ClientPod;

beforeAll(async () => {
  const network = await createPodNetwork();
  const [started, outside] = await Promise.all([
    startTestMesh(['shop', 'bank'], { host: network.dnsAddress, mesh: meshConfig('ALLOW_ANY') }),
    createOutside(network),
  ]);
  mesh = started;
  // Nothing here has certificates.
  await mesh.apply({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: 'default', namespace: ISTIO_NAMESPACE },
    spec: { mtls: { mode: 'DISABLE' } },
  });
  shop = await createClient('shop', { network, outside });
  bank = await createClient('bank', { network, outside });
  [shopSidecar] = await Promise.all([startSidecar(shop, mesh.istiod), startSidecar(bank, mesh.istiod)]);
}, 120_000);

afterEach(async () => {
  await mesh.clear();
  await nothingDeclared();
});

afterAll(async () => mesh.stop());

/** All kinds of connections, none of which an entry for api.example.com is about. */
const OTHERS: Readonly<Record<string, Connection>> = {
  'another host by TLS': https('other.example.com'),
  'a host below it': https('v2.api.example.com'),
  'its parent': https('example.com'),
  'no server name': [`https://${ADDRESS}/`],
  'TLS on another port': https('api.example.com', 8443),
  'another host by HTTP': http('other.example.com'),
  'HTTP to an address': [`http://${ADDRESS}/`],
  'HTTP on another port': http('api.example.com', 8080),
  'HTTP/1.0 of another host': ['--http1.0', ...http('other.example.com')],
  'a server that speaks first, on 25': tcp(25),
  'a server that speaks first, on 3306': tcp(3306),
  'plain TCP': tcp(5432),
};
const DECLARED: Readonly<Record<string, Connection>> = {
  'by TLS': https('api.example.com'),
  'by TLS at another address': https('api.example.com', 443, OTHER_ADDRESS),
  'by HTTP': http('api.example.com'),
  'by HTTP at another address': http('api.example.com', 80, OTHER_ADDRESS),
};

/** Waits until the sidecar of the shop goes by what istiod serves of the host, which comes in this order. */
async function takenOver(host: string, kinds = ['dynamic_listeners', 'dynamic_route_configs']): Promise<void> {
  for (const kind of kinds) {
    const knows = async (): Promise<boolean> => {
      const config = await shopSidecar.admin(`/config_dump?resource=${kind}`);
      return config.includes(`||${host}"`) && !config.includes('warming_state');
    };
    await waitUntil(knows, { what: `${kind} with ${host}` });
  }
}

async function nothingDeclared(): Promise<void> {
  const isClear = async (): Promise<boolean> => !(await shopSidecar.admin('/config_dump')).includes('example.com');
  await waitUntil(isClear, { what: 'a sidecar without entries' });
}

const meshConfig = (mode: string): object => ({ enableAutoMtls: false, outboundTrafficPolicy: { mode } });

async function usePolicy(mode: 'ALLOW_ANY' | 'REGISTRY_ONLY'): Promise<void> {
  mesh.istiod.setMesh(meshConfig(mode));
  for (const pod of [shop, bank]) {
    const passes = async (): Promise<boolean> => (await probe(pod, tcp(5432))).startsWith('tcp');
    await waitUntil(async () => (await passes()) === (mode === 'ALLOW_ANY'), { what: mode });
  }
}

const TLS = { name: 'tls-443', number: 443, protocol: 'TLS' };
const HTTP = { name: 'http-80', number: 80, protocol: 'HTTP' };

/** An entry of others for the host. */
function entry(name: string, spec: { readonly ports: readonly object[]; readonly resolution: string }): object {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace: 'shop' },
    spec: {
      hosts: ['api.example.com'],
      ...spec,
      ...(spec.resolution === 'STATIC' && { endpoints: [{ address: OTHER_ADDRESS }] }),
    },
  };
}

const LOOK_UP = { lookUps: [['api.example.com', 'shop']] } as const;

describe('while egress is open', () => {
  beforeAll(async () => usePolicy('ALLOW_ANY'));

  it('an entry changes no connection, neither of its host nor of any other', async () => {
    const before = await probeAll(shop, { ...DECLARED, ...OTHERS });
    expect(Object.values(before).filter((answer) => !passes(answer))).toEqual([]);
    await mesh.learn(LOOK_UP);
    await takenOver('api.example.com');
    expect(await probeAll(shop, { ...DECLARED, ...OTHERS })).toEqual(before);
  });

  it('a second entry for a host in one namespace would break it, so none is written', async () => {
    const theirs = entry('theirs', {
      ports: [TLS, { name: 'tls-8443', number: 8443, protocol: 'TLS' }],
      resolution: 'STATIC',
    });
    await mesh.apply(theirs);
    const { plan } = await mesh.learn(LOOK_UP);
    expect(plan.skipped).toMatchObject([{ reason: 'host-in-namespace', host: 'api.example.com' }]);
    expect(await stopped(shop, DECLARED)).toEqual([]);
    await mesh.apply(entry('second', { ports: [TLS, HTTP], resolution: 'NONE' }));
    await waitUntil(async () => (await probe(shop, http('api.example.com'))).endsWith('503'), {
      what: 'the breakage',
    });
  });
});

describe('while egress is closed', () => {
  beforeAll(async () => usePolicy('REGISTRY_ONLY'));

  it('nothing passes that no entry declares', async () => {
    expect(await stopped(shop, { ...DECLARED, ...OTHERS })).toEqual(Object.keys({ ...DECLARED, ...OTHERS }));
  });

  it('a learnt host passes at the address that is dialled, where it was learnt, and nothing else does', async () => {
    await mesh.learn(LOOK_UP);
    await takenOver('api.example.com');
    expect(await probeAll(shop, DECLARED)).toEqual({
      'by TLS': `tls ${ADDRESS} 443 api.example.com 200`,
      'by TLS at another address': `tls ${OTHER_ADDRESS} 443 api.example.com 200`,
      'by HTTP': `http ${ADDRESS} 80 api.example.com 200`,
      'by HTTP at another address': `http ${OTHER_ADDRESS} 80 api.example.com 200`,
    });
    expect(await stopped(shop, OTHERS)).toEqual(Object.keys(OTHERS));
    // Envoy takes HTTP/1.0 for no HTTP, so such a client is stopped; istiod's PILOT_HTTP10 is the way out.
    expect(passes(await probe(shop, ['--http1.0', ...http('api.example.com')]))).toBe(false);
    expect(await stopped(bank, { ...DECLARED, ...OTHERS })).toEqual(Object.keys({ ...DECLARED, ...OTHERS }));
  });

  it('a host that is decided against passes no longer', async () => {
    await mesh.learn(LOOK_UP);
    await takenOver('api.example.com');
    expect(await stopped(shop, DECLARED)).toEqual([]);
    await mesh.learn({ ...LOOK_UP, ignored: ['api.example.com'] });
    await nothingDeclared();
    expect(await stopped(shop, DECLARED)).toEqual(Object.keys(DECLARED));
  });

  it('a wildcard passes what is below it at any depth, not its parent', async () => {
    await mesh.learn({ ...LOOK_UP, flags: { rule: ['wildcard *.example.com'] } });
    await takenOver('*.example.com');
    const below = ['another host by TLS', 'a host below it', 'another host by HTTP'];
    expect(await stopped(shop, DECLARED)).toEqual([]);
    expect(await stopped(shop, OTHERS)).toEqual(Object.keys(OTHERS).filter((name) => !below.includes(name)));
  });

  it('TCP with a range passes to the range alone', async () => {
    const flags = { 'istio-tcp-ranges': ['db.example.com 5432,3306 192.0.2.0/28'] };
    await mesh.learn({ lookUps: [['db.example.com', 'shop']], flags });
    await takenOver('db.example.com', ['dynamic_listeners']);
    expect(await probeAll(shop, { postgres: tcp(5432), mysql: tcp(3306) })).toEqual({
      postgres: `tcp ${ADDRESS} 5432\n 000`,
      mysql: `server first ${ADDRESS} 3306\n 000`,
    });
    const outside = { postgres: tcp(5432, OTHER_ADDRESS), mysql: tcp(3306, OTHER_ADDRESS), smtp: tcp(25) };
    expect(await stopped(shop, outside)).toEqual(Object.keys(outside));
  });
});
