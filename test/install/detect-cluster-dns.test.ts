import { KubernetesError } from '../../src/kubernetes/kubernetes-error.js';
import type { ClusterObjects } from '../../src/install/cluster-objects.js';
import { detectClusterDns, type ClusterDns } from '../../src/install/detect-cluster-dns.js';
import { versionOfImage } from '../../src/install/image-version.js';
import { readOfflineObjects } from '../../src/install/offline-objects.js';
import { platformDirectory } from './platform.js';

async function detect(platform: string): Promise<ClusterDns> {
  return detectClusterDns(await readOfflineObjects(platformDirectory(platform)));
}

/** A platform's objects, of which one ConfigMap may not be read. */
async function withoutRight(platform: string, configMap: string): Promise<ClusterObjects> {
  const objects = await readOfflineObjects(platformDirectory(platform));
  return {
    ...objects,
    get: (kind, namespace, name) =>
      name === configMap
        ? Promise.reject(new KubernetesError('KUBERNETES_ERR_FORBIDDEN', name))
        : objects.get(kind, namespace, name),
  };
}

/** `kind platform route, workload (managedBy) ready/replicas version, ConfigMap/key, node cache`. */
function summary({ kind, platform, namespace, route, workload, version, corefile, nodeCache }: ClusterDns): string {
  const { kind: workloadKind, name, container, managedBy, readyReplicas, replicas } = workload ?? {};
  return [
    `${kind} on ${platform} by ${route}`,
    workload &&
      `${namespace}/${workloadKind}/${name}/${container} ${readyReplicas}/${replicas} of ${managedBy} ${version}`,
    corefile && `${corefile.configMap}/${corefile.key}`,
    nodeCache && `${nodeCache.kind} ${nodeCache.version} ${nodeCache.bypassesClusterDns}`,
  ]
    .filter(Boolean)
    .join(', ');
}

describe('what answers DNS in a cluster', () => {
  it.each([
    [
      'aks',
      'coredns on aks by coredns-custom, kube-system/Deployment/coredns/coredns 2/2 of aks v1.12.1-4, coredns/Corefile',
    ],
    [
      'aks-localdns',
      'coredns on aks by coredns-custom, kube-system/Deployment/coredns/coredns 2/2 of aks v1.12.1-4, coredns/Corefile, aks-localdns undefined true',
    ],
    [
      'coredns-chart',
      'coredns on unknown by configmap, kube-system/Deployment/dns-coredns/coredns 2/2 of Helm 1.13.2, dns-coredns/Corefile',
    ],
    [
      'coredns-daemonset',
      'coredns on unknown by by-hand, kube-system/DaemonSet/coredns/coredns 3/3 of undefined 1.11.4, coredns/Corefile',
    ],
    [
      'eks',
      'coredns on eks by eks-addon, kube-system/Deployment/coredns/coredns 2/2 of eks v1.11.4-eksbuild.2, coredns/Corefile',
    ],
    [
      'eks-self-managed',
      'coredns on eks by configmap, kube-system/Deployment/coredns/coredns 2/2 of undefined v1.11.4-eksbuild.2, coredns/Corefile',
    ],
    ['eks-auto', 'none on eks by none'],
    [
      'gardener',
      'coredns on unknown by coredns-custom, kube-system/Deployment/coredns/coredns 2/2 of undefined 1.12.3, coredns/Corefile',
    ],
    ['gke', 'kube-dns on gke by none, kube-system/Deployment/kube-dns/kubedns 2/2 of addon-manager undefined'],
    ['gke-cloud-dns', 'none on gke by none'],
    [
      'k3s',
      'coredns on k3s by coredns-custom, kube-system/Deployment/coredns/coredns 1/1 of k3s 1.12.1, coredns/Corefile',
    ],
    [
      'kind',
      'coredns on kind by configmap, kube-system/Deployment/coredns/coredns 2/2 of undefined v1.12.0, coredns/Corefile',
    ],
    [
      'kubeadm',
      'coredns on kubeadm by configmap, kube-system/Deployment/coredns/coredns 2/2 of undefined v1.11.3, coredns/Corefile',
    ],
    [
      'kubeadm-migrating',
      'coredns on kubeadm by configmap, kube-system/Deployment/coredns/coredns 1/2 of undefined v1.9.3, coredns/Corefile-backup',
    ],
    [
      'minikube',
      'coredns on minikube by configmap, kube-system/Deployment/coredns/coredns 1/1 of undefined v1.12.1, coredns/Corefile',
    ],
    [
      'node-local-dns',
      'coredns on kubeadm by configmap, kube-system/Deployment/coredns/coredns 2/2 of undefined v1.11.3, coredns/Corefile, node-local-dns 1.11.3 true',
    ],
    [
      'openshift',
      'coredns on openshift by none, openshift-dns/DaemonSet/dns-default/dns 6/6 of openshift undefined, dns-default/Corefile',
    ],
    [
      'rke2',
      'coredns on rke2 by helm-chart-config, kube-system/Deployment/rke2-coredns-rke2-coredns/coredns 2/2 of Helm v1.12.2-build20250611, rke2-coredns-rke2-coredns/Corefile',
    ],
    [
      'tapped',
      'coredns on kubeadm by configmap, kube-system/Deployment/coredns/coredns 0/2 of undefined undefined, coredns/Corefile',
    ],
    [
      'vcluster', // mounts coredns-custom, and would not read our key
      'coredns on unknown by configmap, kube-system/Deployment/coredns/coredns 1/1 of undefined 1.12.1, coredns/Corefile',
    ],
  ])('is told for %s', async (platform, expected) => {
    expect(summary(await detect(platform))).toBe(expected);
  });

  it('comes with the files that the Corefile imports, and with what it imports them as', async () => {
    const { corefile } = await detect('aks');
    expect([...(corefile?.files.keys() ?? [])]).toEqual(['/etc/coredns/custom/corp.server', 'custom/corp.server']);
  });

  it.each([
    ['registry.example.com:5000/coredns:v1.11.3', 'v1.11.3'],
    ['registry.example.com/coredns:1.11.3@sha256:01ab', '1.11.3'],
    ['registry.example.com:5000/coredns', undefined],
    ['registry.example.com/coredns@sha256:01ab', undefined],
    ['registry.example.com/coredns:latest', undefined],
  ])('has the version of image %s', (image, expected) => {
    expect(versionOfImage(image)).toBe(expected);
  });

  it('goes on without the files of an import, or of a node cache, that may not be read, and not without the Corefile', async () => {
    const k3s = await detectClusterDns(await withoutRight('k3s', 'coredns-custom'));
    expect(k3s).toMatchObject({ route: 'coredns-custom', corefile: { key: 'Corefile' } });
    expect(k3s.corefile?.directories).not.toContain('/etc/coredns/custom');
    const cached = await detectClusterDns(await withoutRight('node-local-dns', 'node-local-dns'));
    expect(cached.nodeCache).toEqual({
      kind: 'node-local-dns',
      name: 'node-local-dns',
      image: 'registry.k8s.io/dns/k8s-dns-node-cache:1.26.4',
      version: '1.11.3',
      bypassesClusterDns: true,
    });
    const blind = detectClusterDns(await withoutRight('k3s', 'coredns'));
    await expect(blind).rejects.toMatchObject({ code: 'KUBERNETES_ERR_FORBIDDEN' });
  });
});
