import { randomBytes } from 'node:crypto';
import { buildServiceEntry } from '../../src/istio/build-service-entry.js';
import {
  PORT_PROTOCOLS,
  SERVICE_ENTRY_API_VERSIONS,
  type PortProtocol,
  type ServiceEntry,
} from '../../src/istio/service-entry.js';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { planServiceEntries } from '../../src/plan/plan-service-entries.js';
import type { ServiceEntryPlan } from '../../src/plan/service-entry-plan.js';
import { ClusterSink, type ClusterSinkOptions } from '../../src/reconciler/cluster-sink.js';
import { ListedCluster } from '../../src/reconciler/cluster-state.js';
import type { SinkResult, SinkState } from '../../src/reconciler/sink.js';
import { hostname } from '../istio/hostname.js';
import { startApiProxy } from '../support/api-proxy.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';

const signal = new AbortController().signal;
const policy = { owner: 'main', maxChanges: 1000, maxDeletions: 1000, maxDeletionShare: 1 };
const nothing: ServiceEntryPlan = { create: [], update: [], delete: [], keep: [], skipped: [] };

describe.each(['istio-crds', 'istio-crds-1.22'] as const)('ClusterSink with %s', (crds) => {
  let server: KubeApiserver;
  let client: KubernetesClient;
  let sink: ClusterSink;
  let namespace: string;

  beforeAll(async () => {
    server = await startKubeApiserver({ crds });
    client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
    sink = createSink();
  }, 120_000);

  function createSink(options: Partial<ClusterSinkOptions> = {}): ClusterSink {
    const state = new ListedCluster({ client });
    return new ClusterSink({ client, state, mayWrite: () => true, maxWritesPerSecond: 10_000, ...options });
  }

  beforeEach(async () => {
    namespace = `shop-${randomBytes(4).toString('hex')}`;
    await server.kubectl(['create', 'namespace', namespace]);
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  /** A host of this test only: entries of others in other namespaces count, too. */
  function h(name: string): string {
    return `${name}.${namespace}.example.com`;
  }

  function wanted(host: string, change: Partial<Parameters<typeof buildServiceEntry>[0]> = {}): ServiceEntry {
    return buildServiceEntry({ hostname: hostname(host), namespace, owner: 'main', ...change });
  }

  async function readAll(): Promise<SinkState & { readonly here: readonly ServiceEntry[] }> {
    const state = await sink.read(signal);
    return { ...state, here: state.entries.filter((entry) => entry.metadata.namespace === namespace) };
  }

  async function reconcile(desired: readonly ServiceEntry[], unwanted: readonly string[] = []): Promise<SinkResult> {
    const { entries, namespaces } = await sink.read(signal);
    const plan = planServiceEntries({ current: entries, desired, unwanted, policy, ...(namespaces && { namespaces }) });
    return sink.apply(plan, signal);
  }

  async function createByHand(name: string, spec: object, labels: object = {}): Promise<void> {
    const metadata = { name, namespace, labels };
    const object = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec };
    await server.kubectl(['create', '-f', '-'], JSON.stringify(object));
  }

  it('finds the API version and the namespaces', async () => {
    const { apiVersion, namespaces } = await readAll();
    expect(apiVersion).toBe('networking.istio.io/v1');
    expect(namespaces?.has(namespace)).toBe(true);
  });

  it('writes what is read back as it was wanted, and then has nothing to do', async () => {
    const desired = [wanted(h('a')), wanted(h('b'), { exportTo: ['*'] })];
    const result = await reconcile(desired);
    expect(result).toMatchObject({ created: desired, failures: [] });
    const { here } = await readAll();
    expect(here.map(({ spec }) => spec)).toEqual(desired.map(({ spec }) => spec));
    const { entries } = await readAll();
    const again = planServiceEntries({ current: entries, desired, policy });
    expect([again.create, again.update, again.delete, again.skipped]).toEqual([[], [], [], []]);
    expect(again.keep.filter(({ current }) => current.metadata.namespace === namespace)).toHaveLength(2);
  });

  it('has every entry that can be built accepted without a warning, in both API versions', async () => {
    const long = Array.from({ length: 4 }, () => 'x'.repeat(60)).join('.');
    const hosts = [h('no'), h('a-b'), h('a.b'), h('1e3'), `${long}.example`];
    const ports = (protocol: PortProtocol) => [
      { number: 443, protocol: 'TLS' as const },
      { number: 8443, protocol },
    ];
    const desired = hosts.flatMap((host, index) => {
      const protocol = PORT_PROTOCOLS[index % PORT_PROTOCOLS.length] ?? 'TLS';
      const apiVersion = SERVICE_ENTRY_API_VERSIONS[index % 2] ?? 'networking.istio.io/v1';
      return wanted(host, {
        ports: ports(protocol),
        apiVersion,
        exportTo: [['.'], ['*'], ['.', 'web']][index % 3] ?? [],
      });
    });
    const { created, failures } = await sink.apply(
      { ...nothing, create: desired.map((entry) => ({ reason: 'wanted', entry })) },
      signal,
    );
    expect(failures).toEqual([]);
    expect(created).toHaveLength(desired.length);
  });

  it('narrows and widens the ports of an entry of ours', async () => {
    await reconcile([wanted(h('a'))]);
    const narrow = wanted(h('a'), { ports: [{ number: 443, protocol: 'TLS' }] });
    await expect(reconcile([narrow])).resolves.toMatchObject({ updated: [narrow], failures: [] });
    expect((await readAll()).here[0]?.spec).toEqual(narrow.spec);
    await reconcile([wanted(h('a'))]);
    expect((await readAll()).here[0]?.spec).toEqual(wanted(h('a')).spec);
  });

  it('puts right what somebody deleted', async () => {
    await reconcile([wanted(h('a'))]);
    await server.kubectl(['delete', 'serviceentry', `learned-${h('a')}`, `--namespace=${namespace}`]);
    await expect(reconcile([wanted(h('a'))])).resolves.toMatchObject({ created: [{}], failures: [] });
  });

  it('leaves an edit alone', async () => {
    await reconcile([wanted(h('a'))]);
    const patch = ['--type=merge', '--patch', '{"spec":{"exportTo":["*"]}}'];
    await server.kubectl(['patch', 'serviceentry', `learned-${h('a')}`, `--namespace=${namespace}`, ...patch]);
    await expect(reconcile([wanted(h('a'))])).resolves.toMatchObject({ updated: [], failures: [] });
    expect((await readAll()).here[0]?.spec.exportTo).toEqual(['*']);
  });

  it('reports a conflict with an edit that came after the read, and overwrites nothing', async () => {
    await reconcile([wanted(h('a'))]);
    const { entries } = await readAll();
    const desired = [wanted(h('a'), { exportTo: ['*'] })];
    const plan = planServiceEntries({ current: entries, desired, policy });
    const patch = ['--type=merge', '--patch', '{"spec":{"exportTo":["web"]}}'];
    await server.kubectl(['patch', 'serviceentry', `learned-${h('a')}`, `--namespace=${namespace}`, ...patch]);
    const { updated, failures } = await sink.apply(plan, signal);
    expect([updated, failures.map(({ code }) => code)]).toEqual([[], ['KUBERNETES_ERR_CONFLICT']]);
    expect((await readAll()).here[0]?.spec.exportTo).toEqual(['web']);
  });

  it('writes no second entry for a host that appeared in the namespace after the read', async () => {
    const plan = planServiceEntries({
      current: [],
      desired: [wanted(h('a')), wanted(h('b'))],
      policy,
    });
    await createByHand('by-hand', { hosts: [h('a').toUpperCase()], resolution: 'DNS' });
    const { created, failures } = await sink.apply(plan, signal);
    expect(created.map(({ spec }) => spec.hosts)).toEqual([[h('b')]]);
    expect(failures).toMatchObject([{ host: h('a'), code: 'RECONCILER_ERR_HOST_APPEARED' }]);
  });

  it('writes no second entry for a host that appeared while the write had to wait', async () => {
    const proxy = await startApiProxy(server);
    const through = KubernetesClient.load({ kubeconfig: proxy.kubeconfigFile });
    let created: Promise<void> | undefined;
    proxy.inject = ({ method, url }) => {
      if (method !== 'PATCH' || url.includes('dryRun') || created !== undefined) return undefined;
      created = createByHand('of-the-operator', { hosts: [h('a')] });
      return { status: 429, headers: { 'Retry-After': '3' } };
    };
    const patient = createSink({ client: through, state: new ListedCluster({ client: through }) });
    const plan = planServiceEntries({ current: [], desired: [wanted(h('a'))], policy });
    const { created: written, failures } = await patient.apply(plan, signal);
    await created;
    expect([written, failures.map(({ code }) => code)]).toEqual([[], ['RECONCILER_ERR_HOST_APPEARED']]);
    expect((await readAll()).here.map(({ metadata }) => metadata.name)).toEqual(['of-the-operator']);
    await through.close();
    await proxy.close();
  });

  it('does not merge into an object of others that has the name', async () => {
    const plan = planServiceEntries({ current: [], desired: [wanted(h('a'))], policy });
    await createByHand(`learned-${h('a')}`, { hosts: [h('other')] });
    const { failures } = await sink.apply(plan, signal);
    expect(failures).toMatchObject([{ code: 'RECONCILER_ERR_NAME_APPEARED' }]);
    expect((await readAll()).here[0]?.spec).toEqual({ hosts: [h('other')] });
  });

  it('counts a warning as a failure and writes nothing', async () => {
    // A policy that warns, as istiod's webhook would.
    const binding = { policyName: `warn-${namespace}`, validationActions: ['Warn'] };
    const rules = [
      { apiGroups: ['networking.istio.io'], apiVersions: ['*'], operations: ['CREATE'], resources: ['serviceentries'] },
    ];
    const matchConstraints = {
      resourceRules: rules,
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    };
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const metadata = { name: `warn-${namespace}` };
    const validations = [{ expression: 'false', message: 'you should not' }];
    const objects = [
      { apiVersion, kind: 'ValidatingAdmissionPolicy', metadata, spec: { matchConstraints, validations } },
      { apiVersion, kind: 'ValidatingAdmissionPolicyBinding', metadata, spec: binding },
    ];
    for (const object of objects) await server.kubectl(['create', '-f', '-'], JSON.stringify(object));
    let failures: SinkResult['failures'] = [];
    // The API server takes a moment to obey a new policy.
    for (let attempt = 0; attempt < 100 && failures.length === 0; attempt += 1) {
      const host = h(`host-${attempt}`);
      ({ failures } = await reconcile([wanted(host)]));
    }
    expect(failures).toMatchObject([{ code: 'RECONCILER_ERR_WARNING' }]);
    const hosts = (await readAll()).here.flatMap(({ spec }) => spec.hosts);
    expect(hosts).not.toContain(failures[0]?.host);
  });

  it('writes the others when one cannot be', async () => {
    const bad = { ...wanted(h('bad')), spec: { ...wanted(h('bad')).spec, resolution: 'MAGIC' } };
    const missing = wanted(h('a'), { namespace: 'not-there' });
    const create = [bad, missing, wanted(h('good'))].map((entry) => ({ reason: 'wanted' as const, entry }));
    const { created, failures } = await sink.apply({ ...nothing, create }, signal);
    expect(created.map(({ spec }) => spec.hosts)).toEqual([[h('good')]]);
    expect(failures.map(({ host, code }) => [host, code])).toEqual([
      [h('a'), 'KUBERNETES_ERR_NOT_FOUND'],
      [h('bad'), 'KUBERNETES_ERR_INVALID'],
    ]);
  });

  it('deletes what it owns, in the version that it saw', async () => {
    await reconcile([wanted(h('a')), wanted(h('b'))]);
    await expect(reconcile([], [h('a')])).resolves.toMatchObject({ deleted: [{}], failures: [] });
    const { entries, here } = await readAll();
    expect(here.map(({ spec }) => spec.hosts)).toEqual([[h('b')]]);
    const plan = planServiceEntries({ current: entries, desired: [], unwanted: [h('b')], policy });
    await server.kubectl(['label', 'serviceentry', `learned-${h('b')}`, `--namespace=${namespace}`, 'mine=now']);
    const { deleted, failures } = await sink.apply(plan, signal);
    expect([deleted, failures.map(({ code }) => code)]).toEqual([[], ['KUBERNETES_ERR_CONFLICT']]);
  });

  it('leaves deletions to the next plan when the writes before took long', async () => {
    await reconcile([wanted(h('a'))]);
    const plan = planServiceEntries({
      current: (await readAll()).here,
      desired: [wanted(h('b'))],
      unwanted: [h('a')],
      policy,
    });
    let nowMs = 0;
    const slow = createSink({ monotonicMs: () => (nowMs += 3000) });
    const first = await slow.apply(plan, signal);
    expect([first.created.length, first.deleted.length, first.failures]).toEqual([1, 0, []]);
    const next = await createSink().apply({ ...nothing, delete: plan.delete }, signal);
    expect(next.deleted).toHaveLength(1);
  });

  it('takes an entry that is gone already for deleted', async () => {
    await reconcile([wanted(h('a'))]);
    const { entries } = await readAll();
    const plan = planServiceEntries({ current: entries, desired: [], unwanted: [h('a')], policy });
    await server.kubectl(['delete', 'serviceentry', `learned-${h('a')}`, `--namespace=${namespace}`]);
    const mine = plan.delete.filter(({ current }) => current.metadata.namespace === namespace);
    await expect(sink.apply({ ...plan, delete: mine }, signal)).resolves.toMatchObject({ deleted: [{}], failures: [] });
  });

  it('writes nothing when it does not lead any more', async () => {
    const follower = createSink({ mayWrite: () => false });
    const plan = planServiceEntries({ current: [], desired: [wanted(h('a'))], policy });
    const { failures } = await follower.apply(plan, signal);
    expect(failures).toMatchObject([{ code: 'RECONCILER_ERR_NOT_LEADER' }]);
    expect((await readAll()).here).toEqual([]);
  });

  it('reads and writes one namespace when told to', async () => {
    const narrow = createSink({ state: new ListedCluster({ client, namespaces: [namespace] }) });
    await reconcile([wanted(h('a'))]);
    const { entries, namespaces } = await narrow.read(signal);
    expect([entries.length, [...(namespaces ?? [])]]).toEqual([1, [namespace]]);
  });
});

describe('ClusterSink without Istio', () => {
  it('says that the CRDs are absent', async () => {
    const server = await startKubeApiserver();
    const client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
    const sink = new ListedCluster({ client });
    await expect(sink.read(signal)).rejects.toMatchObject({ code: 'KUBERNETES_ERR_RESOURCE_ABSENT' });
    await client.close();
    await server.stop();
  });
});
