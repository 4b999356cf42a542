import { posix } from 'node:path';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { type ClusterObjects, isForbidden } from './cluster-objects.js';
import { configMapData, type ContainerFields, podSpec, type VolumeFields } from './pod-template.js';

/** The Corefile that a CoreDNS reads, found through its workload and not by a name that it usually has. */
export interface LiveCorefile {
  readonly configMap: string;
  /** During a migration by kubeadm it is `Corefile-backup`. */
  readonly key: string;
  readonly text: string;
  /** Of the ConfigMap, for a guarded write. */
  readonly resourceVersion?: string;
  /** Files that it may import, by the path as an import names it, absolute and relative to the Corefile. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Directories of which these are all files. */
  readonly directories: readonly string[];
  /** What is known of the environment of the container. */
  readonly environment: ReadonlyMap<string, string>;
}

export interface CorefileLocation {
  readonly workload: KubernetesObject;
  readonly container: ContainerFields;
  /** Where the Corefile is in the container. @defaultValue what its arguments say */
  readonly path?: string | undefined;
}

const DEFAULT_FILE = 'Corefile';

/**
 * Follows a workload's `-conf` argument to the volume and to the ConfigMap and key. Undefined when it leads to no ConfigMap
 * that exists.
 *
 * @throws KubernetesError KUBERNETES_ERR_FORBIDDEN when the Corefile itself may not be read
 */
export async function readLiveCorefile(
  objects: ClusterObjects,
  { workload, container, path: corefilePath = confArgument(container) }: CorefileLocation,
): Promise<LiveCorefile | undefined> {
  const namespace = workload.metadata.namespace ?? '';
  const mounts = mountsOf(container, podSpec(workload).volumes ?? []);
  const files = new Map<string, Uint8Array>();
  let found: Omit<LiveCorefile, 'directories' | 'environment' | 'files'> | undefined;
  const readable = await readMounts(objects, { mounts, namespace, corefilePath });
  for (const { object, ...mount } of readable) {
    for (const { path, mounted, key, text } of mountedFiles(mount, object)) {
      const isCorefile = corefilePath === undefined ? path === DEFAULT_FILE : mounted === corefilePath;
      if (isCorefile) found = { configMap: mount.volume.configMap?.name ?? '', key, text, ...versionOf(object) };
      else files.set(mounted, Buffer.from(text));
    }
  }
  if (found === undefined) return undefined;
  const directory = posix.dirname(corefilePath ?? '/etc/coredns/Corefile');
  const directories = readable.filter(({ subPath }) => subPath === undefined).map(({ mountPath }) => mountPath);
  return {
    ...found,
    files: withRelativePaths(files, directory),
    directories: [...directories, ...directories.map((path) => posix.relative(directory, path))],
    environment: environmentOf(container),
  };
}

interface ToRead {
  readonly mounts: readonly Mount[];
  readonly namespace: string;
  readonly corefilePath: string | undefined;
}

/** Without those that may not be read, unless the Corefile is among them: what an import finds is not known then. */
async function readMounts(
  objects: ClusterObjects,
  { mounts, namespace, corefilePath }: ToRead,
): Promise<readonly (Mount & { readonly object: KubernetesObject | undefined })[]> {
  const readable: (Mount & { readonly object: KubernetesObject | undefined })[] = [];
  for (const mount of mounts) {
    try {
      const object = await objects.get('ConfigMap', namespace, mount.volume.configMap?.name ?? '');
      readable.push({ ...mount, object });
    } catch (err) {
      const mayHoldCorefile = corefilePath === undefined || `${corefilePath}/`.startsWith(`${mount.mountPath}/`);
      if (mayHoldCorefile || !isForbidden(err)) throw err;
    }
  }
  return readable;
}

interface Mount {
  readonly mountPath: string;
  /** The one file or directory of the volume that is mounted; absent: all of it. */
  readonly subPath: string | undefined;
  readonly volume: VolumeFields;
}

/** Path in the container of a file of a volume; undefined where it is not mounted. */
function mountedAt(path: string, { mountPath, subPath }: Omit<Mount, 'volume'>): string | undefined {
  if (subPath === undefined) return posix.join(mountPath, path);
  if (path === subPath) return mountPath;
  return path.startsWith(`${subPath}/`) ? posix.join(mountPath, path.slice(subPath.length)) : undefined;
}

function mountsOf({ volumeMounts = [] }: ContainerFields, volumes: readonly VolumeFields[]): readonly Mount[] {
  return volumeMounts.flatMap(({ name, mountPath, subPath }) => {
    const volume = volumes.find((each) => each.name === name && each.configMap !== undefined);
    return volume === undefined || mountPath === undefined ? [] : [{ mountPath, subPath, volume }];
  });
}

/** `-conf PATH`, `--conf=PATH`, in the command or in the arguments. */
function confArgument({ command = [], args = [] }: ContainerFields): string | undefined {
  const words = [...command, ...args];
  const index = words.findIndex((word) => /^--?conf(?:=|$)/.test(word));
  if (index < 0) return undefined;
  return /=(.*)$/s.exec(words[index] ?? '')?.[1] ?? words[index + 1];
}

interface MountedFile {
  /** In the volume. */
  readonly path: string;
  /** In the container. */
  readonly mounted: string;
  readonly key: string;
  readonly text: string;
}

function mountedFiles(mount: Mount, object: KubernetesObject | undefined): readonly MountedFile[] {
  const data = configMapData(object);
  const items = mount.volume.configMap?.items ?? Object.keys(data).map((key) => ({ key, path: key }));
  return items.flatMap(({ key = '', path = key }) => {
    const text = data[key];
    const mounted = mountedAt(path, mount);
    return text === undefined || mounted === undefined ? [] : [{ path, mounted, key, text }];
  });
}

function withRelativePaths(files: ReadonlyMap<string, Uint8Array>, directory: string): ReadonlyMap<string, Uint8Array> {
  const relative = [...files].map(([path, bytes]) => [posix.relative(directory, path), bytes] as const);
  return new Map([...files, ...relative]);
}

function environmentOf({ env = [] }: ContainerFields): ReadonlyMap<string, string> {
  return new Map(env.flatMap(({ name, value }) => (name === undefined || value === undefined ? [] : [[name, value]])));
}

function versionOf(object: KubernetesObject | undefined): { readonly resourceVersion?: string } {
  const version = object?.metadata.resourceVersion;
  return version === undefined ? {} : { resourceVersion: version };
}
