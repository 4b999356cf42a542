import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../support/command.js';
import { createHelm } from '../support/helm.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

export const CHART = join(ROOT, 'deploy/chart');
export const RELEASE = 'istio-discovery';

/** What the tests look at in an object. */
export interface RenderedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: {
    readonly automountServiceAccountToken: boolean;
    readonly enableServiceLinks: boolean;
    readonly containers: readonly {
      readonly image: string;
      readonly args?: readonly string[];
      readonly readinessProbe: object;
      readonly resources: object;
      readonly env?: readonly { readonly name: string }[];
    }[];
  };
}

/** Values of the chart, from nothing to nearly everything set. Together they reach every branch of the templates. */
export const VALUE_SETS: Readonly<Record<string, object>> = {
  plain: {},
  replicated: {
    image: { repository: 'example.com/istio-discovery', digest: `sha256:${'a'.repeat(64)}` },
    imagePullSecrets: ['example'],
    collector: {
      replicas: 3,
      service: { port: 6001, clusterIP: '10.96.0.77' },
      allowedAddresses: ['192.0.2.0/24', '2001:db8::/32'],
    },
    reconciler: { replicas: 3 },
    redis: { bundled: { persistence: { storageClass: 'example', size: '5Gi' }, maxMemoryMi: 1024 } },
    config: {
      observation: { maxPairs: 16_777_216, clusterCidrs: ['192.0.2.0/24', '2001:db8::/32'], internalZones: ['no'] },
      istio: { exportTo: ['*'] },
    },
    networkPolicy: { metricsNamespaces: ['monitoring'], dnstapCidrs: ['192.0.2.0/24', '2001:db8::/32'] },
    topologySpread: 'DoNotSchedule',
    tolerations: [{ key: 'example', operator: 'Exists', effect: 'NoSchedule' }],
  },
  'external-redis': {
    redis: {
      bundled: { enabled: false },
      external: {
        existingSecret: 'example',
        key: 'address',
        passwordKey: 'password',
        sentinelPasswordKey: 'sentinel-password',
        tls: { existingSecret: 'certificates', clientCertificate: true, serverName: 'redis.example.com' },
      },
    },
  },
  monitored: {
    monitoring: {
      serviceMonitor: { enabled: true, labels: { release: 'example' } },
      prometheusRule: { enabled: true, labels: { release: 'example' } },
      dashboard: { enabled: true },
    },
  },
  sidecar: {
    mode: 'sidecar',
    monitoring: { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true } },
    clusterDns: { repair: true },
    config: { observation: { maxPairs: 16_777_216, internalZones: ['no', 'corp.example.com'] } },
  },
  bare: {
    collector: { replicas: 1 },
    reconciler: { serviceAccountName: 'example', namespaces: ['default', 'kube-system'] },
    redis: { bundled: { existingSecret: 'example', persistence: { enabled: false } } },
    networkPolicy: { enabled: false },
    podDisruptionBudget: false,
    clusterDns: { configure: false },
  },
};

/** Renders the chart without a cluster; the same values in the same namespace only once. */
export async function createRenderer(): Promise<
  (values: object, namespace?: string) => Promise<readonly RenderedObject[]>
> {
  const helm = await createHelm();
  const rendered = new Map<string, Promise<readonly RenderedObject[]>>();
  const render = async (values: object, namespace: string): Promise<readonly RenderedObject[]> => {
    const version = ['--kube-version', 'v1.36.0']; // helm's own idea of a cluster depends on how it was built
    const file = valuesFile(values);
    return parseObjects(await helm('template', RELEASE, CHART, '--namespace', namespace, '--values', file, ...version));
  };
  return async (values, namespace = RELEASE) => {
    const key = JSON.stringify([values, namespace]);
    const objects = rendered.get(key) ?? render(values, namespace);
    rendered.set(key, objects);
    return objects;
  };
}

export function valuesFile(values: object): string {
  const file = createTemporaryDirectory().file('values.yaml');
  writeFileSync(file, JSON.stringify(values)); // JSON is YAML, and leaves no word to be taken for something else
  return file;
}

export function parseObjects(text: string): readonly RenderedObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as RenderedObject | null) // the chart's own objects
    .filter((object) => object !== null);
}

export function findObject(objects: readonly RenderedObject[], kind: string, name: string): RenderedObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined)
    throw new Error(`no ${kind} ${name} among ${objects.map((o) => o.metadata.name).join(', ')}`);
  return found;
}

/** The pod template of a Deployment or StatefulSet. */
export function podTemplate(object: RenderedObject): PodTemplate {
  return object.spec?.['template'] as PodTemplate; // the API server has accepted it in another test
}
