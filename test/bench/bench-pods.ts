import type { KubernetesClient } from '../../src/kubernetes/client.js';
import type { KubernetesObject } from '../../src/kubernetes/kubernetes-object.js';
import type { KubeApiserver } from '../support/kube-apiserver.js';
import { BenchObjects, timeText, type BenchCopy } from './bench-objects.js';

export interface BenchPodsOptions {
  readonly server: KubeApiserver;
  readonly client: KubernetesClient;
  readonly namespaceOf: (index: number) => string;
}

/** Pods of some 6 kB each, by number. */
export class BenchPods {
  readonly #objects: BenchObjects;
  readonly #namespaceOf: (index: number) => string;

  private constructor(objects: BenchObjects, namespaceOf: (index: number) => string) {
    this.#objects = objects;
    this.#namespaceOf = namespaceOf;
  }

  static async open(options: BenchPodsOptions): Promise<BenchPods> {
    const { server, namespaceOf } = options;
    return new BenchPods(new BenchObjects(server, '/registry/pods', await createTemplate(options)), namespaceOf);
  }

  /** As after the create of a client. */
  async create(indexes: readonly number[]): Promise<void> {
    await this.#put(indexes, () => ({ phase: 'Pending', qosClass: 'BestEffort' }));
  }

  /** As after the kubelet's report: it has an address. */
  async start(indexes: readonly number[]): Promise<void> {
    await this.#put(indexes, (index) => {
      const podIP = addressOf(index);
      return { phase: 'Running', qosClass: 'BestEffort', podIP, podIPs: [{ ip: podIP }], startTime: timeText() };
    });
  }

  async delete(indexes: readonly number[]): Promise<void> {
    await this.#objects.delete(indexes.map((index) => this.#copyOf(index)));
  }

  async #put(indexes: readonly number[], statusOf: (index: number) => object): Promise<void> {
    await this.#objects.put(indexes.map((index) => ({ ...this.#copyOf(index), fields: { status: statusOf(index) } })));
  }

  #copyOf(index: number): BenchCopy {
    return { name: `web-5d9c7b8f6d-${index}`, namespace: this.#namespaceOf(index) };
  }
}

/** Address of the pod of that number. */
export function addressOf(index: number): string {
  return `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

async function createTemplate({ client, namespaceOf }: BenchPodsOptions): Promise<KubernetesObject> {
  const namespace = namespaceOf(0);
  const name = 'template';
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const environment = Array.from({ length: 20 }, (_, at) => ({ name: `SETTING_${at}`, value: 'x'.repeat(60) }));
  const metadata = { name, namespace, labels: { app: 'web', 'pod-template-hash': '5d9c7b8f6d' } };
  const spec = { nodeName: 'node-1', containers: [{ name: 'main', image: 'example.com/main:1', env: environment }] };
  await client.request({ method: 'POST', path, body: { apiVersion: 'v1', kind: 'Pod', metadata, spec } });
  const { body } = await client.request({
    method: 'PATCH',
    path: `${path}/${name}/status`,
    contentType: 'application/merge-patch+json',
    body: { status: { phase: 'Running', podIP: '192.0.2.1', podIPs: [{ ip: '192.0.2.1' }] } },
  });
  await client.request({ method: 'DELETE', path: `${path}/${name}`, query: { gracePeriodSeconds: 0 } });
  return body as KubernetesObject; // of a Pod
}
