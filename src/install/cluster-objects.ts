import type { KubernetesClient } from '../kubernetes/client.js';
import { KubernetesError } from '../kubernetes/kubernetes-error.js';
import { isKubernetesObject, type KubernetesObject, resourcePath } from '../kubernetes/kubernetes-object.js';
import { listResource } from '../kubernetes/list.js';

/** The kinds that detection looks at. */
export const OBJECT_KINDS = {
  ConfigMap: { group: '', version: 'v1', plural: 'configmaps' },
  CronJob: { group: 'batch', version: 'v1', plural: 'cronjobs' },
  DaemonSet: { group: 'apps', version: 'v1', plural: 'daemonsets' },
  Deployment: { group: 'apps', version: 'v1', plural: 'deployments' },
  MutatingWebhookConfiguration: {
    group: 'admissionregistration.k8s.io',
    version: 'v1',
    plural: 'mutatingwebhookconfigurations',
  },
  Namespace: { group: '', version: 'v1', plural: 'namespaces' },
  Node: { group: '', version: 'v1', plural: 'nodes' },
  // In the version that every Istio serves.
  ProxyConfig: { group: 'networking.istio.io', version: 'v1beta1', plural: 'proxyconfigs' },
  Service: { group: '', version: 'v1', plural: 'services' },
  Sidecar: { group: 'networking.istio.io', version: 'v1beta1', plural: 'sidecars' },
  StatefulSet: { group: 'apps', version: 'v1', plural: 'statefulsets' },
} as const;

export type ObjectKind = keyof typeof OBJECT_KINDS;

/** Where to read objects: a cluster, or a directory of files. */
export interface ClusterObjects {
  /** Empty where there are none. */
  list(kind: ObjectKind, namespace?: string): Promise<readonly KubernetesObject[]>;
  get(kind: ObjectKind, namespace: string, name: string): Promise<KubernetesObject | undefined>;
}

/**
 * The objects of the API server, read when they are asked for.
 *
 * @throws KubernetesError from each method; KUBERNETES_ERR_FORBIDDEN where a right is missing
 */
export function liveObjects(client: KubernetesClient, signal?: AbortSignal): ClusterObjects {
  const orAbsent = async <T>(reading: Promise<T>, absent: T): Promise<T> => {
    try {
      return await reading;
    } catch (err) {
      if (err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_NOT_FOUND') return absent;
      throw err;
    }
  };
  return {
    list: async (kind, namespace) => {
      const where = { ...(namespace !== undefined && { namespace }), ...(signal && { signal }) };
      const resource = OBJECT_KINDS[kind];
      // There may be no such kind: that of a custom resource definition.
      return (await orAbsent(listResource({ client, resource, ...where }), { items: [], resourceVersion: '' })).items;
    },
    get: async (kind, namespace, name) => {
      const path = resourcePath(OBJECT_KINDS[kind], { namespace, name });
      const answer = await orAbsent(client.request({ method: 'GET', path, ...(signal && { signal }) }), undefined);
      return isKubernetesObject(answer?.body) ? answer.body : undefined;
    },
  };
}

/** Whether a right is missing. */
export function isForbidden(err: unknown): boolean {
  return err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_FORBIDDEN';
}
