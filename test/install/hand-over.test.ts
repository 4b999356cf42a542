import { HandOver } from '../../src/install/hand-over.js';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { waitUntil } from '../support/wait-until.js';

let server: KubeApiserver;
let client: KubernetesClient;

beforeAll(async () => {
  server = await startKubeApiserver();
  client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
});

afterAll(async () => client.close());

function createHandOver(as = client): HandOver {
  const log = createLogger({ level: 'error', format: 'json', stream: process.stderr, now: Date.now });
  const { signal } = new AbortController();
  return new HandOver({ client: as, namespace: 'kube-system', labelSelector: 'k8s-app=kube-dns', log, signal });
}

/** A pod that no kubelet will ever remove: it stays as it is when it is deleted. */
async function createPod(name: string): Promise<void> {
  const metadata = { name, namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns', 'pod-template-hash': 'a' } };
  const spec = { nodeName: 'node', containers: [{ name: 'coredns', image: 'example.com/coredns' }] };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec };
  await server.kubectl(['create', '-f', '-'], JSON.stringify(pod));
}

async function removePod(name: string): Promise<void> {
  await server.kubectl(['-n', 'kube-system', 'delete', 'pod', name, '--wait=false']);
}

async function labelsOf(name: string): Promise<object> {
  return JSON.parse(
    await server.kubectl(['-n', 'kube-system', 'get', 'pod', name, '-o', 'jsonpath={.metadata.labels}']),
  ) as object;
}

describe('pods that a rollout replaces', () => {
  it('leave their Service while they still answer, and no other pod does', async () => {
    const handOver = createHandOver();
    await createPod('old');
    await createPod('new');
    expect(await handOver.takeOut()).toBe(true);
    await removePod('old');
    // What is on its way to it is answered first.
    expect(await handOver.takeOut()).toBe(false);
    expect(await labelsOf('old')).toEqual({ 'k8s-app': 'kube-dns', 'pod-template-hash': 'a' });
    await waitUntil(async () => handOver.takeOut(), { what: 'the end of the hand-over' });
    expect(await labelsOf('old')).toEqual({ 'pod-template-hash': 'a' });
    expect(await labelsOf('new')).toEqual({ 'k8s-app': 'kube-dns', 'pod-template-hash': 'a' });
  });

  it('leave it as well when they began to end before anybody looked', async () => {
    await createPod('ending');
    await removePod('ending');
    await waitUntil(async () => createHandOver().takeOut(), { what: 'the end of the hand-over' });
    expect(await labelsOf('ending')).toEqual({ 'pod-template-hash': 'a' });
  });

  it('end as they always did where the account may not change them', async () => {
    await server.kubectl(['create', 'serviceaccount', 'reader']);
    await server.kubectl(['create', 'clusterrole', 'pod-reader', '--verb=list', '--resource=pods']);
    await server.kubectl([
      'create',
      'clusterrolebinding',
      'r',
      '--clusterrole=pod-reader',
      '--serviceaccount=default:reader',
    ]);
    const kubeconfig = await server.kubeconfigOf('reader', 'default');
    const reader = KubernetesClient.load({ kubeconfig });
    const handOver = createHandOver(reader);
    await createPod('kept');
    await removePod('kept');
    await waitUntil(async () => handOver.takeOut(), { what: 'the end of the hand-over' });
    expect(await labelsOf('kept')).toEqual({ 'k8s-app': 'kube-dns', 'pod-template-hash': 'a' });
    await reader.close();
  });
});
