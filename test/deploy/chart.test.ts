import { parse } from 'yaml';
import { loadConfiguration } from '../../src/config/load.js';
import { createHelm } from '../support/helm.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { writeFileSync } from 'node:fs';
import { partPath } from '../support/parts.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { CHART, createRenderer, findObject, podTemplate, RELEASE, VALUE_SETS, type RenderedObject } from './chart.js';

let server: KubeApiserver;
let render: Awaited<ReturnType<typeof createRenderer>>;

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds' });
  await server.kubectl(['apply', '--server-side', '-f', await partPath('prometheus-crds')]);
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all']);
  render = await createRenderer();
  for (const name of Object.keys(VALUE_SETS)) await createRestrictedNamespace(name);
});

async function createRestrictedNamespace(name: string): Promise<void> {
  await server.kubectl(['create', 'namespace', name]);
  await server.kubectl(['label', 'namespace', name, 'pod-security.kubernetes.io/enforce=restricted']);
}

function isWorkload({ kind }: RenderedObject): boolean {
  return kind === 'Deployment' || kind === 'StatefulSet' || kind === 'Job';
}

it('passes helm lint --strict', async () => {
  const helm = await createHelm();
  await expect(helm('lint', '--strict', CHART)).resolves.toContain('0 chart(s) failed');
});

describe.each(Object.entries(VALUE_SETS))('with the values of %s', (name, values) => {
  it('the API server takes every object, without a warning', async () => {
    const objects = await render(values, name);
    expect(objects.length).toBeGreaterThan(8);
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    const applied = await server.kubectl(
      ['apply', '--server-side', '--validate=strict', '--warnings-as-errors', '-o', 'name', '-f', '-'],
      list,
    );
    expect(applied.trim().split('\n')).toHaveLength(objects.length);
  });

  it('every pod passes the restricted Pod Security level', async () => {
    const workloads = (await render(values, name)).filter(isWorkload);
    expect(workloads.length).toBeGreaterThan(1);
    for (const workload of workloads) {
      const { metadata, spec } = podTemplate(workload);
      // What the StatefulSet controller would add.
      const claim = { name: 'data', persistentVolumeClaim: { claimName: 'data' } };
      const volumes = 'volumeClaimTemplates' in (workload.spec ?? {}) ? [claim] : [];
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { ...metadata, name: workload.metadata.name, namespace: name },
        spec: { ...spec, volumes: [...((spec as { volumes?: [] }).volumes ?? []), ...volumes] },
      };
      const create = ['create', '--dry-run=server', '--validate=strict', '-o', 'name', '-f', '-'];
      await expect(server.kubectl(create, JSON.stringify(pod))).resolves.toContain(`pod/${workload.metadata.name}`);
      const tooMuch = { ...pod, spec: { ...pod.spec, hostNetwork: true } };
      await expect(server.kubectl(create, JSON.stringify(tooMuch))).rejects.toMatchObject({
        message: expect.stringContaining('violates PodSecurity "restricted'),
      });
    }
  });

  it('the program takes the configuration', async () => {
    const configuration = findObject(await render(values, name), 'ConfigMap', RELEASE);
    const file = createTemporaryDirectory().file('config.yaml');
    writeFileSync(file, configuration.data?.['config.yaml'] ?? '');
    const { observation, reconcile } = loadConfiguration({ flags: {}, environment: {}, file });
    expect(observation).toMatchObject(
      parse(JSON.stringify((values as { config?: object }).config ?? {})).observation ?? {},
    );
    expect(reconcile.leaderElection).toBe(name === 'replicated');
  });

  it('no pod gets more than it needs', async () => {
    const workloads = (await render(values, name)).filter(isWorkload);
    for (const workload of workloads) {
      const { spec, metadata } = podTemplate(workload);
      expect(spec.enableServiceLinks).toBe(false);
      const component = metadata.labels['app.kubernetes.io/component'] ?? '';
      expect(spec.automountServiceAccountToken).toBe(['reconciler', 'installer'].includes(component));
      expect(spec.containers.every(({ resources }) => 'limits' in resources && 'requests' in resources)).toBe(true);
    }
  });
});

describe('the rights', () => {
  const reconciler = `system:serviceaccount:default:${RELEASE}-reconciler`;
  const collector = `system:serviceaccount:default:${RELEASE}-collector`;

  async function mayThey(subject: string, verb: string, resource: string, namespace: string): Promise<string> {
    // The answer is no error; kubectl's status of 1 for "no" would be one.
    const [plural = '', ...group] = resource.split('.');
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: subject,
        groups: ['system:serviceaccounts', 'system:authenticated'],
        resourceAttributes: { verb, namespace, group: group.join('.'), resource: plural, name: RELEASE },
      },
    };
    return server.kubectl(['create', '-o', 'jsonpath={.status.allowed}', '-f', '-'], JSON.stringify(review));
  }

  beforeAll(async () => {
    const objects = await render({}, 'default');
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await server.kubectl(['apply', '--server-side', '-f', '-'], list);
  });

  it.each([
    ['list', 'pods', 'shop'],
    ['watch', 'pods', 'shop'],
    ['watch', 'nodes', ''],
    ['watch', 'replicasets.apps', 'shop'],
    ['watch', 'jobs.batch', 'shop'],
    ['watch', 'cronjobs.batch', 'shop'],
    ['watch', 'namespaces', ''],
    ['watch', 'services', 'shop'],
    ['watch', 'virtualservices.networking.istio.io', 'shop'],
    ['watch', 'destinationrules.networking.istio.io', 'shop'],
    ['watch', 'sidecars.networking.istio.io', 'shop'],
    ['list', 'serviceentries.networking.istio.io', 'shop'],
    ['create', 'serviceentries.networking.istio.io', 'shop'],
    ['patch', 'serviceentries.networking.istio.io', 'shop'],
    ['delete', 'serviceentries.networking.istio.io', 'shop'],
    ['create', 'events.events.k8s.io', 'shop'],
    ['get', 'leases.coordination.k8s.io', 'default'],
    ['update', 'leases.coordination.k8s.io', 'default'],
  ])('the reconciler may %s %s in %j, the collector may not', async (verb, resource, namespace) => {
    expect(await mayThey(reconciler, verb, resource, namespace)).toBe('true');
    expect(await mayThey(collector, verb, resource, namespace)).toBe('false');
  });

  it.each([
    ['get', 'secrets', 'default'],
    ['list', 'configmaps', 'kube-system'],
    ['update', 'configmaps', 'kube-system'],
    ['delete', 'pods', 'shop'],
    ['patch', 'deployments.apps', 'kube-system'],
    ['deletecollection', 'serviceentries.networking.istio.io', 'shop'],
    ['create', 'virtualservices.networking.istio.io', 'shop'],
    ['update', 'leases.coordination.k8s.io', 'kube-system'],
    ['create', 'clusterrolebindings.rbac.authorization.k8s.io', ''],
  ])('the reconciler may not %s %s in %j', async (verb, resource, namespace) => {
    expect(await mayThey(reconciler, verb, resource, namespace)).toBe('false');
  });
});

describe('the rights of the installer', () => {
  const installer = `system:serviceaccount:default:${RELEASE}-installer`;

  async function mayIt(verb: string, resource: string, at: { namespace: string; name: string }): Promise<string> {
    const [plural = '', ...group] = resource.split('.');
    const attributes = { verb, group: group.join('.'), resource: plural, ...at };
    const spec = { user: installer, groups: ['system:authenticated'], resourceAttributes: attributes };
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
    return server.kubectl(['create', '-o', 'jsonpath={.status.allowed}', '-f', '-'], JSON.stringify(review));
  }

  it.each([
    ['true', 'update', 'configmaps', 'kube-system', 'coredns'],
    ['true', 'update', 'deployments.apps', 'kube-system', 'coredns'],
    ['true', 'delete', 'configmaps', 'default', `${RELEASE}-cluster-dns`],
    ['true', 'update', 'pods', 'kube-system', 'coredns-0'],
    ['false', 'update', 'pods', 'default', 'web-0'],
    ['false', 'update', 'configmaps', 'kube-system', 'kube-proxy'],
    ['false', 'update', 'deployments.apps', 'kube-system', 'metrics-server'],
    ['false', 'delete', 'configmaps', 'kube-system', 'coredns'],
    ['false', 'get', 'secrets', 'kube-system', `${RELEASE}-redis`],
    ['false', 'get', 'secrets', 'default', `${RELEASE}-redis`],
    ['false', 'patch', 'serviceentries.networking.istio.io', 'default', 'any'],
    ['false', 'delete', 'pods', 'kube-system', 'coredns-0'],
  ])('%s: %s %s %s/%s', async (answer, verb, resource, namespace, name) => {
    expect((await mayIt(verb, resource, { namespace, name })) || 'false').toBe(answer);
  });
});

describe('mode sidecar', () => {
  it('has no collector, and a container for CoreDNS whose failures cannot make its pod unready by a probe', async () => {
    const objects = await render(VALUE_SETS['sidecar'] ?? {});
    expect(objects.filter(({ metadata }) => metadata.name === `${RELEASE}-collector`)).toEqual([]);
    const map = findObject(objects, 'ConfigMap', `${RELEASE}-sidecar`);
    const { container } = JSON.parse(map.data?.['sidecar.json'] ?? '') as { container: { env: object[] } };
    expect(container).not.toHaveProperty('readinessProbe');
    expect(container.env).toContainEqual({
      name: 'ISTIO_DISCOVERY_OBSERVATION_INTERNAL_ZONES',
      value: '["no","corp.example.com"]',
    });
    expect(container.env).toContainEqual({ name: 'ISTIO_DISCOVERY_OBSERVATION_MAX_PAIRS', value: '16777216' });
  });

  it('has the same password beside CoreDNS as beside Redis, and lets CoreDNS reach Redis', async () => {
    const objects = await render(VALUE_SETS['sidecar'] ?? {});
    const secrets = objects.filter(({ kind }) => kind === 'Secret');
    expect(secrets.map(({ metadata }) => metadata.namespace ?? '').sort()).toEqual([RELEASE, 'kube-system']);
    expect(new Set(secrets.map(({ data }) => data?.['password'])).size).toBe(1);
    const { spec } = findObject(objects, 'NetworkPolicy', `${RELEASE}-redis`);
    expect(JSON.stringify(spec)).toContain('"k8s-app":"kube-dns"');
  });
});

describe('the templates', () => {
  it('let no probe of the collector depend on Redis or the API server', async () => {
    const { spec } = podTemplate(findObject(await render({}), 'Deployment', `${RELEASE}-collector`));
    expect(spec.containers.map(({ readinessProbe }) => readinessProbe)).toEqual([
      expect.objectContaining({ httpGet: { path: '/livez', port: 'http' } }),
    ]);
  });

  it('let only the cluster DNS reach the dnstap port, and only our pods Redis', async () => {
    const objects = await render({});
    const { spec: collector } = findObject(objects, 'NetworkPolicy', `${RELEASE}-collector`);
    expect(collector?.['ingress']).toEqual([
      {
        from: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
            podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
          },
        ],
        ports: [{ port: 'dnstap', protocol: 'TCP' }],
      },
      {
        // Which asks who has connected.
        from: [
          { podSelector: { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': 'installer' }) } },
        ],
        ports: [{ port: 'http', protocol: 'TCP' }],
      },
    ]);
    const { spec: redis } = findObject(objects, 'NetworkPolicy', `${RELEASE}-redis`);
    expect(redis).toMatchObject({
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          from: ['collector', 'reconciler'].map((component) => ({
            podSelector: { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': component }) },
          })),
          ports: [{ port: 'redis', protocol: 'TCP' }],
        },
      ],
    });
    expect(redis).not.toHaveProperty('egress');
  });

  it('never run two reconcilers that have no Lease', async () => {
    const name = `${RELEASE}-reconciler`;
    const { spec: single } = findObject(await render({}), 'Deployment', name);
    expect(single).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    const { spec: several } = findObject(await render(VALUE_SETS['replicated'] ?? {}), 'Deployment', name);
    expect(several).toMatchObject({ replicas: 3, strategy: { type: 'RollingUpdate' } });
  });

  it('keep a pod of each replicated component during a drain, and block no drain of a single one', async () => {
    const budgets = (objects: readonly RenderedObject[]): readonly string[] =>
      objects.filter(({ kind }) => kind === 'PodDisruptionBudget').map(({ metadata }) => metadata.name);
    expect(budgets(await render({}))).toEqual([`${RELEASE}-collector`]);
    expect(budgets(await render({ reconciler: { replicas: 2 } }))).toHaveLength(2);
    expect(budgets(await render({ collector: { replicas: 1 } }))).toEqual([]);
  });

  it('start new pods when the configuration changes', async () => {
    const template = async (values: object): Promise<unknown> =>
      podTemplate(findObject(await render(values), 'Deployment', `${RELEASE}-collector`)).metadata;
    expect(await template({ config: { log: { level: 'debug' } } })).not.toEqual(await template({}));
    expect(await template({})).toEqual(await template({}));
  });

  it.each([
    ['IPv4', '--dnstap=tcp://0.0.0.0:6000'],
    ['IPv6', '--dnstap=tcp://[::]:6000'],
  ])('listen on %s', async (ipFamily, argument) => {
    const objects = await render({ collector: { service: { ipFamily } } });
    const { spec } = podTemplate(findObject(objects, 'Deployment', `${RELEASE}-collector`));
    expect(spec.containers[0]?.args).toContain(argument);
    expect(findObject(objects, 'Service', `${RELEASE}-collector`).spec).toMatchObject({ ipFamilies: [ipFamily] });
  });

  it('take an image by its digest', async () => {
    const objects = await render(VALUE_SETS['replicated'] ?? {});
    const { spec } = podTemplate(findObject(objects, 'Deployment', `${RELEASE}-collector`));
    expect(spec.containers[0]?.image).toBe(`example.com/istio-discovery@sha256:${'a'.repeat(64)}`);
  });
});
