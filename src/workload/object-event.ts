import type { KubernetesObject } from './kubernetes-object.js';

export const OBJECT_EVENT_TYPES = ['ADDED', 'MODIFIED', 'DELETED'] as const;
export type ObjectEventType = (typeof OBJECT_EVENT_TYPES)[number];

/** A change of a Kubernetes object, from a live watch or from a file. */
export interface ObjectEvent {
  /** When it was heard of (Unix milliseconds); for an object of a list without a time, its own start. */
  readonly atMs: number;
  readonly type: ObjectEventType;
  readonly object: KubernetesObject;
}
