import type { MeshObjects } from '../istio/mesh-objects.js';
import { isSame } from './entry-difference.js';
import type { PlanInput } from './plan-input.js';
import { planServiceEntries } from './plan-service-entries.js';
import type { AccountedPlan } from './service-entry-plan.js';

/**
 * Plans, and keeps the last plan: most runs find what the run before found, and a pure function of the same input need not
 * be asked again. Only a plan that changes nothing and waits for nothing is kept, so that no time goes into it.
 */
export class PlanMemory {
  #last: { readonly input: PlanInput; readonly plan: AccountedPlan } | undefined;

  plan(input: PlanInput): AccountedPlan {
    if (this.#last !== undefined && isSameInput(this.#last.input, input)) return this.#last.plan;
    const plan = planServiceEntries(input);
    this.#last = isAtRest(input, plan) ? { input, plan } : undefined;
    return plan;
  }
}

function isAtRest(input: PlanInput, plan: AccountedPlan): boolean {
  const lists = [plan.create, plan.update, plan.delete, plan.pendingDeletions];
  return !isWaiting(input) && lists.every(({ length }) => length === 0);
}

function isWaiting({ pendingDeletions = [], held }: PlanInput): boolean {
  return pendingDeletions.length > 0 || (held !== undefined && held.size > 0);
}

function isSameInput(one: PlanInput, other: PlanInput): boolean {
  if (one.policy !== other.policy || isWaiting(other)) return false;
  return (
    areIdentical(one.current, other.current) &&
    isSameMesh(one.mesh, other.mesh) &&
    isSame(one.desired, other.desired) && // built anew in every run
    isSame(one.unwanted ?? [], other.unwanted ?? []) &&
    isSame([...(one.namespaces ?? ['*'])], [...(other.namespaces ?? ['*'])])
  );
}

/** What a watch keeps is replaced when it changes. */
function areIdentical(one: readonly unknown[] | undefined, other: readonly unknown[] | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function isSameMesh(one: MeshObjects = {}, other: MeshObjects = {}): boolean {
  const kinds = new Set([...Object.keys(one), ...Object.keys(other)]) as ReadonlySet<keyof MeshObjects>; // their own keys
  return [...kinds].every((kind) => areIdentical(one[kind], other[kind]));
}
