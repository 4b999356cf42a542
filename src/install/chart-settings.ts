import type { ClusterDns } from './detect-cluster-dns.js';
import { workloadFields } from './pod-template.js';

/** What the chart takes for granted of the cluster DNS. @see deploy/chart/values.yaml */
const DEFAULTS = { namespace: 'kube-system', deployment: 'coredns', configMap: 'coredns', label: 'kube-dns' };

/** What the chart has to be told of this cluster, each as Helm's `--set` takes it. */
export function chartSettings(dns: ClusterDns): readonly string[] {
  const { namespace, route, workload, corefile } = dns;
  const byJob: readonly (readonly [name: string, value: string | undefined, usual: string])[] = [
    ['deployment', workload?.name, DEFAULTS.deployment],
    ['configMap', corefile?.configMap, DEFAULTS.configMap],
  ];
  const names = [['namespace', namespace, DEFAULTS.namespace] as const, ...(route === 'configmap' ? byJob : [])];
  return [
    ...(route === 'configmap' ? [] : ['clusterDns.configure=false']),
    ...names.flatMap(([name, value = '', usual]) => (value === usual ? [] : [`clusterDns.${name}=${value}`])),
    ...(route === 'node-cache' ? ['networkPolicy.dnstapCidrs={NETWORK-OF-THE-NODES}'] : []),
    ...podLabels(dns),
  ];
}

/** By which the NetworkPolicy of the collector and monitoring know the pods of the cluster DNS. */
function podLabels({ workload }: ClusterDns): readonly string[] {
  const { selector, template } = (workload && workloadFields(workload.object).spec) ?? {};
  const label = template?.metadata?.labels?.['k8s-app'];
  if (label !== undefined) return label === DEFAULTS.label ? [] : [`clusterDns.podLabels.k8s-app=${label}`];
  const labels = Object.entries(selector?.matchLabels ?? {});
  const set = ([name, value]: readonly [string, string]): string =>
    `clusterDns.podLabels.${name.replaceAll('.', String.raw`\.`)}=${value}`;
  return labels.length === 0 ? [] : ['clusterDns.podLabels.k8s-app=null', ...labels.map(set)];
}
