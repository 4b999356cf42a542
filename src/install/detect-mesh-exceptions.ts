import { parse } from 'yaml';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import type { ClusterObjects, ObjectKind } from './cluster-objects.js';
import { annotationsOfPods } from './pod-template.js';

/** A Sidecar object, as far as it decides what its pods may reach. */
export interface SidecarSettings {
  /** `namespace/name` */
  readonly sidecar: string;
  /** Absent where that of the mesh holds. */
  readonly outboundTrafficPolicy?: string;
  /** Whether its pods see every ServiceEntry of their own namespace, as far as they are exported. */
  readonly importsOwnNamespace: boolean;
}

/** What parts of the mesh have set for themselves. */
export interface MeshExceptions {
  /** `namespace/Kind/name` of workloads and ProxyConfigs that switch DNS capture on, or off, whatever the mesh has. */
  readonly dnsCapture: { readonly on: readonly string[]; readonly off: readonly string[] };
  readonly sidecars: readonly SidecarSettings[];
}

const WORKLOADS: readonly ObjectKind[] = ['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob'];
const PROXY_CONFIG_ANNOTATION = 'proxy.istio.io/config';
const DNS_CAPTURE = 'ISTIO_META_DNS_CAPTURE';

/** Reads pod templates, ProxyConfigs and Sidecars of all namespaces. */
export async function detectMeshExceptions(objects: ClusterObjects): Promise<MeshExceptions> {
  const on: string[] = [];
  const off: string[] = [];
  const sort = (object: KubernetesObject, kind: ObjectKind, metadata: Metadata | undefined): void => {
    const capture = metadata?.[DNS_CAPTURE];
    if (capture === undefined) return;
    (capture === true || capture === 'true' ? on : off).push(
      `${object.metadata.namespace}/${kind}/${object.metadata.name}`,
    );
  };
  for (const kind of WORKLOADS) {
    for (const object of await objects.list(kind)) sort(object, kind, proxyMetadata(object));
  }
  for (const object of await objects.list('ProxyConfig')) {
    sort(object, 'ProxyConfig', (object as ProxyConfigFields).spec?.environmentVariables);
  }
  const sidecars = (await objects.list('Sidecar')).map(sidecarSettings);
  return {
    dnsCapture: { on: on.sort(), off: off.sort() },
    sidecars: sidecars.sort((a, b) => (a.sidecar < b.sidecar ? -1 : 1)),
  };
}

type Metadata = Readonly<Record<string, unknown>>;

/** Every field is optional: a file may hold anything. */
interface ProxyConfigFields {
  readonly spec?: { readonly environmentVariables?: Metadata };
}

/** What the annotation of the pods sets for their proxies. */
function proxyMetadata(workload: KubernetesObject): Metadata | undefined {
  const text = annotationsOfPods(workload)[PROXY_CONFIG_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    return (parse(text) as { readonly proxyMetadata?: Metadata } | null)?.proxyMetadata;
  } catch {
    return undefined; // Istio does not inject into such a pod
  }
}

interface SidecarFields {
  readonly spec?: {
    readonly outboundTrafficPolicy?: { readonly mode?: string };
    readonly egress?: readonly { readonly hosts?: readonly string[] }[];
  };
}

function sidecarSettings(object: KubernetesObject): SidecarSettings {
  const { namespace = '', name } = object.metadata;
  const { outboundTrafficPolicy, egress } = (object as SidecarFields).spec ?? {};
  const hosts = egress?.flatMap((listener) => listener.hosts ?? []);
  const whole = ['./*', '*/*', `${namespace}/*`];
  return {
    sidecar: `${namespace}/${name}`,
    ...(outboundTrafficPolicy?.mode !== undefined && { outboundTrafficPolicy: outboundTrafficPolicy.mode }),
    // Without egress the import of the whole mesh holds.
    importsOwnNamespace: hosts === undefined || hosts.some((host) => whole.includes(host)),
  };
}
