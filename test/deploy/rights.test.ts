import { PassThrough } from 'node:stream';
import { reconcile } from '../../src/app/roles.js';
import { loadConfiguration } from '../../src/config/load.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { hostname } from '../istio/hostname.js';
import { lookUpOf } from '../observation/look-up.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { createRunningPod } from '../support/running-pod.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { createRenderer, RELEASE, type RenderedObject } from './chart.js';

/*
 * The reconciler as the ServiceAccount that the chart gives it, under the API server's own RBAC: with all its rights it
 * misses none, and without any single one of them it says which one it misses.
 */

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** One verb on one resource. */
interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
}

interface Trial {
  readonly namespace: string;
  /** What the reconciler logged so far. */
  readonly log: () => string;
  readonly stop: () => Promise<void>;
}

const AT_A_TIME = 4;
const CREATED = 'created';
const UPDATED = 'updated';
const DELETED = 'deleted';

let server: KubeApiserver;
let wholeCluster: readonly RenderedObject[];
let oneNamespace: readonly RenderedObject[];
let trials = 0;

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds' });
  const render = await createRenderer();
  wholeCluster = await render({});
  oneNamespace = await render({ reconciler: { namespaces: ['only'] } });
}, 120_000);

afterAll(async () => server.stop());

function rulesOf(
  objects: readonly RenderedObject[],
): readonly (RenderedObject & { readonly rules: readonly Rule[] })[] {
  const isRole = (object: RenderedObject): object is RenderedObject & { readonly rules: readonly Rule[] } =>
    (object.kind === 'ClusterRole' || object.kind === 'Role') &&
    (object.metadata.name.includes('reconciler') || object.metadata.name === `${RELEASE}-watcher`);
  return objects.filter(isRole);
}

function rightsOf(objects: readonly RenderedObject[]): readonly Right[] {
  return rulesOf(objects)
    .flatMap(({ rules }) => rules)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb): Right => ({ group, resource, verb }))),
      ),
    );
}

/** A namespace of its own with the ServiceAccount and the chart's rights, all but one. */
async function grant(objects: readonly RenderedObject[], without: Right | undefined): Promise<string> {
  trials += 1;
  const namespace = `trial-${trials}`;
  const subjects = [{ kind: 'ServiceAccount', name: 'reconciler', namespace }];
  const rbac = 'rbac.authorization.k8s.io';
  const roles = rulesOf(objects).flatMap(({ kind, metadata, rules }) => {
    const name = `${metadata.name.replaceAll(':', '-')}-${namespace}`;
    const meta = { name, ...(kind === 'Role' && { namespace }) };
    const roleRef = { apiGroup: rbac, kind, name };
    return [
      { apiVersion: `${rbac}/v1`, kind, metadata: meta, rules: rules.flatMap((rule) => reduce(rule, without)) },
      { apiVersion: `${rbac}/v1`, kind: `${kind}Binding`, metadata: meta, roleRef, subjects },
    ];
  });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reconciler', namespace } };
  const items = [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, account, ...roles];
  await server.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await waitForRights(namespace, without);
  return namespace;
}

/** The rule by resource, without a verb on one of them. */
function reduce({ apiGroups, resources, verbs, ...rest }: Rule, without: Right | undefined): readonly Rule[] {
  return apiGroups
    .flatMap((group) => resources.map((resource) => ({ group, resource })))
    .map(({ group, resource }) => {
      const isIt = group === without?.group && resource === without.resource;
      const left = isIt ? verbs.filter((verb) => verb !== without.verb) : verbs;
      return { ...rest, apiGroups: [group], resources: [resource], verbs: left };
    })
    .filter((rule) => rule.verbs.length > 0);
}

/** The API server takes a moment to obey new roles. */
async function waitForRights(namespace: string, without: Right | undefined): Promise<void> {
  const resource = without?.resource === 'pods' ? 'jobs.batch' : 'pods';
  const user = `--as=system:serviceaccount:${namespace}:reconciler`;
  await waitUntil(async () => server.kubectl(['auth', 'can-i', 'watch', resource, '-n', namespace, user]));
}

const hostOf = (namespace: string, what: string): string => `${what}.${namespace}.example.com`;

/** Starts the reconciler with something to create, something to update and something to delete. */
async function startTrial(objects: readonly RenderedObject[], without?: Right): Promise<Trial> {
  const namespace = await grant(objects, without);
  const address = `10.244.1.${trials}`;
  await createRunningPod(server, { namespace, name: 'web', podIp: address });
  const store = createTemporaryDirectory().file('store');
  await prepareStore(store, namespace, address);
  for (const what of [UPDATED, DELETED]) await applyOwn(namespace, what);
  const flags = {
    store: `embedded://${store}`,
    kubeconfig: await server.kubeconfigOf('reconciler', namespace),
    namespace,
    'reconcile-leader-election': true,
    'reconcile-interval-ms': '200',
    'reconcile-delete-after-seconds': '0',
    'reconcile-delete-after-runs': '1',
    'log-level': 'debug',
    'log-format': 'json',
    ...(objects === oneNamespace && { 'kubernetes-namespaces': [namespace] }),
  };
  const stop = new AbortController();
  const stream = new PassThrough();
  let log = '';
  stream.on('data', (piece: Buffer) => {
    log += piece.toString();
  });
  const logStream = stream as unknown as NodeJS.WriteStream; // of which a logger uses what every stream has
  const options = { once: false, stdout: new PassThrough(), logStream, signal: stop.signal };
  const running = reconcile(loadConfiguration({ flags, environment: {} }), options);
  return {
    namespace,
    log: () => log,
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

async function prepareStore(directory: string, namespace: string, client: string): Promise<void> {
  const store = await openEmbeddedStore(directory);
  const atMs = Date.now();
  const names = [CREATED, UPDATED, DELETED].map((what) => hostOf(namespace, what));
  const observations = names.map((name) => lookUpOf(name, client, atMs));
  await store.record({ source: 'test', sequence: 1, observations, rejections: [] });
  const ignored = hostname(hostOf(namespace, DELETED));
  await store.transition([{ hostname: ignored, from: 'candidate', to: 'ignored', reason: 'person: test', atMs }]);
  await store.close();
}

/** An entry as this program once wrote it, with other ports than it would write now. */
async function applyOwn(namespace: string, what: string): Promise<void> {
  const host = hostOf(namespace, what);
  const labels = { 'app.kubernetes.io/managed-by': 'istio-discovery', 'istio-discovery.io/owner': 'istio-discovery' };
  const metadata = { name: `learned-${host}`, namespace, labels };
  const ports = [{ name: 'tls-443', number: 443, protocol: 'TLS' }];
  const spec = { hosts: [host], exportTo: ['.'], location: 'MESH_EXTERNAL', resolution: 'NONE', ports };
  const entry = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec };
  const args = ['apply', '--server-side', '--field-manager=istio-discovery', '-f', '-'];
  await server.kubectl(args, JSON.stringify(entry));
}

/** Hosts of the namespace, each with how many ports it has. */
async function entriesOf(namespace: string): Promise<readonly string[]> {
  const text = await server.kubectl(['get', 'serviceentries', '-n', namespace, '-o', 'json']);
  const { items } = JSON.parse(text) as { items: { spec: { hosts: [string]; ports: object[] } }[] };
  return items.map(({ spec }) => `${spec.hosts[0].split('.')[0] ?? ''} ${spec.ports.length}`).sort();
}

async function waitForAll({ namespace }: Trial): Promise<void> {
  const wanted = [`${CREATED} 2`, `${UPDATED} 2`];
  await waitUntil(async () => (await entriesOf(namespace)).join() === wanted.join(), { timeoutMs: 40_000 });
  await waitUntil(async () => (await eventReasons(namespace)).size === 3);
}

async function eventReasons(namespace: string): Promise<ReadonlySet<string>> {
  const text = await server.kubectl(['get', 'events', '-n', namespace, '-o', 'jsonpath={.items[*].reason}']);
  return new Set(text.split(' '));
}

it('with all of them the reconciler misses none', async () => {
  const trial = await startTrial(wholeCluster);
  await waitForAll(trial);
  expect(trial.log()).not.toContain('FORBIDDEN');
  await trial.stop();
});

it('in one namespace it needs no ClusterRole, and misses none either', async () => {
  const ofTheCluster = oneNamespace.filter(({ kind }) => kind.startsWith('ClusterRole'));
  expect(ofTheCluster.filter(({ metadata }) => metadata.name.includes('reconciler'))).toEqual([]);
  const trial = await startTrial(oneNamespace);
  await waitForAll(trial);
  expect(trial.log()).not.toContain('FORBIDDEN');
  await trial.stop();
});

it('says which one it misses, whichever it is', async () => {
  const rights = rightsOf(wholeCluster);
  expect(rights.length).toBeGreaterThan(25);
  const rest = rights.values();
  const missed: string[] = [];
  const worker = async (): Promise<void> => {
    for (const right of rest) {
      const trial = await startTrial(wholeCluster, right);
      const { group, resource, verb } = right;
      const what = `a complaint about ${verb} ${resource}.${group}`;
      await waitUntil(() => hasComplaint(trial, right), { what, timeoutMs: 40_000 });
      missed.push(`${verb} ${resource}.${group}`);
      await trial.stop();
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  expect(missed.sort()).toEqual(rights.map(({ group, resource, verb }) => `${verb} ${resource}.${group}`).sort());
}, 120_000);

/** Whether the log says what RBAC says: `… cannot list resource "pods" in API group "" at the cluster scope`. */
function hasComplaint({ log }: Trial, { group, resource, verb }: Right): boolean {
  return log().includes(`cannot ${verb} resource \\"${resource}\\" in API group \\"${group}\\"`);
}

it('the collector has none at all', () => {
  const accounts = wholeCluster.filter(
    ({ kind, metadata }) => kind === 'ServiceAccount' && metadata.name.includes(RELEASE),
  );
  expect(accounts.map(({ metadata }) => metadata.name)).toContain(`${RELEASE}-collector`);
  const bindings = wholeCluster.filter(({ kind }) => kind.endsWith('RoleBinding'));
  expect(JSON.stringify(bindings)).not.toContain(`${RELEASE}-collector`);
});
