import { createHash } from 'node:crypto';
import type { Deployment, PodSpec } from './dns-workload.js';

/** Name of the container; the names of its volumes begin with it. That is how they are found again. */
const SIDECAR_NAME = 'istio-discovery';
const SOCKET_VOLUME = `${SIDECAR_NAME}-socket`;
const SOCKET_DIRECTORY = '/run/istio-discovery';
/** Where CoreDNS sends to in sidecar mode. */
export const SOCKET_ENDPOINT = `unix://${SOCKET_DIRECTORY}/dnstap.sock`;

/** What sidecar mode adds to the pods of CoreDNS, as the chart renders it. */
export interface Sidecar {
  /** Its name and those of its volumes are put in here. */
  readonly container: SidecarContainer;
  /** Beside the one with the socket, which CoreDNS's container mounts too. */
  readonly volumes: readonly Volume[];
}

interface Volume {
  readonly name: string;
  readonly [field: string]: unknown;
}

interface SidecarContainer {
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly env?: readonly { readonly name: string; readonly [field: string]: unknown }[];
  readonly [field: string]: unknown;
}

/** Carries the hash of the sidecar, so that a changed one is noticed among what the server has filled in. */
const HASH_ANNOTATION = 'istio-discovery.io/sidecar';
/** A changed value restarts the pods of a CoreDNS that has no `reload`. */
const RESTART_ANNOTATION = 'istio-discovery.io/corefile';

/**
 * The Deployment of CoreDNS with the sidecar, in the place of an earlier version of it. Ours comes last: kubeadm takes the
 * version of CoreDNS from the first container.
 */
export function withSidecar(
  deployment: Deployment,
  options: { readonly sidecar: Sidecar; readonly coredns: string; readonly native: boolean },
): Deployment {
  const { sidecar, coredns, native } = options;
  const hash = hashOf({ sidecar, native });
  if (annotationsOf(deployment)[HASH_ANNOTATION] === hash) return deployment;
  const bare = withoutSidecar(deployment);
  const { spec } = bare.spec.template;
  const mount = { name: SOCKET_VOLUME, mountPath: SOCKET_DIRECTORY };
  const container = {
    ...sidecar.container,
    name: SIDECAR_NAME,
    volumeMounts: [...(sidecar.container.volumeMounts ?? []), mount],
  };
  const containers = spec.containers.map((each) =>
    each.name === coredns
      ? { ...each, volumeMounts: [...(each.volumeMounts ?? []), { ...mount, readOnly: true }] }
      : each,
  );
  return withTemplate(bare, {
    annotations: { ...annotationsOf(bare), [HASH_ANNOTATION]: hash },
    spec: {
      ...spec,
      containers: native ? containers : [...containers, container],
      ...(native && { initContainers: [...(spec.initContainers ?? []), { ...container, restartPolicy: 'Always' }] }),
      volumes: [...(spec.volumes ?? []), socketVolume(), ...sidecar.volumes],
    },
  });
}

/** The Deployment of CoreDNS without what {@link withSidecar} added. */
export function withoutSidecar(deployment: Deployment): Deployment {
  const { spec } = deployment.spec.template;
  const { [HASH_ANNOTATION]: hash, ...annotations } = annotationsOf(deployment);
  if (hash === undefined && !spec.containers.some(isOurs)) return deployment;
  const { initContainers = [], ...rest } = spec;
  const others = initContainers.filter((each) => !isOurs(each));
  return withTemplate(deployment, {
    annotations,
    spec: {
      ...rest,
      ...(others.length > 0 && { initContainers: others }),
      containers: spec.containers.filter((each) => !isOurs(each)).map(withoutMounts),
      volumes: (spec.volumes ?? []).filter(({ name }) => !isOurVolume(name)),
    },
  });
}

function isOurs({ name }: { readonly name: string }): boolean {
  return name === SIDECAR_NAME;
}

function isOurVolume(name: string): boolean {
  return name.startsWith(`${SIDECAR_NAME}-`);
}

function socketVolume(): Volume {
  return { name: SOCKET_VOLUME, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } };
}

/** The Deployment with its pods restarted, once a value; without a value, as it was before. */
export function withRestart(deployment: Deployment, value: string | undefined): Deployment {
  const { [RESTART_ANNOTATION]: before, ...annotations } = annotationsOf(deployment);
  if (before === value) return deployment;
  return withTemplate(deployment, {
    annotations: value === undefined ? annotations : { ...annotations, [RESTART_ANNOTATION]: value },
    spec: deployment.spec.template.spec,
  });
}

/** The container with values for some of its environment variables. */
export function withEnvironment(sidecar: Sidecar, values: Readonly<Record<string, string>>): Sidecar {
  const { container } = sidecar;
  const env = (container.env ?? []).map((each) => {
    const value = values[each.name];
    return value === undefined ? each : { ...each, value };
  });
  return { ...sidecar, container: { ...container, ...(env.length > 0 && { env }) } };
}

/** The container with environment variables that it does not have. An empty list counts as none: the chart has it so. */
export function withMissingEnvironment(sidecar: Sidecar, values: Readonly<Record<string, string>>): Sidecar {
  const { container } = sidecar;
  const kept = (container.env ?? []).filter(({ name, ...rest }) => !(name in values) || rest['value'] !== '[]');
  const missing = Object.entries(values).filter(([name]) => !kept.some((each) => each.name === name));
  const env = [...kept, ...missing.map(([name, value]) => ({ name, value }))];
  return { ...sidecar, container: { ...container, ...(env.length > 0 && { env }) } };
}

function withoutMounts(container: PodSpec['containers'][number]): PodSpec['containers'][number] {
  if (container.volumeMounts === undefined) return container;
  return { ...container, volumeMounts: container.volumeMounts.filter(({ name }) => !isOurVolume(name)) };
}

function annotationsOf({ spec }: Deployment): Readonly<Record<string, string>> {
  return spec.template.metadata?.annotations ?? {};
}

function withTemplate(
  deployment: Deployment,
  { annotations, spec }: { readonly annotations: Readonly<Record<string, string>>; readonly spec: PodSpec },
): Deployment {
  const { annotations: _, ...metadata } = deployment.spec.template.metadata ?? {};
  const hasAnnotations = Object.keys(annotations).length > 0;
  const template = {
    ...deployment.spec.template,
    metadata: { ...metadata, ...(hasAnnotations && { annotations }) },
    spec,
  };
  return { ...deployment, spec: { ...deployment.spec, template } };
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
