import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { KubeApiserver } from '../support/kube-apiserver.js';

/** The directory of a platform's objects. */
export function platformDirectory(platform: string): string {
  return fileURLToPath(new URL(`platforms/${platform}`, import.meta.url));
}

interface Fixture {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: { readonly clusterIP?: string };
  readonly status?: object;
}

const NAMESPACES = ['istio-system', 'openshift-dns'];

/** Creates a platform's objects in a real API server, with the status that a cluster would write. */
export async function applyPlatform(server: KubeApiserver, platform: string, fieldManager = 'kubectl'): Promise<void> {
  for (const namespace of NAMESPACES) await server.kubectl(['create', 'namespace', namespace]);
  const text = await readFile(`${platformDirectory(platform)}/cluster.yaml`, 'utf8');
  const { items } = parse(text) as { readonly items: readonly Fixture[] }; // our own file
  const list = { apiVersion: 'v1', kind: 'List', items: items.map(withAnyAddress) };
  const flags = ['--server-side', '--validate=false', `--field-manager=${fieldManager}`];
  await server.kubectl(['apply', ...flags, '-f', '-'], JSON.stringify(list));
  for (const { kind, metadata, status } of items) {
    if (status === undefined) continue;
    const namespace = metadata.namespace === undefined ? [] : ['-n', metadata.namespace];
    const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    await server.kubectl([...namespace, 'patch', kind, metadata.name, ...patch]);
  }
}

/** Platforms have other ranges for their Services than the test's API server. */
function withAnyAddress(object: Fixture): Omit<Fixture, 'status'> {
  const { status: _, ...rest } = object;
  if (object.kind !== 'Service' || object.spec?.clusterIP === undefined) return rest;
  const { clusterIP: __, ...spec } = object.spec;
  return { ...rest, spec };
}
