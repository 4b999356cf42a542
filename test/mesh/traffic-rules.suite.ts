import { readDestinationRule, readVirtualService } from '../../src/istio/mesh-objects.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import { plan, wanted } from '../plan/situation.js';
import { ISTIO_NAMESPACE } from '../support/istiod.js';
import type { ProxyConfig } from '../support/proxy-config.js';
import { changes, type TestMesh } from './test-mesh.js';

/**
 * Rules of others, each beside an entry of ours: what istiod makes of them, and what we take them for. An entry that a rule
 * would change is not written (`governed-by-others`), so the two have to agree.
 */
interface Case {
  readonly entry: ServiceEntry;
  /** The proxy that is looked at. */
  readonly client: string;
  readonly rules: readonly object[];
  /** Whether the traffic of the entry's host is another one because of the rules. */
  readonly isGoverned: boolean;
}

/** Those that its proxies and rules are in. */
export const RULE_NAMESPACES = ['all', 'exact', 'elsewhere', 'selected', 'exported', 'web', 'ops'];
const HOST_RULE_CLIENT = 'shop';

function rule(kind: string, namespace: string, name: string, spec: object): object {
  return { apiVersion: 'networking.istio.io/v1', kind, metadata: { namespace, name }, spec };
}

const destinationRule = (namespace: string, host: string, spec: object): object =>
  rule('DestinationRule', namespace, `rule-${host.replaceAll('*', 'any')}`, { host, ...spec });

/** Whether pieces of a host are others because of the rules; each cluster also names the rule that it has, which does nothing. */
function isChanged(before: ProxyConfig, after: ProxyConfig, host: string): boolean {
  // A subset has a cluster of its own, which only those use who name it.
  const isOfHost = (line: string): boolean => line.includes(`||${host} `) || line.includes(`[${host} `);
  const ofHost = (config: ProxyConfig): ProxyConfig => {
    const pieces = [...config].filter(([line]) => isOfHost(`${line} `));
    return new Map(pieces.map(([line, value]) => [line, value.replace(/"config":"[^"]*",/, '')]));
  };
  return changes(ofHost(before), ofHost(after)).length > 0;
}

/** For each case whether its host is governed: as istiod serves it, and as a plan takes it. */
async function judge(mesh: TestMesh, cases: Readonly<Record<string, Case>>): Promise<{ istiod: object; plan: object }> {
  const clients = [...new Set(Object.values(cases).map(({ client }) => client))];
  const proxies = Object.fromEntries(clients.map((namespace) => [namespace, { namespace }]));
  await mesh.apply(...Object.values(cases).map(({ entry }) => entry));
  const before = await mesh.served(proxies);
  const rules = [...new Set(Object.values(cases).flatMap((one) => one.rules))];
  await mesh.apply(...rules);
  const after = await mesh.served(proxies);
  const facts = {
    services: [],
    sidecars: [],
    destinationRules: rules.flatMap((object) => readDestinationRule(object) ?? []),
    virtualServices: rules.flatMap((object) => readVirtualService(object) ?? []),
  };
  const verdicts = (isGoverned: (one: Case) => boolean): object =>
    Object.fromEntries(Object.entries(cases).map(([name, one]) => [name, isGoverned(one)]));
  return {
    istiod: verdicts(({ client, entry }) =>
      isChanged(before[client] ?? new Map(), after[client] ?? new Map(), entry.spec.hosts[0] ?? ''),
    ),
    plan: verdicts(({ entry }) =>
      plan({ desired: [entry], mesh: facts }).skipped.some(({ reason }) => reason === 'governed-by-others'),
    ),
  };
}

const expected = (cases: Readonly<Record<string, Case>>): object =>
  Object.fromEntries(Object.entries(cases).map(([name, { isGoverned }]) => [name, isGoverned]));

/** Policies of a rule for the host itself, and whether they change anything for a host with NONE. */
const POLICIES: readonly (readonly [name: string, spec: object, isGoverned: boolean])[] = [
  ['no policy', {}, false],
  ['a load balancer', { trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } }, false],
  ['subsets', { subsets: [{ name: 'v1', labels: { version: 'v1' } }] }, false],
  ['TLS without a mode', { trafficPolicy: { tls: {} } }, false],
  ['TLS switched off', { trafficPolicy: { tls: { mode: 'DISABLE' } } }, false],
  ['TLS', { trafficPolicy: { tls: { mode: 'SIMPLE' } } }, true],
  ['TLS of the mesh', { trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } } }, true],
  [
    'TLS of one port',
    { trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, tls: { mode: 'SIMPLE' } }] } },
    true,
  ],
  ['limits', { trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 } } } }, true],
  ['ejection', { trafficPolicy: { outlierDetection: { consecutive5xxErrors: 1 } } }, true],
  ['the PROXY protocol', { trafficPolicy: { proxyProtocol: { version: 'V1' } } }, true],
  ['a budget of retries', { trafficPolicy: { retryBudget: { percent: 5 } } }, true],
  ['a tunnel', { trafficPolicy: { tunnel: { targetHost: 'proxy.example.net', targetPort: 3128 } } }, true],
];

const MUTUAL = { trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } } };
const OFF = { trafficPolicy: { tls: { mode: 'DISABLE' } } };
const SELECTED = { workloadSelector: { matchLabels: { app: 'other' } } };

/** Whether a plan knows which rules of others take hold of a host. */
export function trafficRules(mesh: () => TestMesh): void {
  it('a DestinationRule for the host changes its traffic where a plan takes it for one that does', async () => {
    const cases = Object.fromEntries(
      POLICIES.map(([name, spec, isGoverned], index): [string, Case] => {
        const host = `h${index}.example.com`;
        const rules = [destinationRule(HOST_RULE_CLIENT, host, spec)];
        return [name, { entry: wanted(host, HOST_RULE_CLIENT), client: HOST_RULE_CLIENT, rules, isGoverned }];
      }),
    );
    expect(await judge(mesh(), cases)).toEqual({ istiod: expected(cases), plan: expected(cases) });
  });

  it('of the DestinationRules of several namespaces that one counts which a plan takes', async () => {
    const meshWide = destinationRule(ISTIO_NAMESPACE, '*', MUTUAL);
    const own = (namespace: string, isGoverned: boolean, ...rules: readonly object[]): Case => ({
      entry: wanted(`${namespace}.example.com`, namespace),
      client: namespace,
      rules: [meshWide, ...rules],
      isGoverned,
    });
    const central = (name: string, isGoverned: boolean, ...rules: readonly object[]): Case => ({
      entry: wanted(`api.${name}.example.com`, 'egress', ['web']),
      client: 'web',
      rules: [meshWide, ...rules],
      isGoverned,
    });
    const cases = {
      'none but that for the mesh': own('shop', true),
      'one for everything in the namespace': own('all', false, destinationRule('all', '*', OFF)),
      'one for the host': own('exact', false, destinationRule('exact', 'exact.example.com', OFF)),
      'one for another host': own('elsewhere', true, destinationRule('elsewhere', 'other.example.com', OFF)),
      'one for other workloads': own('selected', false, destinationRule('selected', '*', { ...SELECTED, ...OFF })),
      'one that is for others': own('exported', true, destinationRule('exported', '*', { ...OFF, exportTo: ['web'] })),
      'one where the entry is': central('a', false, destinationRule('egress', '*.a.example.com', OFF)),
      'one for workloads where the entry is': central(
        'b',
        true,
        destinationRule('egress', '*.b.example.com', { ...SELECTED, ...OFF }),
      ),
      'one where the entry is, behind a closer one for others': central(
        'c',
        true,
        destinationRule('egress', '*.c.example.com', OFF),
        destinationRule('egress', 'api.c.example.com', { ...OFF, exportTo: ['ops'] }),
      ),
    };
    expect(await judge(mesh(), cases)).toEqual({ istiod: expected(cases), plan: expected(cases) });
  });

  it('a rule for the mesh is none of ours if it is for its own namespace, for workloads, or for the cluster', async () => {
    const cases = {
      'for its own namespace': {
        entry: wanted('shop.example.com', 'shop'),
        client: 'shop',
        rules: [
          destinationRule(ISTIO_NAMESPACE, '*.com', { ...MUTUAL, exportTo: ['.'] }),
          destinationRule(ISTIO_NAMESPACE, '*.example.com', { ...MUTUAL, ...SELECTED }),
          destinationRule(ISTIO_NAMESPACE, '*.local', MUTUAL),
        ],
        isGoverned: false,
      },
    };
    expect(await judge(mesh(), cases)).toEqual({ istiod: expected(cases), plan: expected(cases) });
  });

  it('a VirtualService takes hold of the hosts that a plan leaves to it', async () => {
    const route = { route: [{ destination: { host: 'elsewhere.example.net' } }] };
    const virtualService = (namespace: string, name: string, spec: object): object =>
      rule('VirtualService', namespace, name, { http: [route], ...spec });
    const one = (host: string, isGoverned: boolean, ...rules: readonly object[]): Case => ({
      entry: wanted(host),
      client: 'shop',
      rules,
      isGoverned,
    });
    const sni = { port: 443, sniHosts: ['b.example.com'] };
    const cases = {
      'for HTTP': one('a.example.com', true, virtualService('shop', 'a', { hosts: ['a.example.com'] })),
      'for TLS': one(
        'b.example.com',
        true,
        rule('VirtualService', 'shop', 'b', { hosts: ['b.example.com'], tls: [{ match: [sni], ...route }] }),
      ),
      'for a wildcard': one('c.wide.example.com', true, virtualService('ops', 'c', { hosts: ['*.wide.example.com'] })),
      'for another host': one('d.example.com', false, virtualService('shop', 'd', { hosts: ['d.example.net'] })),
      'for its own namespace': one(
        'e.example.com',
        false,
        virtualService('ops', 'e', { hosts: ['e.example.com'], exportTo: ['.'] }),
      ),
      'for a gateway': one(
        'f.example.com',
        false,
        virtualService('shop', 'f', { hosts: ['f.example.com'], gateways: ['ops/gateway'] }),
      ),
    };
    expect(await judge(mesh(), cases)).toEqual({ istiod: expected(cases), plan: expected(cases) });
  });
}
