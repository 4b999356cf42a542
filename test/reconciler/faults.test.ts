import { randomBytes, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { parseAllDocuments } from 'yaml';
import { lookForIstio } from '../../src/app/examination.js';
import { loadConfiguration } from '../../src/config/load.js';
import type { ServiceEntry } from '../../src/istio/service-entry.js';
import { startApiProxy, type ApiProxy } from '../support/api-proxy.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { partPath } from '../support/parts.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';
import { waitUntil } from '../support/wait-until.js';
import { startLiveReconciler, type LiveOptions, type LiveReconciler } from './live-reconciler.js';

/*
 * The reconciler against a real API server that has something wrong with it. The store is the embedded one; what the API
 * server does by itself is done to it, and the rest (429, 500) comes from a proxy in front of it.
 */

let server: KubeApiserver;
let proxy: ApiProxy;
let namespace: string;
let live: LiveReconciler | undefined;

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds' });
  proxy = await startApiProxy(server);
}, 120_000);

beforeEach(async () => {
  namespace = `shop-${randomBytes(4).toString('hex')}`;
  await server.kubectl(['create', 'namespace', namespace]);
  proxy.inject = () => undefined;
  proxy.requests.length = 0;
});

afterEach(async () => {
  await live?.close();
  live = undefined;
  // No other test's entries: those of others count as well.
  await server.kubectl(['delete', 'serviceentries', '--all', `--namespace=${namespace}`]);
});

afterAll(async () => {
  await proxy.close();
  await server.stop();
});

async function start(options: Partial<LiveOptions> = {}): Promise<LiveReconciler> {
  live = await startLiveReconciler({ kubeconfigFile: proxy.kubeconfigFile, ...options });
  return live;
}

/** A host of this test only. */
function h(name: string): string {
  return `${name}.${namespace}.example.com`;
}

async function entries(): Promise<readonly ServiceEntry[]> {
  // In a version that is always served.
  const text = await server.kubectl([
    'get',
    'serviceentries.v1beta1.networking.istio.io',
    `--namespace=${namespace}`,
    '-o',
    'json',
  ]);
  return (JSON.parse(text) as { items: readonly ServiceEntry[] }).items; // kubectl's own output
}

async function hosts(): Promise<string> {
  return (await entries())
    .flatMap(({ spec }) => spec.hosts)
    .sort()
    .join();
}

async function waitForHosts(...names: readonly string[]): Promise<void> {
  await waitUntil(async () => (await hosts()) === names.map(h).sort().join(), {
    what: `entries for ${names.join()}`,
    timeoutMs: 40_000,
  });
}

const isWrite = ({ method, url }: { method: string; url: string }): boolean =>
  method === 'PATCH' && !url.includes('dryRun');

const writesOf = (host: string): number =>
  proxy.requests.filter((request) => isWrite(request) && request.url.includes(host)).length;

describe('a part that goes away', () => {
  it('goes on after etcd was killed and came back', async () => {
    const { lookUp, loop } = await start();
    await lookUp(h('before'), namespace);
    await waitForHosts('before');
    await server.etcd.kill('SIGKILL');
    proxy.requests.length = 0;
    try {
      await lookUp(h('while'), namespace);
      await waitUntil(() => proxy.requests.length > 0);
    } finally {
      await server.etcd.restart();
    }
    await waitForHosts('before', 'while');
    await waitUntil(() => loop.fault === undefined);
    expect((await entries()).map(({ spec }) => spec.resolution)).toEqual(['NONE', 'NONE']);
  }, 120_000);

  it('goes on after the API server was restarted in the middle of a watch, and sees what happened meanwhile', async () => {
    const { lookUp, loop, runs } = await start();
    await lookUp(h('before'), namespace);
    await waitForHosts('before');
    await server.kill('SIGKILL');
    try {
      await lookUp(h('while'), namespace);
      await waitUntil(() => loop.fault !== undefined);
    } finally {
      await server.restart();
    }
    await server.kubectl(['delete', 'serviceentry', `learned-${h('before')}`, `--namespace=${namespace}`]);
    await waitForHosts('before', 'while');
    await waitUntil(() => loop.fault === undefined); // a watch may be told later that its version is too old
    expect(runs.at(-1)?.result.failures).toEqual([]);
  }, 120_000);

  it('goes on when its token has expired and its file has a new one', async () => {
    await server.kubectl(['create', 'serviceaccount', 'reconciler', `--namespace=${namespace}`]);
    const subject = `--serviceaccount=${namespace}:reconciler`;
    await server.kubectl(['create', 'clusterrolebinding', namespace, '--clusterrole=cluster-admin', subject]);
    const tokenFile = createTemporaryDirectory().file('token');
    // The API server makes none that expires in less than ten minutes, so this one is signed here, by its own key. It
    // takes a token for another minute after its time, and remembers for ten seconds that it was good.
    writeFileSync(tokenFile, await signToken({ namespace, name: 'reconciler', seconds: -56 }));
    const { lookUp, waitForFailure } = await start({ kubeconfigFile: kubeconfigOf(tokenFile) });
    await lookUp(h('before'), namespace);
    await waitForHosts('before');
    await waitUntil(async () => (await statusOf(readFileSync(tokenFile, 'utf8'))) === 401, { timeoutMs: 40_000 });
    await lookUp(h('after'), namespace);
    await waitForFailure(h('after'), 'KUBERNETES_ERR_UNAUTHORIZED');
    writeFileSync(tokenFile, await signToken({ namespace, name: 'reconciler', seconds: 600 }));
    await waitForHosts('before', 'after');
    expect((await entries()).map(({ spec }) => spec.resolution)).toEqual(['NONE', 'NONE']);
  });

  async function signToken(options: { namespace: string; name: string; seconds: number }): Promise<string> {
    const { namespace: where, name, seconds } = options;
    const uid = await server.kubectl(['get', 'serviceaccount', name, '-n', where, '-o', 'jsonpath={.metadata.uid}']);
    const issuer = 'https://kubernetes.default.svc';
    const nowSeconds = Math.floor(Date.now() / 1000);
    const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
    const claims = {
      iss: issuer,
      aud: [issuer],
      sub: `system:serviceaccount:${where}:${name}`,
      iat: nowSeconds,
      nbf: nowSeconds,
      exp: nowSeconds + seconds,
      'kubernetes.io': { namespace: where, serviceaccount: { name, uid } },
    };
    const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
    const signature = sign('RSA-SHA256', Buffer.from(text), readFileSync(server.serviceAccountKeyFile));
    return `${text}.${signature.toString('base64url')}`;
  }

  function kubeconfigOf(tokenFile: string): string {
    const kubeconfig = JSON.parse(readFileSync(server.kubeconfigFile, 'utf8')) as { users: [{ user: object }] };
    kubeconfig.users[0].user = { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } };
    const file = createTemporaryDirectory().file('kubeconfig');
    writeFileSync(file, JSON.stringify(kubeconfig));
    return file;
  }

  /** What the API server answers to a token. */
  async function statusOf(token: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${token}` };
      const request = get(`${server.url}/api/v1/namespaces`, { ca: readFileSync(server.caFile), headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      request.on('error', reject);
    });
  }

  it('plans nothing while one of the kinds that a plan depends on cannot be read', async () => {
    proxy.inject = ({ url }) => (url.includes('/virtualservices') ? { status: 500 } : undefined);
    const { lookUp, loop } = await start();
    await lookUp(h('a'), namespace);
    await waitUntil(() => loop.faultCode === 'KUBERNETES_ERR_SERVER');
    await waitUntil(async () => (await live?.store.get(h('a') as never))?.state === 'approved'); // learning goes on
    expect(proxy.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    proxy.inject = () => undefined;
    await waitForHosts('a');
  });
});

describe('an API server that refuses', () => {
  it('is left alone for as long as it asks', async () => {
    let refusals = 3;
    proxy.inject = (request) => {
      if (!isWrite(request) || refusals === 0) return undefined;
      refusals -= 1;
      return { status: 429, headers: { 'Retry-After': '1' } };
    };
    const { lookUp, runs } = await start();
    await lookUp(h('a'), namespace);
    await waitForHosts('a');
    const tries = proxy.requests.filter(isWrite).map(({ atMs }) => atMs);
    expect(tries).toHaveLength(4);
    const pauses = tries.slice(1).map((atMs, index) => atMs - (tries[index] ?? 0));
    for (const pause of pauses) expect(pause).toBeGreaterThan(990); // a timer may fire a little early
    await waitUntil(() => runs.at(-1)?.plan.keep.some(({ current }) => current.spec.hosts[0] === h('a')) ?? false);
  });

  it('stops nobody by one entry for which it fails every time', async () => {
    const bad = h('bad');
    proxy.inject = (request) => (isWrite(request) && request.url.includes(bad) ? { status: 500 } : undefined);
    const { lookUp, waitForFailure, skip } = await start();
    for (const name of ['a', 'b', 'bad', 'c']) await lookUp(h(name), namespace);
    await waitForHosts('a', 'b', 'c');
    await waitForFailure(bad, 'KUBERNETES_ERR_SERVER');
    expect(writesOf(bad)).toBeLessThan(6);
    proxy.inject = () => undefined;
    skip(60_000);
    await waitForHosts('a', 'b', 'bad', 'c');
  });

  it('is asked by a policy of the cluster, whose refusal is told and not fought', async () => {
    const bad = h('bad');
    await createPolicy(`refuse-${namespace}`, `!object.spec.hosts.exists(host, host == '${bad}')`);
    await waitForPolicy();
    const { lookUp, waitForFailure, skip, runs } = await start();
    for (const name of ['a', 'bad']) await lookUp(h(name), namespace);
    await waitForHosts('a');
    await waitForFailure(bad, 'KUBERNETES_ERR_INVALID');
    const runsBefore = runs.length;
    await waitUntil(() => runs.length > runsBefore + 5);
    expect(proxy.requests.filter(({ url, method }) => method === 'PATCH' && url.includes(bad))).toHaveLength(1);
    await deletePolicy(`refuse-${namespace}`);
    await waitUntil(async () => {
      skip(600_000);
      return (await hosts()) === [h('a'), bad].sort().join();
    });
  });

  it('is told nothing in a namespace that is being deleted, and takes the others', async () => {
    const going = `going-${namespace}`;
    await server.kubectl(['create', 'namespace', going]);
    const { lookUp, store, runs } = await start({ onDeleted: 'ignore' });
    await lookUp(h('both'), going);
    await lookUp(h('both'), namespace);
    await waitForHosts('both');
    await waitUntil(async () => (await store.get(h('both') as never))?.state === 'applied');
    // No controller runs here, so the namespace stays what it is now.
    await server.kubectl(['delete', 'namespace', going, '--wait=false']);
    await server.kubectl(['delete', 'serviceentries', '--all', `--namespace=${going}`]);
    await lookUp(h('late'), going);
    await lookUp(h('late'), namespace);
    await waitForHosts('both', 'late');
    const skips = (): readonly string[] =>
      (runs.at(-1)?.plan.skipped ?? []).map(({ namespace: where, host, reason }) => `${where} ${host} ${reason}`);
    await waitUntil(() => skips().length === 2);
    expect(skips()).toEqual([`${going} ${h('both')} namespace-missing`, `${going} ${h('late')} namespace-missing`]);
    live?.skip(60_000);
    await waitUntil(() => runs.length > 3);
    // That its entry went with the namespace is nobody's wish about the host.
    expect((await store.get(h('both') as never))?.state).toBe('applied');
  });

  async function createPolicy(name: string, expression: string): Promise<void> {
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const metadata = { name };
    const apiGroups = ['networking.istio.io'];
    const operations = ['CREATE', 'UPDATE'];
    const resourceRules = [{ apiGroups, apiVersions: ['*'], operations, resources: ['serviceentries'] }];
    const validations = [{ expression, message: 'this host is not allowed' }];
    const spec = { matchConstraints: { resourceRules }, validations };
    const binding = { policyName: name, validationActions: ['Deny'] };
    for (const object of [
      { apiVersion, kind: 'ValidatingAdmissionPolicy', metadata, spec },
      { apiVersion, kind: 'ValidatingAdmissionPolicyBinding', metadata, spec: binding },
    ]) {
      await server.kubectl(['create', '-f', '-'], JSON.stringify(object));
    }
  }

  /** The API server takes a moment to obey a new policy. */
  async function waitForPolicy(): Promise<void> {
    const metadata = { name: 'probe', namespace };
    const probe = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec: { hosts: [h('bad')] } };
    const isRefused = async (): Promise<boolean> =>
      server.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(probe)).then(
        () => false,
        () => true,
      );
    await waitUntil(isRefused);
  }

  async function deletePolicy(name: string): Promise<void> {
    await server.kubectl(['delete', 'validatingadmissionpolicybinding,validatingadmissionpolicy', name]);
  }
});

describe('somebody else', () => {
  async function patch(host: string, spec: object): Promise<void> {
    const args = ['--type=merge', '--patch', JSON.stringify({ spec }), '--field-manager=rival'];
    await server.kubectl(['patch', 'serviceentry', `learned-${host}`, `--namespace=${namespace}`, ...args]);
  }

  it('who sets one of our fields again and again is not fought, and the conflict is told', async () => {
    const { lookUp, runs } = await start();
    await lookUp(h('a'), namespace);
    await waitForHosts('a');
    const before = writesOf(h('a'));
    for (const exportTo of [['*'], ['bank'], ['*']]) {
      await patch(h('a'), { exportTo });
      await waitUntil(
        () =>
          runs.at(-1)?.plan.skipped.some(({ host, reason }) => host === h('a') && reason === 'edited-by-others') ??
          false,
      );
    }
    expect((await entries())[0]?.spec.exportTo).toEqual(['*']);
    expect(writesOf(h('a'))).toBe(before);
    expect(runs.at(-1)?.plan.skipped).toEqual([expect.objectContaining({ because: ['rival'] })]);
  });

  it('who deletes an entry once is put right, who deletes it every time is told so and not fought', async () => {
    const { lookUp, waitForFailure, skip } = await start();
    await lookUp(h('a'), namespace);
    await waitForHosts('a');
    const remove = async (): Promise<void> => {
      await server.kubectl(['delete', 'serviceentry', `learned-${h('a')}`, `--namespace=${namespace}`]);
    };
    await remove();
    await waitForHosts('a');
    await remove();
    await waitForFailure(h('a'), 'RECONCILER_ERR_DELETED_BY_OTHERS');
    expect(await hosts()).toBe('');
    skip(15_000);
    await waitForHosts('a');
    expect(writesOf(h('a'))).toBe(3);
  });

  it('who deletes an entry is taken to ignore the host, where that is the setting', async () => {
    const { lookUp, store, skip, runs } = await start({ onDeleted: 'ignore' });
    await lookUp(h('a'), namespace);
    await lookUp(h('b'), namespace);
    await waitForHosts('a', 'b');
    await waitUntil(async () => (await store.get(h('a') as never))?.state === 'applied');
    await server.kubectl(['delete', 'serviceentry', `learned-${h('a')}`, `--namespace=${namespace}`]);
    await waitUntil(() => runs.at(-1)?.plan.skipped.some(({ reason }) => reason === 'deleted-by-others') ?? false);
    skip(10_000);
    await waitUntil(async () => (await store.get(h('a') as never))?.state === 'ignored');
    skip(3_600_000);
    const runsBefore = runs.length;
    await waitUntil(() => runs.length > runsBefore + 3);
    expect(await hosts()).toBe(h('b'));
  });
});

describe("Istio's custom resource definitions", () => {
  const CRD = 'serviceentries.networking.istio.io';

  interface Crd {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly versions: { name: string; served: boolean; storage: boolean }[] };
  }

  async function readCrd(part: 'istio-crds' | 'istio-crds-1.22'): Promise<Crd> {
    const documents = parseAllDocuments(readFileSync(await partPath(part), 'utf8'));
    const crds = documents.map((document) => document.toJS() as Crd | null); // a file of CRDs
    return crds.find((crd) => crd?.metadata.name === CRD) as Crd; // it is there, or nothing works
  }

  async function restore(crd: Crd): Promise<void> {
    await server.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(crd));
    await server.kubectl(['wait', '--for=condition=Established', '--timeout=30s', `crd/${CRD}`]);
  }

  const withoutV1 = (crd: Crd): Crd => ({
    ...crd,
    spec: { ...crd.spec, versions: crd.spec.versions.map((one) => ({ ...one, served: one.name !== 'v1' })) },
  });

  it.each(['istio-crds', 'istio-crds-1.22'] as const)(
    'that go away are said to be absent and taken up when they are there again, in the version that %s serves',
    async (part) => {
      const { lookUp, loop, store } = await start({ onDeleted: 'ignore' });
      const configuration = loadConfiguration({ flags: { kubeconfig: server.kubeconfigFile }, environment: {} });
      await lookUp(h('before'), namespace);
      await waitForHosts('before');
      await waitUntil(async () => (await store.get(h('before') as never))?.state === 'applied');
      await server.kubectl(['delete', 'crd', CRD]);
      await waitUntil(() => loop.faultCode === 'KUBERNETES_ERR_RESOURCE_ABSENT');
      expect(await lookForIstio(configuration)).toEqual({ crds: 'absent' });
      await lookUp(h('while'), namespace);
      await waitUntil(async () => (await store.get(h('while') as never))?.state === 'approved');
      live?.skip(60_000);
      proxy.requests.length = 0;
      await restore(withoutV1(await readCrd(part)));
      await waitForHosts('before', 'while');
      const paths = proxy.requests.filter(isWrite).map(({ url }) => url.split('/').slice(2, 4).join('/'));
      expect(new Set(paths)).toEqual(new Set(['networking.istio.io/v1beta1']));
      expect(await lookForIstio(configuration)).toEqual({ crds: 'present', version: 'v1beta1' });
      // That they went with their definition is nobody's wish.
      expect((await store.get(h('before') as never))?.state).toBe('applied');
      await restore(await readCrd('istio-crds'));
    },
    60_000,
  );
});
