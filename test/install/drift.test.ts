import { insertTap } from '../../src/install/corefile/insert-tap.js';
import { DriftWatch } from '../../src/install/drift.js';
import { sha256 } from '../../src/install/dns-changes.js';
import { writeRecord, recordName } from '../../src/install/record.js';
import type { Deployment } from '../../src/install/dns-workload.js';
import { withSidecar } from '../../src/install/sidecar.js';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';

const COREFILE = '.:53 {\n    errors\n    forward . /etc/resolv.conf\n    reload\n}\n';
const ENDPOINT = 'unix:///run/istio-discovery/dnstap.sock';
const DNS = { namespace: 'kube-system', name: 'coredns' };

let server: KubeApiserver;
let client: KubernetesClient;
let watch: DriftWatch;
const { signal } = new AbortController();

const tapped = (corefile: string): string => {
  const insertion = insertTap(corefile, { endpoint: ENDPOINT });
  if (!('text' in insertion)) throw new Error(insertion.refused);
  return insertion.text;
};

const bare = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: DNS,
  spec: {
    selector: { matchLabels: { app: 'coredns' } },
    template: {
      metadata: { labels: { app: 'coredns' } },
      spec: { containers: [{ name: 'coredns', image: 'example.com/coredns:1.11.3' }] },
    },
  },
} as unknown as Deployment; // with the fields that the API server asks for

const sidecar = { container: { name: 'istio-discovery', image: 'example.com/istio-discovery' }, volumes: [] };
const complete = withSidecar(bare, { sidecar, coredns: 'coredns', native: true });

async function apply(object: object): Promise<void> {
  await server.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(object));
}

async function setCorefile(text: string): Promise<void> {
  await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: DNS, data: { Corefile: text } });
}

async function drifts(): Promise<readonly string[]> {
  await watch.look(signal);
  return watch.drifts;
}

async function events(): Promise<readonly string[]> {
  const path = '{range .items[*]}{.reason} {.regarding.kind}/{.regarding.name}{"\\n"}{end}';
  const text = await server.kubectl(['-n', 'kube-system', 'get', 'events.v1.events.k8s.io', '-o', `jsonpath=${path}`]);
  return text.split('\n').filter(Boolean).sort();
}

beforeAll(async () => {
  server = await startKubeApiserver();
  client = KubernetesClient.load({ kubeconfig: server.kubeconfigFile });
  watch = new DriftWatch({
    client,
    namespace: 'default',
    record: recordName('istio-discovery'),
    instance: 'test',
    mayTell: () => true,
    now: Date.now,
    log: createLogger({ level: 'error', format: 'json', stream: process.stderr, now: Date.now }),
  });
});

afterAll(async () => client.close());

it('has nothing to say where nothing is installed', async () => {
  expect(await drifts()).toEqual([]);
});

it('notices that the line or the sidecar is gone, and only that', async () => {
  await setCorefile(tapped(COREFILE));
  await apply(complete);
  await writeRecord(
    { client, namespace: 'default', name: recordName('istio-discovery'), fieldManager: 'test' },
    {
      mode: 'sidecar',
      endpoint: ENDPOINT,
      namespace: DNS.namespace,
      deployment: DNS.name,
      configMap: DNS.name,
      key: 'Corefile',
      original: COREFILE,
      written: sha256(tapped(COREFILE)),
      verified: true,
    },
    undefined,
  );
  expect(await drifts()).toEqual([]);
  await setCorefile(tapped(COREFILE).replace('errors', 'errors\n    log'));
  expect(await drifts()).toEqual([]); // the owner of the Corefile may change what is theirs
  await setCorefile(COREFILE);
  expect(await drifts()).toEqual(['corefile']);
  await server.kubectl(['-n', DNS.namespace, 'delete', 'deployment', DNS.name]);
  await apply(bare);
  expect(await drifts()).toEqual(['corefile', 'sidecar']);
  await setCorefile(tapped(COREFILE));
  expect(await drifts()).toEqual(['sidecar']);
  expect(await events()).toEqual([
    'DnstapLineMissing ConfigMap/coredns',
    'DnstapLineMissing ConfigMap/coredns',
    'SidecarMissing Deployment/coredns',
  ]);
});
