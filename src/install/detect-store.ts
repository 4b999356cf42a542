import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import type { ClusterObjects } from './cluster-objects.js';
import { configMapData, labelsOf, workloadFields } from './pod-template.js';
import type { StoreReport } from './store-report.js';

/** The Redis that the chart brings along, by its objects: nobody outside its namespace may connect to it. */
export async function detectStore(objects: ClusterObjects, namespace: string): Promise<StoreReport | undefined> {
  const statefulSet = (await objects.list('StatefulSet', namespace)).find(isOurRedis);
  if (statefulSet === undefined) return undefined;
  const configMap = (await objects.list('ConfigMap', namespace)).find(isOurRedis);
  const settings = configMapData(configMap)['redis.conf'] ?? '';
  const evictionPolicy = setting(settings, 'maxmemory-policy');
  const isReady = (workloadFields(statefulSet).status?.readyReplicas ?? 0) > 0;
  return {
    kind: 'redis',
    reachable: isReady,
    ...(!isReady && { reason: `StatefulSet ${namespace}/${statefulSet.metadata.name} is not ready` }),
    ...(configMap && { persistence: persistenceOf(settings) }),
    ...(evictionPolicy !== undefined && { evictionPolicy }),
  };
}

function isOurRedis(object: KubernetesObject): boolean {
  const labels = labelsOf(object);
  return labels['app.kubernetes.io/name'] === 'istio-discovery' && labels['app.kubernetes.io/component'] === 'redis';
}

function persistenceOf(settings: string): NonNullable<StoreReport['persistence']> {
  if (setting(settings, 'appendonly') === 'yes') return 'append-only file';
  const save = setting(settings, 'save');
  return save === undefined || save === '""' ? 'none' : 'snapshots';
}

function setting(settings: string, name: string): string | undefined {
  return new RegExp(`^${name} (.*)$`, 'm').exec(settings)?.[1];
}
