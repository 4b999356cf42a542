import type { ServiceEntry } from '../istio/service-entry.js';
import { sortByKey } from './order.js';
import type { NamespaceBudget, ServiceEntryPlan } from './service-entry-plan.js';
import type { Visibility } from './visibility.js';

/** What one Envoy cluster takes: a host costs one for each of its ports. Measured with Envoy 1.40, 2,000 hosts. */
const BYTES_PER_CLUSTER = 30_000;

interface Sum {
  pushes: number;
  addedClusters: number;
  removedClusters: number;
}

/** What a plan costs, by the namespaces whose proxies have to take it in. */
export function planBudget(
  plan: Pick<ServiceEntryPlan, 'create' | 'update' | 'delete'>,
  visibility: Visibility,
): readonly NamespaceBudget[] {
  const sums = new Map<string, Sum>();
  const sumOf = (namespace: string): Sum => {
    const sum = sums.get(namespace) ?? { pushes: 0, addedClusters: 0, removedClusters: 0 };
    sums.set(namespace, sum);
    return sum;
  };
  const namespacesOf = (entry: ServiceEntry): readonly string[] => {
    const audience = visibility.audienceOfEntry(entry);
    return audience === 'everybody' ? ['*'] : [...audience];
  };
  for (const { before, after } of changesOf(plan)) {
    const old = before === undefined ? [] : namespacesOf(before);
    const current = after === undefined ? [] : namespacesOf(after);
    for (const namespace of new Set([...old, ...current])) {
      const sum = sumOf(namespace);
      sum.pushes += 1;
      const had = before !== undefined && old.includes(namespace) ? clustersOf(before) : new Set<string>();
      const has = after !== undefined && current.includes(namespace) ? clustersOf(after) : new Set<string>();
      sum.addedClusters += [...has].filter((cluster) => !had.has(cluster)).length;
      sum.removedClusters += [...had].filter((cluster) => !has.has(cluster)).length;
    }
  }
  const budgets = [...sums].map(([namespace, sum]) => ({
    namespace,
    ...sum,
    addedBytes: sum.addedClusters * BYTES_PER_CLUSTER,
  }));
  return sortByKey(budgets, ({ namespace }) => namespace);
}

interface Change {
  readonly before?: ServiceEntry;
  readonly after?: ServiceEntry;
}

/** Changes that a proxy notices: to write the same in another API version is none. */
function changesOf(plan: Pick<ServiceEntryPlan, 'create' | 'update' | 'delete'>): readonly Change[] {
  return [
    ...plan.create.map(({ entry }) => ({ after: entry })),
    ...plan.update
      .filter(({ reason }) => reason !== 'api-version-differs')
      .map(({ current, entry }) => ({ before: current, after: entry })),
    ...plan.delete.map(({ current }) => ({ before: current })),
  ];
}

function clustersOf({ spec }: ServiceEntry): ReadonlySet<string> {
  return new Set(spec.hosts.flatMap((host) => (spec.ports ?? []).map(({ number }) => `${number} ${host}`)));
}
