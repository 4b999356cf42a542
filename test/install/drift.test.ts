import { readFileSync, writeFileSync } from 'node:fs';
import { insertTap } from '../../src/install/corefile/insert-tap.js';
import { DriftWatch } from '../../src/install/drift-watch.js';
import { sha256 } from '../../src/install/dns-changes.js';
import { type InstallRecord, readRecord, recordName, writeRecord } from '../../src/install/record.js';
import type { Deployment } from '../../src/install/dns-workload.js';
import { withSidecar } from '../../src/install/sidecar.js';
import { viewInstallation } from '../../src/install/view-installation.js';
import { KubernetesClient } from '../../src/kubernetes/client.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { startKubeApiserver, type KubeApiserver } from '../support/kube-apiserver.js';
import { runProgram } from '../support/program.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

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

const RECORD: InstallRecord = {
  mode: 'sidecar',
  endpoint: ENDPOINT,
  namespace: DNS.namespace,
  deployment: DNS.name,
  configMap: DNS.name,
  key: 'Corefile',
  original: COREFILE,
  written: sha256(tapped(COREFILE)),
  verified: true,
};

async function keepRecord(fields: Partial<InstallRecord>): Promise<void> {
  const location = { client, namespace: 'default', name: recordName('istio-discovery'), fieldManager: 'test' };
  await writeRecord(location, { ...RECORD, ...fields }, (await readRecord(location))?.object);
}

const view = async (): Promise<object> =>
  viewInstallation({ client, namespace: 'default', owner: 'istio-discovery', nowMs: Date.now() });

/** What `status` prints. */
async function status(...args: readonly string[]): Promise<string> {
  const store = ['--store', `embedded://${createTemporaryDirectory().file('store')}`];
  return (await runProgram('status', ...store, '--namespace', 'default', ...args)).stdout;
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
  expect(await view()).toEqual({ state: 'absent' });
});

it('notices that the line or the sidecar is gone, and only that', async () => {
  await setCorefile(tapped(COREFILE));
  await apply(complete);
  await keepRecord({});
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

it('says what is gone, and whether it was tried to put it right', async () => {
  const place = { mode: 'sidecar', namespace: DNS.namespace, deployment: DNS.name, configMap: DNS.name };
  expect(await view()).toEqual({ state: 'drifted', ...place, drifts: ['sidecar'] });
  const lastAtMs = Date.UTC(2026, 0, 31);
  await keepRecord({ repairs: { attempts: 2, lastAtMs } });
  expect(await view()).toMatchObject({ repairs: { attempts: 2, lastAtMs, givenUp: false } });
  await keepRecord({ repairs: { attempts: 5, lastAtMs } });
  expect(await view()).toMatchObject({ repairs: { attempts: 5, lastAtMs, givenUp: true } });
  expect(watch.repairAttempts).toBe(0); // at its last look
  expect(await drifts()).toEqual(['sidecar']);
  expect(watch.repairAttempts).toBe(5);
  expect(await events()).toContain('RepairGivenUp Deployment/coredns');
});

it('is part of what `status` prints, where a cluster is named', async () => {
  const text = await status('--kubeconfig', server.kubeconfigFile);
  expect(text).toContain('CoreDNS (mode sidecar) is not as it was left: the container is not in');
  expect(text).toContain('Put right 5 times, last at 2026-01-31 00:00:00; given up');
  const kubeconfig = createTemporaryDirectory().file('kubeconfig');
  const unreachable = readFileSync(server.kubeconfigFile, 'utf8').replace(server.url, 'https://127.0.0.1:1');
  writeFileSync(kubeconfig, unreachable, { mode: 0o600 });
  const unasked = await status('--kubeconfig', kubeconfig, '-o', 'json');
  expect(JSON.parse(unasked)).toMatchObject({ clusterDns: { state: 'unreadable' } });
  expect(JSON.parse(await status('-o', 'json'))).not.toHaveProperty('clusterDns');
});

it('has nothing to compare while an installer is at work', async () => {
  await keepRecord({ verified: false });
  expect(await view()).toMatchObject({ state: 'installing', drifts: [] });
});
