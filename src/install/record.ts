import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { createObject, readObject, replaceObject } from '../kubernetes/objects.js';
import { deleteObject } from '../kubernetes/write.js';
import { CONFIG_MAPS } from './dns-workload.js';
import type { RepairAttempts } from './repair-attempts.js';

/** Name of the ConfigMap with the record of an installation. */
export function recordName(owner: string): string {
  return `${owner}-cluster-dns`;
}

/** What an installation changes in the cluster DNS. Written before the change, so that a restart finds it. */
export interface InstallRecord {
  readonly mode: 'collector' | 'sidecar';
  readonly endpoint: string;
  readonly namespace: string;
  readonly deployment: string;
  readonly configMap: string;
  readonly key: string;
  /** The Corefile as it was before us. */
  readonly original: string;
  /** SHA-256 of the Corefile that we wrote. */
  readonly written: string;
  /** Whether every replica has been seen sending. */
  readonly verified: boolean;
  /** Since it last stayed as it was left; absent when there was none. */
  readonly repairs?: RepairAttempts;
}

export interface RecordLocation {
  readonly client: KubernetesClient;
  /** Our own namespace: nothing of ours stays beside the cluster DNS. */
  readonly namespace: string;
  readonly name: string;
  readonly fieldManager: string;
  readonly signal?: AbortSignal;
}

const LABELS = { 'app.kubernetes.io/managed-by': 'istio-discovery', 'app.kubernetes.io/component': 'cluster-dns' };

interface RecordMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** The record with the ConfigMap that holds it; undefined when nothing is installed. */
export async function readRecord(
  location: Omit<RecordLocation, 'fieldManager'>,
): Promise<{ readonly record: InstallRecord; readonly object: KubernetesObject } | undefined> {
  const object: RecordMap | undefined = await readObject({ ...location, resource: CONFIG_MAPS });
  const text = object?.data?.['record.json'];
  if (object === undefined || text === undefined) return undefined;
  // Only writeRecord writes it. The Corefile is beside it in plain text, for people.
  const fields = JSON.parse(text) as Omit<InstallRecord, 'original'>;
  return { record: { ...fields, original: object.data?.['Corefile'] ?? '' }, object };
}

/**
 * Writes the record over the one that was read, or as a new one.
 *
 * @throws KubernetesError KUBERNETES_ERR_CONFLICT or KUBERNETES_ERR_ALREADY_EXISTS when another installer is at work
 */
export async function writeRecord(
  location: RecordLocation,
  { original, ...fields }: InstallRecord,
  before: KubernetesObject | undefined,
): Promise<KubernetesObject> {
  const { client, namespace, name, fieldManager, signal } = location;
  const object = {
    ...before,
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: before?.metadata ?? { name, namespace, labels: LABELS },
    data: { Corefile: original, 'record.json': `${JSON.stringify(fields, undefined, 2)}\n` },
  };
  const write = before === undefined ? createObject : replaceObject;
  return write({ client, resource: CONFIG_MAPS, object, fieldManager, ...(signal && { signal }) });
}

/** Removes the record that was read. */
export async function deleteRecord(location: RecordLocation, { metadata }: KubernetesObject): Promise<void> {
  const { client, namespace, name, signal } = location;
  const preconditions = metadata.uid === undefined ? {} : { uid: metadata.uid };
  await deleteObject({ client, resource: CONFIG_MAPS, namespace, name, preconditions, ...(signal && { signal }) });
}
