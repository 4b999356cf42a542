import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { isKubernetesObject, type KubernetesObject } from '../kubernetes/kubernetes-object.js';
import type { ClusterObjects } from './cluster-objects.js';

/** A directory of objects cannot be used. */
export class OfflineObjectsError extends Error {
  override readonly name = 'OfflineObjectsError';
  readonly code = 'INSTALL_ERR_OFFLINE_OBJECTS';
}

/**
 * The objects in the YAML and JSON files of a directory, as `kubectl get -o yaml` prints them; lists count as their items.
 *
 * @throws OfflineObjectsError when the directory or a file in it cannot be read, or holds no object
 */
export async function readOfflineObjects(directory: string): Promise<ClusterObjects> {
  const objects: KubernetesObject[] = [];
  for (const file of await filesOf(directory)) objects.push(...(await objectsOf(file)));
  // A mistyped directory would otherwise look like a cluster without DNS.
  if (objects.length === 0) throw new OfflineObjectsError(`${directory} holds no object`);
  return {
    list: (kind, namespace) =>
      Promise.resolve(
        objects.filter(
          (object) => object.kind === kind && (namespace === undefined || object.metadata.namespace === namespace),
        ),
      ),
    get: (kind, namespace, name) =>
      Promise.resolve(
        objects.find(
          ({ kind: each, metadata }) => each === kind && metadata.namespace === namespace && metadata.name === name,
        ),
      ),
  };
}

async function filesOf(directory: string): Promise<readonly string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => /\.(?:ya?ml|json)$/.test(name))
      .map((name) => join(directory, name))
      .sort();
  } catch (cause) {
    throw new OfflineObjectsError(`${directory} cannot be read`, { cause });
  }
}

async function objectsOf(file: string): Promise<readonly KubernetesObject[]> {
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  return [documents].flat().flatMap((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) {
      throw new OfflineObjectsError(`${file}: ${problem.message}`, { cause: problem });
    }
    return itemsOf(withoutNulls(document.toJS({ maxAliasCount: 100 })));
  });
}

/** For the API server, too, a field that is null is one that is absent. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(entries.map(([key, each]) => [key, withoutNulls(each)]));
}

/** Of a list, its items: those of a `DeploymentList`, as the API server itself answers, do not say what they are. */
function itemsOf(value: unknown): readonly KubernetesObject[] {
  if (typeof value !== 'object' || value === null) return [];
  if (!('items' in value && Array.isArray(value.items))) return isKubernetesObject(value) ? [value] : [];
  const { kind = '', apiVersion } = value as { readonly kind?: unknown; readonly apiVersion?: unknown };
  const itemKind = /^(.+)List$/.exec(String(kind))?.[1];
  const typed = value.items.map((item: object) =>
    itemKind === undefined ? item : { apiVersion, kind: itemKind, ...item },
  );
  return typed.filter(isKubernetesObject);
}
