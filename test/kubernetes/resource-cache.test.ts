import { KubernetesClient } from '../../src/kubernetes/client.js';
import type { KubernetesErrorCode } from '../../src/kubernetes/kubernetes-error.js';
import { ResourceCache, type ResourceCacheOptions } from '../../src/kubernetes/resource-cache.js';
import { startApiProxy, type ApiProxy } from '../support/api-proxy.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { waitUntil } from '../support/wait-until.js';

let server: KubeApiserver;
let proxy: ApiProxy;
let client: KubernetesClient;
let namespaces = 0;

beforeAll(async () => {
  server = await startKubeApiserver();
  proxy = await startApiProxy(server);
  client = KubernetesClient.load({ kubeconfig: proxy.kubeconfigFile });
}, 120_000);

afterAll(async () => {
  await client.close();
  await proxy.close();
  await server.stop();
});

interface Followed {
  readonly cache: ResourceCache<string>;
  readonly names: () => readonly string[];
  readonly deleted: string[];
  readonly errors: KubernetesErrorCode[];
  /** Lists so far; to ask for one object only is to ask for the version. */
  readonly lists: () => number;
  readonly create: (name: string) => Promise<void>;
  /** Puts a label on it. */
  readonly change: (name: string) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
}

/** Follows the ConfigMaps of a namespace of its own while `work` runs. */
async function following(
  work: (followed: Followed) => Promise<void>,
  change: Partial<ResourceCacheOptions<string>> = {},
): Promise<void> {
  namespaces += 1;
  const namespace = `cache-${namespaces}`;
  await server.kubectl(['create', 'namespace', namespace]);
  const [deleted, errors]: [string[], KubernetesErrorCode[]] = [[], []];
  const cache = new ResourceCache<string>({
    client,
    group: '',
    plural: 'configmaps',
    versions: ['v1'],
    namespace,
    select: ({ metadata: { name } }) => (name.startsWith('kube-') ? undefined : name),
    onChange: () => undefined,
    onDeleted: (name) => deleted.push(name),
    onError: ({ code }) => errors.push(code),
    baseDelayMs: 20,
    ...change,
  });
  const isList = ({ url }: { readonly url: string }): boolean =>
    url.includes(`/${namespace}/`) && url.includes('limit=100') && !url.includes('watch=');
  const stop = new AbortController();
  const running = cache.run(stop.signal);
  try {
    await waitUntil(() => cache.isCurrent);
    await work({
      cache,
      names: () => [...cache.read()].sort(),
      deleted,
      errors,
      lists: () => proxy.requests.filter(isList).length,
      create: async (name) => void (await server.kubectl(['create', 'configmap', name, '-n', namespace])),
      change: async (name) => void (await server.kubectl(['label', 'configmap', name, 'changed=yes', '-n', namespace])),
      remove: async (name) => void (await server.kubectl(['delete', 'configmap', name, '-n', namespace])),
    });
  } finally {
    stop.abort();
    await running;
    proxy.inject = () => undefined;
  }
}

/** Waits until these are there and up to date. */
async function settled({ cache, names }: Followed, expected: readonly string[]): Promise<void> {
  await waitUntil(() => cache.isCurrent && names().join() === expected.join(), { what: expected.join() });
}

describe('ResourceCache', () => {
  it('follows what comes and goes, and tells only of deletions by others', () =>
    following(async (followed) => {
      await followed.create('a');
      await followed.create('b');
      await settled(followed, ['a', 'b']);
      await followed.cache.deleting(`cache-${namespaces}`, 'a', async () => followed.remove('a'));
      await settled(followed, ['b']);
      await followed.remove('b');
      await settled(followed, []);
      expect(followed.deleted).toEqual(['b']);
    }));

  it('gives up an object that became one of which nothing is kept', () =>
    following(
      async (followed) => {
        await followed.create('a');
        await followed.create('b');
        await settled(followed, ['a', 'b']);
        await followed.change('a');
        await settled(followed, ['b']);
        await followed.remove('a');
        await followed.create('c');
        await settled(followed, ['b', 'c']);
        expect(followed.deleted).toEqual([]);
      },
      {
        select: ({ metadata: { name, labels } }) =>
          name.startsWith('kube-') || (labels as object | undefined) !== undefined ? undefined : name,
      },
    ));

  it('goes on where it was when its connection breaks, without a list', () =>
    following(async (followed) => {
      await followed.create('before');
      await settled(followed, ['before']);
      proxy.cut();
      await waitUntil(() => followed.errors.length > 0);
      await followed.create('meanwhile');
      await settled(followed, ['before', 'meanwhile']);
      expect(followed.lists()).toBe(1);
    }));

  it('lists again when the server has forgotten where it was, and finds what went meanwhile', () =>
    following(async (followed) => {
      await followed.create('goes');
      await followed.create('stays');
      await settled(followed, ['goes', 'stays']);
      proxy.inject = ({ url }) => (url.includes('watch=') ? { status: 410 } : undefined);
      proxy.cut();
      await waitUntil(() => followed.errors.includes('KUBERNETES_ERR_GONE'));
      await followed.remove('goes');
      proxy.inject = () => undefined;
      await settled(followed, ['stays']);
      expect(followed.lists()).toBeGreaterThan(1);
      expect(followed.deleted).toEqual([]); // nobody saw how it went
    }));

  it('takes a connection without a byte for dead, and goes on', () =>
    following(
      async (followed) => {
        await waitUntil(() => followed.errors.includes('KUBERNETES_ERR_TIMEOUT'));
        await followed.create('after');
        await settled(followed, ['after']);
        expect(followed.lists()).toBe(1);
      },
      { silenceMs: 150 },
    ));

  it('gives no answer while it is behind, but the last failure', () =>
    following(async (followed) => {
      proxy.inject = () => ({ status: 500 });
      proxy.cut();
      await waitUntil(() => followed.cache.fault?.code === 'KUBERNETES_ERR_SERVER');
      expect(() => followed.cache.read()).toThrow(expect.objectContaining({ code: 'KUBERNETES_ERR_SERVER' }));
      proxy.inject = () => undefined;
      await settled(followed, []);
    }));

  it('takes up a version that is preferred once it is served', async () => {
    await server.kubectl(['apply', '-f', '-'], JSON.stringify(widgets({ isV1Served: false })));
    await server.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd/widgets.example.com']);
    const change = { group: 'example.com', plural: 'widgets', versions: ['v1', 'v1beta1'], rediscoverMs: 50 };
    await following(async ({ cache }) => {
      expect(cache.version).toBe('v1beta1');
      await server.kubectl(['apply', '-f', '-'], JSON.stringify(widgets({ isV1Served: true })));
      await waitUntil(() => cache.version === 'v1' && cache.isCurrent);
    }, change);
  });
});

function widgets({ isV1Served }: { readonly isV1Served: boolean }): object {
  const schema = { openAPIV3Schema: { type: 'object' } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
      versions: [
        { name: 'v1', served: isV1Served, storage: false, schema },
        { name: 'v1beta1', served: true, storage: true, schema },
      ],
    },
  };
}
