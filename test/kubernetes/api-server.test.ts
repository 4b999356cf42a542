import { setTimeout as delay } from 'node:timers/promises';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { discoverVersion } from '../../src/kubernetes/discovery.js';
import { KubernetesError } from '../../src/kubernetes/kubernetes-error.js';
import { LeaderElector, type LeaderElectorOptions } from '../../src/kubernetes/lease.js';
import { listResource } from '../../src/kubernetes/list.js';
import { recordEvent } from '../../src/kubernetes/record-event.js';
import { watchResource } from '../../src/kubernetes/watch.js';
import { applyObject, deleteObject } from '../../src/kubernetes/write.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { waitUntil } from '../support/wait-until.js';

const CONFIG_MAPS = { group: '', version: 'v1', plural: 'configmaps' };
const SERVICE_ENTRIES = { group: 'networking.istio.io', version: 'v1', plural: 'serviceentries' };

let server: KubeApiserver;
let client: KubernetesClient;

beforeAll(async () => {
  server = await startKubeApiserver({ crds: 'istio-crds' });
  client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
}, 120_000);

afterAll(async () => {
  await client.close();
  await server.stop();
});

function configMap(name: string, data: Readonly<Record<string, string>> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

async function apply(object: ReturnType<typeof configMap>, fieldManager = 'ours') {
  return applyObject({ client, resource: CONFIG_MAPS, object, fieldManager });
}

describe('listResource and a real API server', () => {
  it('reads all pages', async () => {
    for (let index = 0; index < 7; index += 1) await apply(configMap(`page-${index}`));
    const options = { client, resource: CONFIG_MAPS, namespace: 'default' };
    const { items } = await listResource({ ...options, pageSize: 2 });
    const names = items.map((item) => item.metadata.name);
    expect(names.filter((name) => name.startsWith('page-'))).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((index) => `page-${index}`),
    );
    expect(items.every((item) => item.kind === 'ConfigMap')).toBe(true);
  });

  it('reads only metadata when that is enough', async () => {
    await apply(configMap('metadata', { secret: 'not wanted' }));
    const { items } = await listResource({ client, resource: CONFIG_MAPS, namespace: 'default', metadataOnly: true });
    expect(items.find((item) => item.metadata.name === 'metadata')).not.toHaveProperty('data');
  });
});

describe('applyObject and deleteObject', () => {
  it('create, then change, and say which', async () => {
    await expect(apply(configMap('change', { a: '1' }))).resolves.toMatchObject({ isNew: true, warnings: [] });
    await expect(apply(configMap('change', { a: '2' }))).resolves.toMatchObject({ isNew: false });
  });

  it('store nothing in a dry run', async () => {
    const object = configMap('dry');
    const trial = await applyObject({ client, resource: CONFIG_MAPS, object, fieldManager: 'ours', dryRun: true });
    expect(trial.isNew).toBe(true);
    const { items } = await listResource({ client, resource: CONFIG_MAPS, namespace: 'default' });
    expect(items.map((item) => item.metadata.name)).not.toContain('dry');
  });

  it('do not take a field away from another manager', async () => {
    await apply(configMap('contested', { a: '1' }), 'theirs');
    await expect(apply(configMap('contested', { a: '2' }))).rejects.toMatchObject({ code: 'KUBERNETES_ERR_CONFLICT' });
  });

  it('refuse a field that does not exist', async () => {
    const spec = { hosts: ['api.example.com'], nonsense: true };
    const metadata = { name: 'unknown-field', namespace: 'default' };
    const object = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec };
    const request = { client, resource: SERVICE_ENTRIES, object, fieldManager: 'ours', dryRun: true };
    await expect(applyObject(request)).rejects.toBeInstanceOf(KubernetesError);
  });

  it('change only the object that was seen', async () => {
    const { object } = await apply(configMap('seen'));
    const metadata = { name: 'seen', namespace: 'default', uid: '00000000-0000-0000-0000-000000000000' };
    const other = { ...configMap('seen'), metadata };
    await expect(apply(other)).rejects.toMatchObject({ code: 'KUBERNETES_ERR_INVALID' });
    const code = 'KUBERNETES_ERR_CONFLICT';
    await apply(configMap('seen', { a: '1' }));
    const { resourceVersion = '' } = object.metadata;
    const stale = {
      client,
      resource: CONFIG_MAPS,
      namespace: 'default',
      name: 'seen',
      preconditions: { resourceVersion },
    };
    await expect(deleteObject(stale)).rejects.toMatchObject({ code });
  });

  it('delete, and say when there is nothing', async () => {
    const { object } = await apply(configMap('gone'));
    const { uid = '' } = object.metadata;
    const options = { client, resource: CONFIG_MAPS, namespace: 'default', name: 'gone', preconditions: { uid } };
    await deleteObject(options);
    await expect(deleteObject(options)).rejects.toMatchObject({ code: 'KUBERNETES_ERR_NOT_FOUND' });
  });
});

describe('discoverVersion', () => {
  const lookUp = { group: SERVICE_ENTRIES.group, plural: SERVICE_ENTRIES.plural };

  it('finds the preferred version that is served', async () => {
    await expect(discoverVersion({ client, ...lookUp, versions: ['v1', 'v1beta1'] })).resolves.toBe('v1');
    await expect(discoverVersion({ client, ...lookUp, versions: ['v9', 'v1beta1'] })).resolves.toBe('v1beta1');
  });

  it('finds resources of the core group', async () => {
    await expect(discoverVersion({ client, group: '', plural: 'pods', versions: ['v1'] })).resolves.toBe('v1');
  });

  it.each([
    ['a group that nobody installed', { ...lookUp, group: 'networking.example.com', versions: ['v1'] }],
    ['a resource that the group lacks', { ...lookUp, plural: 'nothings', versions: ['v1'] }],
  ])('says that %s is absent', async (_what, options) => {
    const code = 'KUBERNETES_ERR_RESOURCE_ABSENT';
    await expect(discoverVersion({ client, ...options })).rejects.toMatchObject({ code });
  });
});

describe('recordEvent', () => {
  it('is accepted', async () => {
    await recordEvent({
      client,
      namespace: 'default',
      regarding: { apiVersion: 'v1', kind: 'ConfigMap', name: 'events' },
      type: 'Warning',
      reason: 'NotWritten',
      action: 'Apply',
      note: 'x'.repeat(5000),
      reportingController: 'istio-discovery.io/reconciler',
      reportingInstance: 'test',
      nowMs: Date.now(),
    });
    const { items } = await listResource({
      client,
      resource: { group: 'events.k8s.io', version: 'v1', plural: 'events' },
      namespace: 'default',
    });
    expect(items).toEqual(expect.arrayContaining([expect.objectContaining({ reason: 'NotWritten' })]));
  });
});

describe('watchResource and a real API server', () => {
  it('misses nothing across a restart of the API server', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    let lists = 0;
    const running = watchResource({
      client,
      resource: CONFIG_MAPS,
      namespace: 'default',
      signal: stop.signal,
      select: (object) => object,
      onList: (objects) => {
        lists += 1;
        seen.push(...objects.map((object) => object.metadata.name));
      },
      onEvent: (type, object) => seen.push(`${type} ${object.metadata.name}`),
      onError: () => undefined,
      baseDelayMs: 50,
    });
    try {
      await waitUntil(() => lists === 1);
      await apply(configMap('before-restart'));
      await waitUntil(() => seen.includes('ADDED before-restart'));
      await server.restart();
      await apply(configMap('after-restart'));
      await waitUntil(() => seen.some((event) => event.endsWith('after-restart')), { timeoutMs: 40_000 });
      expect(seen.filter((event) => event.endsWith('after-restart'))).not.toEqual([]);
    } finally {
      stop.abort();
      await running;
    }
  }, 120_000);
});

describe('LeaderElector', () => {
  const fast = { namespace: 'default', durationMs: 3000, renewDeadlineMs: 2000, retryMs: 100 };

  function elector(name: string, identity: string, options: Partial<LeaderElectorOptions> = {}): LeaderElector {
    return new LeaderElector({ client, name, identity, ...fast, ...options });
  }

  it('elects one of two, and hands over when it stops', async () => {
    const [first, second] = [elector('hand-over', 'first'), elector('hand-over', 'second')];
    const [stopFirst, stopSecond] = [new AbortController(), new AbortController()];
    const runningFirst = first.run(stopFirst.signal);
    await waitUntil(() => first.isLeader());
    const runningSecond = second.run(stopSecond.signal);
    await delay(500);
    expect([first.isLeader(), second.isLeader()]).toEqual([true, false]);
    stopFirst.abort();
    await runningFirst;
    expect(first.isLeader()).toBe(false);
    await waitUntil(() => second.isLeader());
    stopSecond.abort();
    await runningSecond;
  });

  it('never has two leaders when one is stalled and comes back', async () => {
    // The stalled one's clock goes on while it does not renew: it gets no more turns.
    let isStalled = false;
    const stalling = new Proxy(client, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (property !== 'request' || typeof value !== 'function') return value;
        return async (...parameters: unknown[]): Promise<unknown> => {
          await waitUntil(() => !isStalled, { timeoutMs: 60_000 });
          return Reflect.apply(value, target, parameters) as unknown;
        };
      },
    });
    const first = elector('stall', 'first', { client: stalling });
    const second = elector('stall', 'second');
    const stop = new AbortController();
    const running = [first.run(stop.signal)];
    await waitUntil(() => first.isLeader());
    running.push(second.run(stop.signal));
    let both = 0;
    const watcher = setInterval(() => {
      if (first.isLeader() && second.isLeader()) both += 1;
    }, 1);
    try {
      isStalled = true;
      await waitUntil(() => second.isLeader());
      expect(first.isLeader()).toBe(false);
      isStalled = false;
      await delay(500);
      expect([first.isLeader(), second.isLeader()]).toEqual([false, true]);
      expect(both).toBe(0);
    } finally {
      clearInterval(watcher);
      isStalled = false;
      stop.abort();
      await Promise.all(running);
    }
  });

  it('stops acting when it cannot renew, and says so', async () => {
    const changes: boolean[] = [];
    let nowMs = 0;
    const alone = elector('expiry', 'alone', {
      monotonicMs: () => nowMs,
      onChange: (isLeader) => changes.push(isLeader),
    });
    const stop = new AbortController();
    const running = alone.run(stop.signal);
    await waitUntil(() => changes.length === 1);
    stop.abort();
    await running;
    expect(changes).toEqual([true, false]);
    nowMs += 1;
    expect(alone.isLeader()).toBe(false);
  });
});
