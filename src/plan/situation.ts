import { isOwned } from '../istio/ownership.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { EntryIndex } from './entry-index.js';
import { hostKeyOf, keyOf } from './order.js';
import type { PlanInput } from './plan-input.js';
import { References } from './references.js';
import { DEFAULT_ROOT_NAMESPACE, normalizeHost, visibilityIn, type Visibility } from './visibility.js';

/** A foreign entry that declares a host, and how. */
export interface Coverage {
  readonly by: ServiceEntry;
  readonly how: 'in-namespace' | 'exact' | 'wildcard';
}

const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';

/** What there is, laid out for the questions of a plan. */
export class Situation {
  readonly visibility: Visibility;
  readonly references: References;
  /** Entries of this installation, by {@link keyOf}. */
  readonly ours = new Map<string, ServiceEntry>();
  readonly oursByHost = new Map<string, ServiceEntry>();
  readonly foreignNames = new Set<string>();
  readonly #foreign = new EntryIndex();
  readonly #input: PlanInput;
  readonly #waypointNamespaces: ReadonlySet<string>;
  readonly #usableNamespaces: ReadonlySet<string> | undefined;

  constructor(input: PlanInput, current: readonly ServiceEntry[]) {
    const { policy, mesh } = input;
    const rootNamespace = policy.rootNamespace ?? DEFAULT_ROOT_NAMESPACE;
    this.#input = input;
    this.visibility = visibilityIn(mesh, policy);
    this.references = new References(mesh, {
      visibility: this.visibility,
      rootNamespace,
      clusterDomain: policy.clusterDomain ?? DEFAULT_CLUSTER_DOMAIN,
    });
    const { namespaces } = mesh ?? {};
    this.#waypointNamespaces = new Set(namespaces?.filter(({ usesWaypoint }) => usesWaypoint).map(({ name }) => name));
    this.#usableNamespaces =
      namespaces && new Set(namespaces.filter(({ isTerminating }) => !isTerminating).map(({ name }) => name));
    for (const entry of current) this.#add(entry);
  }

  #add(entry: ServiceEntry): void {
    if (!isOwned(entry, this.#input.policy.owner)) {
      this.#foreign.add(entry);
      this.foreignNames.add(keyOf(entry));
      return;
    }
    this.ours.set(keyOf(entry), entry);
    for (const host of entry.spec.hosts)
      this.oursByHost.set(`${entry.metadata.namespace}/${normalizeHost(host)}`, entry);
  }

  /** Whether the namespace takes objects, as far as is known. */
  takesEntries(namespace: string): boolean {
    return this.#input.namespaces?.has(namespace) !== false && this.#usableNamespaces?.has(namespace) !== false;
  }

  /** The namespace binds entries to a waypoint, which has no address that a client dialled, so it has to resolve the host. */
  isUselessForWaypoint({ metadata: { namespace }, spec: { resolution } }: ServiceEntry): boolean {
    return resolution === 'NONE' && this.#waypointNamespaces.has(namespace);
  }

  /** An entry of ours for the host in the namespace under another name. */
  namesake(entry: ServiceEntry): ServiceEntry | undefined {
    const other = this.oursByHost.get(hostKeyOf(entry));
    return other === undefined || keyOf(other) === keyOf(entry) ? undefined : other;
  }

  /** Foreign entries for the very host that somebody may see besides. */
  foreignWithHost(entry: ServiceEntry): readonly ServiceEntry[] {
    return this.#foreign.withHost(entry.spec.hosts[0] ?? '');
  }

  /**
   * The foreign entry that stands most in the way of one of ours.
   *
   * One for the same host in the same namespace counts whatever it exports: with different ports the loser of the two
   * gets listeners without a cluster, and the loser can be the older one. Others count if somebody who would see the
   * entry sees them too: ours would win there, with its own ports only. A wildcard of others is harmed by no exact host.
   */
  coverageOf(entry: ServiceEntry): Coverage | undefined {
    const host = entry.spec.hosts[0] ?? '';
    const exact = this.#foreign.withHost(host);
    const inNamespace = exact.find(({ metadata }) => metadata.namespace === entry.metadata.namespace);
    if (inNamespace !== undefined) return { by: inNamespace, how: 'in-namespace' };
    const isSeen = (other: ServiceEntry): boolean => this.visibility.areSeenTogether(entry, other);
    const seen = exact.find(isSeen);
    if (seen !== undefined) return { by: seen, how: 'exact' };
    const wildcard = this.#foreign.coveringHost(host).find(isSeen);
    return wildcard && { by: wildcard, how: 'wildcard' };
  }
}
