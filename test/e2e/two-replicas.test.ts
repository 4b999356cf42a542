import { openRedisStore } from '../../src/host/redis-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { lookUpOf } from '../observation/look-up.js';
import { startApiProxy, type ApiProxy } from '../support/api-proxy.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { startProgram, type Program } from '../support/program.js';
import { startRedis } from '../support/redis.js';
import { createRunningPod } from '../support/running-pod.js';
import { waitUntil } from '../support/wait-until.js';

/** A replica, and what it asks of the API server. */
interface Replica {
  readonly program: Program;
  readonly proxy: ApiProxy;
}

const POD_ADDRESS = '10.244.0.7';

let server: KubeApiserver;
let store: HostStore;
let learning: NodeJS.Timeout;
let replicas: readonly Replica[];

beforeAll(async () => {
  const [apiServer, redis] = await Promise.all([startKubeApiserver({ crds: 'istio-crds' }), startRedis()]);
  server = apiServer;
  store = openRedisStore({ url: redis.url, onConnection: () => undefined });
  await server.kubectl(['create', 'namespace', 'shop']);
  await createRunningPod(server, { namespace: 'shop', name: 'web', podIp: POD_ADDRESS });
  replicas = await Promise.all([startReplica(redis.url), startReplica(redis.url)]);
  learning = learn();
}, 120_000);

afterAll(async () => {
  clearInterval(learning);
  await store.close();
});

async function startReplica(redisUrl: string): Promise<Replica> {
  const proxy = await startApiProxy(server);
  const args = ['--store', redisUrl, '--kubeconfig', proxy.kubeconfigFile, '--reconcile-leader-election', 'true'];
  return { proxy, program: await startProgram('reconcile', [...args, '--reconcile-interval-ms', '200']) };
}

/** A new host every now and then, so that whoever leads always has something to write. */
function learn(): NodeJS.Timeout {
  let sequence = 0;
  return setInterval(() => {
    sequence += 1;
    const observation = lookUpOf(`host-${sequence}.example.com`, POD_ADDRESS);
    void store.record({ source: 'test', sequence, observations: [observation], rejections: [] });
  }, 250);
}

/** Stops a replica between the dry run of an entry and its write: when it goes on, the write is the next thing to do. */
async function stallInMidWrite({ program, proxy }: Replica): Promise<void> {
  await new Promise<void>((resolve) => {
    proxy.inject = ({ method, url }) => {
      if (method !== 'PATCH' || !url.includes('dryRun')) return undefined;
      void program.kill('SIGSTOP'); // sent before the request goes on to the API server
      proxy.inject = () => undefined;
      resolve();
      return undefined;
    };
  });
}

const isWrite = ({ method, url }: { method: string; url: string }): boolean =>
  (method === 'PATCH' || method === 'DELETE') && url.includes('/serviceentries/') && !url.includes('dryRun');

const writesOf = ({ proxy }: Replica): readonly number[] => proxy.requests.filter(isWrite).map(({ atMs }) => atMs);

const leaseRequestsOf = ({ proxy }: Replica): number =>
  proxy.requests.filter(({ url }) => url.includes('/leases')).length;

async function leaseHolder(): Promise<string> {
  return server.kubectl(['get', 'lease', 'istio-discovery', '-o', 'jsonpath={.spec.holderIdentity}']);
}

it('only one of two replicas writes, also when the leader was stalled and goes on after the other has taken over', async () => {
  const leader = await waitUntil(() => replicas.find((replica) => writesOf(replica).length > 2));
  const follower = replicas.find((replica) => replica !== leader) ?? leader;
  expect(writesOf(follower)).toEqual([]);

  await stallInMidWrite(leader);
  await waitUntil(() => writesOf(follower).length > 0, { timeoutMs: 60_000, what: 'the other to take over' });
  const asked = leaseRequestsOf(leader);
  await leader.program.kill('SIGCONT');
  await waitUntil(() => leaseRequestsOf(leader) > asked + 1, { what: 'the stalled one to look at the Lease' });
  const written = writesOf(follower).length;
  await waitUntil(() => writesOf(follower).length > written + 5, { what: 'the new leader to go on' });

  const firstOfFollower = Math.min(...writesOf(follower));
  expect(writesOf(leader).filter((atMs) => atMs >= firstOfFollower)).toEqual([]);

  // And now the other way round, in good order: who ends gives the Lease back, after its last write.
  const holder = await leaseHolder();
  const before = writesOf(leader).length;
  await follower.program.stop();
  expect(await leaseHolder()).not.toBe(holder);
  const release = follower.proxy.requests
    .filter(({ method, url }) => method === 'PUT' && url.includes('/leases'))
    .at(-1);
  expect(Math.max(...writesOf(follower))).toBeLessThan(release?.atMs ?? 0);
  await waitUntil(() => writesOf(leader).length > before, { what: 'the first leader to lead again' });
}, 120_000);
