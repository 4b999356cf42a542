import type { WorkloadReference } from '../host/host-record.js';
import type { ControllerReference, OwnerFacts, PodFacts } from './kubernetes-object.js';

/** The workload of a pod; not certain while an object that could still change the answer is unknown. */
export interface OwnedBy {
  readonly workload: WorkloadReference;
  readonly isCertain: boolean;
}

/** Ten old ReplicaSets each (a Deployment's default) of 10,000 Deployments. */
const MAX_OWNERS = 100_000;

/**
 * Who controls the ReplicaSets and Jobs that control pods. They may come after their pods, and are kept when deleted,
 * because pods of the past still need them; over {@link MAX_OWNERS} the one heard of longest ago goes.
 */
export class Owners {
  readonly #byUid = new Map<string, OwnerFacts>();
  readonly #maxOwners: number;

  constructor(maxOwners = MAX_OWNERS) {
    this.#maxOwners = maxOwners;
  }

  learn(owner: OwnerFacts): void {
    for (const key of [owner.uid, keyOf(owner)]) {
      this.#byUid.delete(key); // so that the order of the map is the order of hearing
      this.#byUid.set(key, owner);
    }
    for (const key of this.#byUid.keys()) {
      if (this.#byUid.size <= this.#maxOwners * 2) break;
      this.#byUid.delete(key);
    }
  }

  /**
   * The object that a person would name as the pod's workload.
   *
   * ```
   *   pod ─▶ ReplicaSet ─▶ Deployment, Rollout          pod ─▶ StatefulSet, DaemonSet, ReplicationController, …
   *       └▶ Job ────────▶ CronJob                          └▶ nothing, or a Node (static pod): the pod itself
   * ```
   */
  workloadOf(pod: PodFacts): OwnedBy {
    const { namespace, controller } = pod;
    if (controller === undefined || controller.kind === 'Node') {
      return { workload: { namespace, kind: 'Pod', name: pod.name }, isCertain: true };
    }
    const reference = (kind: string, name: string): WorkloadReference => ({ namespace, kind, name });
    if (controller.kind !== 'ReplicaSet' && controller.kind !== 'Job') {
      return { workload: reference(controller.kind, controller.name), isCertain: true };
    }
    const owner = this.#find(namespace, controller);
    if (owner !== undefined) {
      const { kind, name } = owner.controller ?? owner;
      return { workload: reference(kind, name), isCertain: true };
    }
    const named = controllerByHash(pod, controller);
    if (named !== undefined) return { workload: reference(named.kind, named.name), isCertain: true };
    // A CronJob's Jobs are called <name>-<minutes>, but anybody may call a Job so.
    return { workload: reference(controller.kind, controller.name), isCertain: false };
  }

  #find(namespace: string, { kind, name, uid }: ControllerReference): OwnerFacts | undefined {
    if (uid !== undefined && this.#byUid.has(uid)) return this.#byUid.get(uid);
    const owner = this.#byUid.get(keyOf({ namespace, kind, name }));
    // An object of the same name with another uid is another object, except where the file left its uid out.
    const isSame = owner !== undefined && (uid === undefined || owner.uid.includes('/'));
    return isSame ? owner : undefined;
  }
}

function keyOf({ namespace, kind, name }: { namespace: string; kind: string; name: string }): string {
  return `${kind}/${namespace}/${name}`;
}

/** A ReplicaSet's name is its owner's and the hash that it also puts on its pods; the label's name tells the kind. */
function controllerByHash(pod: PodFacts, { kind, name }: ControllerReference): ControllerReference | undefined {
  const hash = pod.rolloutHash ?? pod.templateHash;
  if (kind !== 'ReplicaSet' || hash === undefined || !name.endsWith(`-${hash}`)) return undefined;
  const owner = name.slice(0, -hash.length - 1);
  return owner === '' ? undefined : { kind: pod.rolloutHash === undefined ? 'Deployment' : 'Rollout', name: owner };
}
