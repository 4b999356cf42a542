import { parse } from 'yaml';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import type { ClusterObjects } from './cluster-objects.js';
import { detectMeshExceptions, type MeshExceptions } from './detect-mesh-exceptions.js';
import { versionOfImage } from './image-version.js';
import { configMapData, labelsOf, podSpec } from './pod-template.js';

/** One control plane. Several revisions may run side by side. */
export interface IstioRevision {
  /** `default` if it has no name. */
  readonly revision: string;
  /** As the tag of its image has it. */
  readonly version?: string;
  /** Of the whole mesh; see `exceptions`. */
  readonly outboundTrafficPolicy: string;
  /** Whether sidecars answer names of ServiceEntries themselves, for the whole mesh; see `exceptions`. */
  readonly dnsCapture: boolean;
}

/** What the mesh is, as far as it decides what look-ups CoreDNS sees and what ServiceEntries do. */
export interface Istio {
  readonly namespace: string;
  readonly revisions: readonly IstioRevision[];
  readonly ambient?: { readonly version?: string; readonly dnsCapture: boolean };
  /** Namespaces with sidecar injection, and those in ambient mode, by their labels. */
  readonly sidecarNamespaces: number;
  readonly ambientNamespaces: number;
  readonly exceptions: MeshExceptions;
}

const NAMESPACES = ['istio-system', 'aks-istio-system'] as const;
const CNI_NAMESPACES = ['istio-system', 'kube-system'] as const;
const DEFAULT_POLICY = 'ALLOW_ANY';

/** Finds Istio in the cluster; undefined where there is no istiod. */
export async function detectIstio(objects: ClusterObjects): Promise<Istio | undefined> {
  for (const namespace of NAMESPACES) {
    const istiods = (await objects.list('Deployment', namespace)).filter((each) => labelsOf(each)['app'] === 'istiod');
    if (istiods.length === 0) continue;
    const revisions: IstioRevision[] = [];
    for (const istiod of istiods) revisions.push(await readRevision(objects, istiod));
    const ambient = await readAmbient(objects);
    const namespaces = await objects.list('Namespace');
    return {
      namespace,
      revisions: revisions.sort((a, b) => (a.revision < b.revision ? -1 : 1)),
      ...(ambient && { ambient }),
      sidecarNamespaces: namespaces.filter(hasInjection).length,
      ambientNamespaces: namespaces.filter((each) => labelsOf(each)['istio.io/dataplane-mode'] === 'ambient').length,
      exceptions: await detectMeshExceptions(objects),
    };
  }
  return undefined;
}

function hasInjection(namespace: KubernetesObject): boolean {
  const labels = labelsOf(namespace);
  return labels['istio-injection'] === 'enabled' || labels['istio.io/rev'] !== undefined;
}

/** The fields of the mesh configuration that matter here. */
interface MeshFields {
  readonly outboundTrafficPolicy?: { readonly mode?: string };
  readonly defaultConfig?: { readonly proxyMetadata?: Readonly<Record<string, unknown>> };
}

async function readRevision(objects: ClusterObjects, istiod: KubernetesObject): Promise<IstioRevision> {
  const revision = /^istiod-(.+)$/.exec(istiod.metadata.name)?.[1] ?? 'default';
  const name = revision === 'default' ? 'istio' : `istio-${revision}`;
  const configMap = await objects.get('ConfigMap', istiod.metadata.namespace ?? '', name);
  const version = versionOfImage(podSpec(istiod).containers?.[0]?.image ?? '');
  return {
    revision,
    ...(version !== undefined && { version }),
    ...meshSettings(configMapData(configMap)['mesh'] ?? ''),
  };
}

function meshSettings(mesh: string): Pick<IstioRevision, 'dnsCapture' | 'outboundTrafficPolicy'> {
  const { outboundTrafficPolicy, defaultConfig } = (parse(mesh) ?? {}) as MeshFields; // every field is optional
  return {
    outboundTrafficPolicy: outboundTrafficPolicy?.mode ?? DEFAULT_POLICY,
    dnsCapture: String(defaultConfig?.proxyMetadata?.['ISTIO_META_DNS_CAPTURE']) === 'true',
  };
}

async function readAmbient(objects: ClusterObjects): Promise<Istio['ambient']> {
  for (const namespace of CNI_NAMESPACES) {
    const ztunnel = (await objects.list('DaemonSet', namespace)).find(({ metadata }) => metadata.name === 'ztunnel');
    if (ztunnel === undefined) continue;
    const version = versionOfImage(podSpec(ztunnel).containers?.[0]?.image ?? '');
    return { ...(version !== undefined && { version }), dnsCapture: await hasAmbientCapture(objects) };
  }
  return undefined;
}

/** On unless it is switched off (since Istio 1.25). */
async function hasAmbientCapture(objects: ClusterObjects): Promise<boolean> {
  for (const namespace of CNI_NAMESPACES) {
    const configMap = await objects.get('ConfigMap', namespace, 'istio-cni-config');
    if (configMap !== undefined) return configMapData(configMap)['AMBIENT_DNS_CAPTURE'] !== 'false';
  }
  return true;
}
