import type { KubernetesClient } from './client.js';
import { KubernetesError } from './kubernetes-error.js';
import {
  isKubernetesObject,
  type KubernetesObject,
  type KubernetesResource,
  resourcePath,
} from './kubernetes-object.js';

export interface ApplyOptions {
  readonly client: KubernetesClient;
  readonly resource: KubernetesResource;
  /** What should be, with name and namespace. With `metadata.uid`, only the object of that uid is changed. */
  readonly object: object & { readonly metadata: { readonly name: string; readonly namespace?: string } };
  readonly fieldManager: string;
  /** Everything but the storing: schema, admission, conflicts. */
  readonly dryRun?: boolean;
  /** Called when the request is about to leave; what it throws stops it. */
  readonly beforeSend?: () => void;
  readonly signal?: AbortSignal;
}

export interface Applied {
  readonly object: KubernetesObject;
  /** Whether the object was not there before. */
  readonly isNew: boolean;
  readonly warnings: readonly string[];
}

/**
 * Server-side apply, never forced: a field that somebody else manages and that would change is a conflict. Unknown fields
 * are an error.
 *
 * @throws KubernetesError KUBERNETES_ERR_CONFLICT, and every other
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
export async function applyObject(options: ApplyOptions): Promise<Applied> {
  const { client, resource, object, fieldManager, dryRun, beforeSend, signal } = options;
  const path = resourcePath(resource, object.metadata);
  const { status, body, warnings } = await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager, force: false, fieldValidation: 'Strict', dryRun: dryRun === true ? 'All' : undefined },
    contentType: 'application/apply-patch+yaml', // every JSON text is YAML
    body: object,
    ...(beforeSend && { beforeSend }),
    ...(signal && { signal }),
  });
  if (!isKubernetesObject(body)) {
    throw new KubernetesError('KUBERNETES_ERR_PROTOCOL', `PATCH ${path}: the answer is no object`);
  }
  return { object: body, isNew: status === 201, warnings };
}

export interface DeleteOptions {
  readonly client: KubernetesClient;
  readonly resource: KubernetesResource;
  readonly namespace?: string;
  readonly name: string;
  /** Only this very object in this very version goes. */
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string };
  /** Called when the request is about to leave; what it throws stops it. */
  readonly beforeSend?: () => void;
  readonly signal?: AbortSignal;
}

/**
 * Deletes one object if it is the one that was seen.
 *
 * @throws KubernetesError KUBERNETES_ERR_CONFLICT when it has changed since, KUBERNETES_ERR_NOT_FOUND when it is gone
 */
export async function deleteObject(options: DeleteOptions): Promise<void> {
  const { client, resource, preconditions, beforeSend, signal } = options;
  await client.request({
    method: 'DELETE',
    path: resourcePath(resource, options),
    body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions },
    ...(beforeSend && { beforeSend }),
    ...(signal && { signal }),
  });
}
