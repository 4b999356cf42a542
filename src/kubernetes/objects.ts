import type { KubernetesClient } from './client.js';
import { KubernetesError } from './kubernetes-error.js';
import {
  isKubernetesObject,
  type KubernetesObject,
  type KubernetesResource,
  resourcePath,
} from './kubernetes-object.js';

export interface ReadOptions {
  readonly client: KubernetesClient;
  readonly resource: KubernetesResource;
  readonly namespace?: string;
  readonly name: string;
  readonly signal?: AbortSignal;
}

/**
 * Reads one object; undefined when there is none.
 *
 * @throws KubernetesError
 */
export async function readObject(options: ReadOptions): Promise<KubernetesObject | undefined> {
  const { client, resource, signal } = options;
  const path = resourcePath(resource, options);
  try {
    const { body } = await client.request({ method: 'GET', path, ...(signal && { signal }) });
    return requireObject(body, `GET ${path}`);
  } catch (err) {
    if (err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_NOT_FOUND') return undefined;
    throw err;
  }
}

export interface WriteOptions {
  readonly client: KubernetesClient;
  readonly resource: KubernetesResource;
  /** The whole object. What was read carries its `metadata.resourceVersion`, so that a change in between is a conflict. */
  readonly object: KubernetesObject;
  readonly fieldManager: string;
  readonly signal?: AbortSignal;
}

/**
 * Makes an object.
 *
 * @throws KubernetesError KUBERNETES_ERR_ALREADY_EXISTS, and every other
 */
export async function createObject(options: WriteOptions): Promise<KubernetesObject> {
  const { namespace } = options.object.metadata;
  return write(options, 'POST', resourcePath(options.resource, namespace === undefined ? {} : { namespace }));
}

/**
 * Replaces an object by another version of itself, if nobody has changed it since it was read.
 *
 * @throws KubernetesError KUBERNETES_ERR_CONFLICT, and every other
 */
export async function replaceObject(options: WriteOptions): Promise<KubernetesObject> {
  return write(options, 'PUT', resourcePath(options.resource, options.object.metadata));
}

async function write(options: WriteOptions, method: 'POST' | 'PUT', path: string): Promise<KubernetesObject> {
  const { client, object, fieldManager, signal } = options;
  const { body } = await client.request({
    method,
    path,
    query: { fieldManager, fieldValidation: 'Strict' },
    body: object,
    ...(signal && { signal }),
  });
  return requireObject(body, `${method} ${path}`);
}

function requireObject(body: unknown, what: string): KubernetesObject {
  if (isKubernetesObject(body)) return body;
  throw new KubernetesError('KUBERNETES_ERR_PROTOCOL', `${what}: the answer is no object`);
}
