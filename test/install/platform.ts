import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { KubeApiserver } from '../support/kube-apiserver.js';

/** The directory of a platform's objects. */
export function platformDirectory(platform: string): string {
  return fileURLToPath(new URL(`platforms/${platform}`, import.meta.url));
}

interface Fixture {
  readonly apiVersion: string;
  readonly kind: string;
  readonly data?: object;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly managedFields?: readonly { readonly manager: string }[];
  };
  readonly spec?: { readonly clusterIP?: string };
  readonly status?: object;
}

const NAMESPACES = ['bank', 'istio-system', 'openshift-dns', 'press', 'shop'];
const DEFAULT_MANAGER = 'kubectl';

/** Creates a platform's objects in a real API server, by their managers and with the status that a cluster would write. */
export async function applyPlatform(server: KubeApiserver, platform: string): Promise<void> {
  for (const name of NAMESPACES) await apply(server, [{ kind: 'Namespace', metadata: { name } }], DEFAULT_MANAGER);
  const items = await readFixtures(platform);
  const managers = new Set(items.map(managerOf));
  for (const manager of managers) {
    await apply(server, items.filter((each) => managerOf(each) === manager).map(toApply), manager);
  }
  for (const { kind, metadata, status } of items) {
    if (status === undefined) continue;
    const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    await server.kubectl([...namespaceFlag(metadata), 'patch', kind, metadata.name, ...patch]);
  }
}

/** Deletes a platform's objects, but for namespaces, which no controller would end. */
export async function removePlatform(server: KubeApiserver, platform: string): Promise<void> {
  const items = (await readFixtures(platform)).filter(({ kind }) => kind !== 'Namespace');
  const list = { apiVersion: 'v1', kind: 'List', items: items.map(toApply) };
  await server.kubectl(['delete', '--now', '--wait=false', '-f', '-'], JSON.stringify(list));
}

async function readFixtures(platform: string): Promise<readonly Fixture[]> {
  const text = await readFile(`${platformDirectory(platform)}/cluster.yaml`, 'utf8');
  return (parse(text) as { readonly items: readonly Fixture[] }).items; // our own file
}

async function apply(server: KubeApiserver, items: readonly object[], manager: string): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: items.map((each) => ({ apiVersion: 'v1', ...each })) };
  const flags = ['--server-side', '--validate=false', `--field-manager=${manager}`];
  await server.kubectl(['apply', ...flags, '-f', '-'], JSON.stringify(list));
}

function managerOf({ metadata }: Fixture): string {
  return metadata.managedFields?.[0]?.manager ?? DEFAULT_MANAGER;
}

/** Without what the API server writes; platforms have other ranges for their Services than the test's API server. */
function toApply({ apiVersion, kind, metadata, spec, data }: Fixture): object {
  const { managedFields: _, ...ownMetadata } = metadata;
  const { clusterIP: __, ...ownSpec } = spec ?? {};
  const object = { apiVersion, kind, metadata: ownMetadata, ...(data && { data }) };
  return spec === undefined ? object : { ...object, spec: kind === 'Service' ? ownSpec : spec };
}

function namespaceFlag({ namespace }: Fixture['metadata']): readonly string[] {
  return namespace === undefined ? [] : ['-n', namespace];
}
