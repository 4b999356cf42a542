import type { KubernetesClient } from './client.js';
import { KubernetesError } from './kubernetes-error.js';
import {
  isKubernetesObject,
  type KubernetesObject,
  type KubernetesResource,
  resourcePath,
} from './kubernetes-object.js';

export interface ListOptions {
  readonly client: KubernetesClient;
  readonly resource: KubernetesResource;
  /** @defaultValue all namespaces */
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** Only apiVersion, kind and metadata of each object: a tenth of the bytes. */
  readonly metadataOnly?: boolean;
  /** Objects a page. @defaultValue 100: more of them live long enough to become garbage that stays */
  readonly pageSize?: number;
  readonly signal?: AbortSignal;
}

export interface ObjectList<T = KubernetesObject> {
  readonly items: readonly T[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
}

const DEFAULT_PAGE_SIZE = 100;
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/**
 * Lists a resource, page by page. A list is complete or it is an error.
 *
 * @throws KubernetesError
 */
export async function listResource(options: ListOptions): Promise<ObjectList> {
  return listSelected(options, (object) => object);
}

/**
 * Lists a resource and keeps of each object what `select` makes of it, or nothing. Whole objects are held a page at a
 * time only: 20,000 pods are 200 MB of JSON.
 *
 * @throws KubernetesError
 */
export async function listSelected<T>(
  options: ListOptions,
  select: (object: KubernetesObject) => T | undefined,
): Promise<ObjectList<T>> {
  try {
    return await listPages(options, select);
  } catch (err) {
    // The pages are of one moment, which the server forgets after some minutes. Once more from the beginning.
    if (err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_GONE') return listPages(options, select);
    throw err;
  }
}

/**
 * The version that the server's state of a resource has now.
 *
 * @throws KubernetesError
 */
export async function readResourceVersion(options: ListOptions): Promise<string> {
  return (await readPage({ ...options, pageSize: 1 }, undefined)).resourceVersion;
}

async function listPages<T>(
  options: ListOptions,
  select: (object: KubernetesObject) => T | undefined,
): Promise<ObjectList<T>> {
  const items: T[] = [];
  for (let token: string | undefined = ''; ;) {
    const page = await readPage(options, token === '' ? undefined : token);
    for (const item of page.items) {
      const kept = select(item);
      if (kept !== undefined) items.push(kept);
    }
    token = page.continue;
    if (token === undefined) return { items, resourceVersion: page.resourceVersion };
  }
}

interface Page extends ObjectList {
  readonly continue: string | undefined;
}

async function readPage(options: ListOptions, token: string | undefined): Promise<Page> {
  const { client, resource, namespace, labelSelector, metadataOnly, pageSize, signal } = options;
  const path = resourcePath(resource, namespace === undefined ? {} : { namespace });
  const { body } = await client.request({
    method: 'GET',
    path,
    query: { limit: pageSize ?? DEFAULT_PAGE_SIZE, continue: token, labelSelector },
    ...(metadataOnly === true && { accept: METADATA_LIST }),
    ...(signal && { signal }),
  });
  const page = parsePage(body);
  if (page === undefined) throw new KubernetesError('KUBERNETES_ERR_PROTOCOL', `GET ${path}: the answer is no list`);
  return page;
}

function parsePage(body: unknown): Page | undefined {
  if (!isKubernetesObject(body)) return undefined;
  const { kind = '', apiVersion, metadata } = body;
  const { resourceVersion } = metadata;
  // `items` is null in a list of nothing that an aggregated server made.
  const items: unknown = body['items'] ?? [];
  if (typeof resourceVersion !== 'string' || !Array.isArray(items) || !items.every(isKubernetesObject))
    return undefined;
  // Objects in the list of a built-in kind do not say what they are.
  const type = { ...(apiVersion !== undefined && { apiVersion }), kind: kind.replace(/List$/, '') };
  const token = metadata['continue'];
  return {
    items: items.map((item) => ({ ...type, ...item })),
    resourceVersion,
    continue: typeof token === 'string' && token !== '' ? token : undefined,
  };
}
