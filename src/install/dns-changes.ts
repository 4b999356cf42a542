import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubernetesClient } from '../kubernetes/client.js';
import type { KubernetesObject } from '../kubernetes/kubernetes-object.js';
import { readObject } from '../kubernetes/objects.js';
import type { Logger } from '../telemetry/logger.js';
import { changeObject, waitFor, type Patience } from './cluster-changes.js';
import { type ConnectionView, isEachConnected, readConnections } from './connections.js';
import {
  CONFIG_MAPS,
  type Deployment,
  DEPLOYMENTS,
  type DnsPlace,
  isRolledOut,
  readyPods,
  SERVICES,
} from './dns-workload.js';
import { withGentleStrategy, withOwnStrategy } from './gentle-rollout.js';
import { HandOver } from './hand-over.js';
import { InstallError } from './install-error.js';

export type Mode = 'collector' | 'sidecar';

/** What both installing and removing need to know. */
export interface InstallContext {
  readonly client: KubernetesClient;
  /** Our own namespace. */
  readonly namespace: string;
  /** Name of this installation. */
  readonly owner: string;
  /** Domains of the cluster; empty: those of the Corefile. */
  readonly clusterDomains: readonly string[];
  /** Name of the collector's Service. */
  readonly service: string;
  readonly ports: { readonly collector: number; readonly sidecar: number };
  /** For each thing that is waited for. */
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface CorefileMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

interface Service extends KubernetesObject {
  readonly spec: {
    readonly clusterIP?: string;
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly { readonly port: number }[];
  };
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The cluster DNS, as it is changed and seen: the Corefile, the Deployment, and who is connected. */
export class DnsChanges {
  readonly #context: InstallContext;
  readonly #workload: DnsPlace;

  constructor(context: InstallContext, workload: DnsPlace) {
    this.#context = context;
    this.#workload = workload;
  }

  /** Replaces the Corefile by what `edit` makes of it; the same text changes nothing. Returns whether it was changed. */
  async changeCorefile(edit: (corefile: string) => string | Promise<string>): Promise<boolean> {
    const { configMap: name, key, namespace } = this.#workload;
    const { client, signal } = this.#context;
    let changed = false;
    await changeObject<CorefileMap>({ client, signal, namespace, name, resource: CONFIG_MAPS }, async (map) => {
      const before = map.data?.[key] ?? '';
      const after = await edit(before);
      changed = after !== before;
      return changed ? { ...map, data: { ...map.data, [key]: after } } : map;
    });
    return changed;
  }

  async readCorefile(): Promise<string> {
    const { configMap: name, key, namespace } = this.#workload;
    const { client, signal } = this.#context;
    const map: CorefileMap | undefined = await readObject({ client, signal, namespace, name, resource: CONFIG_MAPS });
    return map?.data?.[key] ?? '';
  }

  async readDeployment(): Promise<Deployment> {
    const { namespace, name } = this.#workload;
    const { client, signal } = this.#context;
    const found = await readObject({ client, signal, namespace, name, resource: DEPLOYMENTS });
    if (found !== undefined) return found as Deployment; // by its resource
    throw new InstallError('INSTALL_ERR_CONFLICT', `${namespace}/${name} is gone`);
  }

  /**
   * Changes the Deployment and waits until all its pods are of the new one and no other is in the Service. No pod is taken
   * away before there is another; afterwards, not after a failure, the Deployment has its own strategy again.
   */
  async changeDeployment(
    change: (deployment: Deployment) => Deployment,
    patience: Pick<Patience, 'dnsFailed'> = {},
  ): Promise<void> {
    const { namespace, name, labelSelector } = this.#workload;
    const { client, signal, timeoutMs, log } = this.#context;
    const options = { client, signal, namespace, name, resource: DEPLOYMENTS };
    const handOver = new HandOver({ client, namespace, labelSelector, log, signal });
    await changeObject<Deployment>(options, (before) => {
      const after = change(before);
      const isRollout = !isDeepStrictEqual(after.spec.template, before.spec.template);
      return isRollout ? withGentleStrategy(after) : after;
    });
    await waitFor(async () => (await handOver.takeOut()) && isRolledOut(await this.readDeployment()), {
      ...patience,
      signal,
      timeoutMs,
      what: `the rollout of ${namespace}/${name}`,
      code: 'INSTALL_ERR_NOT_VERIFIED',
    });
    await this.putBackStrategy();
  }

  /** Gives the Deployment its own strategy again, whatever its rollout does. */
  async putBackStrategy(): Promise<void> {
    const { namespace, name } = this.#workload;
    const { client, signal } = this.#context;
    await changeObject<Deployment>({ client, signal, namespace, name, resource: DEPLOYMENTS }, withOwnStrategy);
  }

  /** Waits until every pod of CoreDNS sends to us. */
  async waitUntilConnected(mode: Mode, patience: Pick<Patience, 'timeoutMs' | 'dnsFailed'>): Promise<void> {
    const { signal } = this.#context;
    const what = 'a dnstap connection of each CoreDNS pod';
    await waitFor(async () => this.#isConnected(mode), { ...patience, what, signal, code: 'INSTALL_ERR_NOT_VERIFIED' });
  }

  async #isConnected(mode: Mode): Promise<boolean> {
    const { ready, total } = await this.#pods();
    if (total === 0 || ready.length < total) return false;
    if (mode === 'collector') {
      return isEachConnected(
        ready.map(({ ip }) => ip),
        await this.#collectorConnections(),
      );
    }
    const each = await Promise.all(ready.map(async ({ ip }) => this.#sidecarConnections(ip)));
    return each.every((connections) => connections?.some(({ started }) => started) === true);
  }

  /** Waits until no pod of CoreDNS sends to us any more. What does not answer, or is gone, is not connected. */
  async waitUntilDisconnected(mode: Mode, timeoutMs: number): Promise<void> {
    const { signal, service } = this.#context;
    const what = 'the end of the dnstap connections';
    const isGone = async (): Promise<boolean> => {
      if (mode === 'collector') {
        const isThere = (await this.#findService(service)) !== undefined;
        return !isThere || (await this.#collectorConnections()).length === 0;
      }
      const { ready } = await this.#pods();
      const each = await Promise.all(ready.map(async ({ ip }) => this.#sidecarConnections(ip)));
      return each.every((connections) => connections === undefined || connections.length === 0);
    };
    await waitFor(isGone, { what, signal, timeoutMs, code: 'INSTALL_ERR_NOT_VERIFIED' });
  }

  /**
   * Address of the collector as a Corefile can have it, once its pods are ready: CoreDNS cannot look up a Service.
   *
   * @throws InstallError INSTALL_ERR_RECEIVER
   */
  async collectorEndpoint(): Promise<string> {
    const { namespace, signal, timeoutMs, service: name } = this.#context;
    const what = `ready pods of the Service ${namespace}/${name}`;
    await waitFor(async () => (await this.#collectorPods()).ready.length > 0, {
      what,
      signal,
      timeoutMs,
      code: 'INSTALL_ERR_RECEIVER',
    });
    return endpointOf(await this.#service(name));
  }

  /** Address of the collector, ready or not; undefined while it has no Service. */
  async findEndpoint(name: string): Promise<string | undefined> {
    const service = await this.#findService(name);
    return service === undefined ? undefined : endpointOf(service);
  }

  /** Address of a Service of ours, for pods that cannot look it up. @throws InstallError INSTALL_ERR_RECEIVER */
  async serviceAddress(name: string): Promise<string> {
    return (await this.#service(name)).spec.clusterIP ?? '';
  }

  /** The same; undefined where there is none. */
  async findAddress(name: string): Promise<string | undefined> {
    return (await this.#findService(name))?.spec.clusterIP;
  }

  async #service(name: string): Promise<Service> {
    const service = await this.#findService(name);
    if (service !== undefined) return service;
    throw new InstallError('INSTALL_ERR_RECEIVER', `there is no Service ${this.#context.namespace}/${name}`);
  }

  async #findService(name: string): Promise<Service | undefined> {
    const { client, namespace, signal } = this.#context;
    return (await readObject({ client, namespace, name, resource: SERVICES, signal })) as Service | undefined; // by its resource
  }

  async #pods(): ReturnType<typeof readyPods> {
    const { client, signal } = this.#context;
    const { namespace, labelSelector } = this.#workload;
    return readyPods({ client, namespace, labelSelector, signal });
  }

  async #collectorPods(): ReturnType<typeof readyPods> {
    const { client, namespace, signal, service } = this.#context;
    const { selector = {} } = (await this.#service(service)).spec;
    const labelSelector = Object.entries(selector)
      .map(([key, value]) => `${key}=${value}`)
      .join(',');
    return readyPods({ client, namespace, labelSelector, signal });
  }

  async #collectorConnections(): Promise<readonly ConnectionView[]> {
    const { ready } = await this.#collectorPods();
    const { collector } = this.#context.ports;
    return (await Promise.all(ready.map(async ({ ip }) => readConnections(ip, collector)))).flatMap(
      (each) => each ?? [],
    );
  }

  async #sidecarConnections(ip: string): Promise<readonly ConnectionView[] | undefined> {
    return readConnections(ip, this.#context.ports.sidecar);
  }
}

function endpointOf({ spec: { clusterIP, ports } }: Service): string {
  const host = clusterIP?.includes(':') === true ? `[${clusterIP}]` : clusterIP;
  return `tcp://${host}:${ports?.[0]?.port}`;
}
