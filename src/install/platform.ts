import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { labelsOf } from './pod-template.js';

/** Who runs the cluster, as far as it decides how its DNS may be changed. */
export const PLATFORMS = [
  'aks',
  'eks',
  'gke',
  'k3s',
  'kind',
  'kubeadm',
  'minikube',
  'openshift',
  'rke2',
  'unknown',
] as const;
export type Platform = (typeof PLATFORMS)[number];

export interface PlatformEvidence {
  readonly nodes: readonly KubernetesObject[];
  /** Whether `kube-system/kubeadm-config` exists. */
  readonly hasKubeadmConfig: boolean;
  /** Whether the cluster DNS is a DaemonSet of `openshift-dns`. */
  readonly isOpenshiftDns: boolean;
}

/** The platform by what its nodes say of themselves, in the order from the surest sign. */
export function detectPlatform({ nodes, hasKubeadmConfig, isOpenshiftDns }: PlatformEvidence): Platform {
  if (isOpenshiftDns) return 'openshift';
  for (const node of nodes) {
    const platform = platformOfNode(node);
    if (platform !== undefined) return platform;
  }
  return hasKubeadmConfig ? 'kubeadm' : 'unknown';
}

const LABELS: readonly (readonly [label: string, platform: Platform])[] = [
  ['kubernetes.azure.com/cluster', 'aks'],
  ['eks.amazonaws.com/nodegroup', 'eks'],
  ['eks.amazonaws.com/compute-type', 'eks'],
  ['cloud.google.com/gke-nodepool', 'gke'],
  ['minikube.k8s.io/version', 'minikube'],
];

const KUBELET_VERSIONS: readonly (readonly [pattern: RegExp, platform: Platform])[] = [
  [/\+k3s\d/, 'k3s'],
  [/\+rke2r\d/, 'rke2'],
  [/-eks-/, 'eks'],
  [/-gke\./, 'gke'],
];

interface NodeFields {
  readonly spec?: { readonly providerID?: string };
  readonly status?: { readonly nodeInfo?: { readonly kubeletVersion?: string } };
}

function platformOfNode(node: KubernetesObject): Platform | undefined {
  const labels = labelsOf(node);
  const { providerID = '' } = (node as NodeFields).spec ?? {}; // every field is optional
  if (providerID.startsWith('kind://')) return 'kind';
  const byLabel = LABELS.find(([label]) => labels[label] !== undefined)?.[1];
  return byLabel ?? KUBELET_VERSIONS.find(([pattern]) => pattern.test(kubeletVersion(node)))?.[1];
}

/** Such as `v1.31.4+k3s1`; empty if the node does not say. */
export function kubeletVersion(node: KubernetesObject): string {
  return (node as NodeFields).status?.nodeInfo?.kubeletVersion ?? ''; // every field is optional
}
