import type { KubernetesClient } from './client.js';
import { KubernetesError } from './kubernetes-error.js';

export interface DiscoveryOptions {
  readonly client: KubernetesClient;
  readonly group: string;
  readonly plural: string;
  /** The preferred one first. */
  readonly versions: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * The first of the versions in which the server serves the resource.
 *
 * @throws KubernetesError KUBERNETES_ERR_RESOURCE_ABSENT when it serves none of them: the CRDs are not installed
 */
export async function discoverVersion(options: DiscoveryOptions): Promise<string> {
  const { group, plural, versions } = options;
  for (const version of versions) if (await isServed(options, version)) return version;
  throw new KubernetesError(
    'KUBERNETES_ERR_RESOURCE_ABSENT',
    `the API server has no ${plural}.${group} (${versions.join(' or ')}); are the custom resource definitions installed?`,
  );
}

async function isServed({ client, group, plural, signal }: DiscoveryOptions, version: string): Promise<boolean> {
  try {
    const { body } = await client.request({
      method: 'GET',
      path: group === '' ? `/api/${version}` : `/apis/${group}/${version}`,
      ...(signal && { signal }),
    });
    const { resources } = body as { resources?: unknown }; // read as unknown, checked below
    return Array.isArray(resources) && resources.some((resource: { name?: unknown }) => resource.name === plural);
  } catch (err) {
    if (err instanceof KubernetesError && err.code === 'KUBERNETES_ERR_NOT_FOUND') return false;
    throw err;
  }
}
