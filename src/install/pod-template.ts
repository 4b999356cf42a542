import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';

/** The fields of a Deployment or DaemonSet that detection looks at. All may be absent: a file may hold anything. */
export interface WorkloadFields {
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly template?: {
      readonly metadata?: TemplateMetadata;
      readonly spec?: PodSpecFields;
    };
    /** Of a CronJob. */
    readonly jobTemplate?: { readonly spec?: { readonly template?: { readonly metadata?: TemplateMetadata } } };
  };
  readonly status?: {
    readonly readyReplicas?: number;
    readonly numberReady?: number;
    readonly desiredNumberScheduled?: number;
  };
}

interface TemplateMetadata {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface PodSpecFields {
  readonly containers?: readonly ContainerFields[];
  readonly initContainers?: readonly ContainerFields[];
  readonly volumes?: readonly VolumeFields[];
}

export interface ContainerFields {
  readonly name?: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name?: string; readonly value?: string }[];
  readonly volumeMounts?: readonly { readonly name?: string; readonly mountPath?: string; readonly subPath?: string }[];
}

export interface VolumeFields {
  readonly name?: string;
  readonly configMap?: {
    readonly name?: string;
    readonly items?: readonly { readonly key?: string; readonly path?: string }[];
    readonly optional?: boolean;
  };
}

/** A workload's fields, unchecked: what the API server gives, or what a file holds. */
export function workloadFields(object: KubernetesObject): WorkloadFields {
  return object as WorkloadFields; // every field is optional, and read with `?.`
}

export function podSpec(object: KubernetesObject): PodSpecFields {
  return workloadFields(object).spec?.template?.spec ?? {};
}

/** Annotations that the pods of a workload get. */
export function annotationsOfPods(object: KubernetesObject): Readonly<Record<string, string>> {
  const { template, jobTemplate } = workloadFields(object).spec ?? {};
  return (template ?? jobTemplate?.spec?.template)?.metadata?.annotations ?? {};
}

export function labelsOf(object: KubernetesObject): Readonly<Record<string, string>> {
  return (object.metadata['labels'] ?? {}) as Readonly<Record<string, string>>; // labels are text in the API
}

/** Texts of a ConfigMap by key. */
export function configMapData(object: KubernetesObject | undefined): Readonly<Record<string, string>> {
  return (object?.['data'] ?? {}) as Readonly<Record<string, string>>; // data is text in the API
}

/** The names of those who wrote the object, as the API server keeps them. */
export function fieldManagersOf(object: KubernetesObject): readonly string[] {
  const managed = object.metadata['managedFields'];
  if (!Array.isArray(managed)) return [];
  return managed.map((entry: { readonly manager?: unknown }) =>
    typeof entry.manager === 'string' ? entry.manager : '',
  );
}
