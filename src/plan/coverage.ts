import type { ServiceEntry } from '../istio/service-entry.js';

/** An entry that already declares a host, and how. */
export interface Coverage {
  readonly by: ServiceEntry;
  readonly how: 'in-namespace' | 'exact' | 'wildcard';
}

/**
 * The foreign entries by the hosts that they declare, so that each wanted entry costs a few look-ups.
 *
 * @see `pilot/pkg/model/push_context.go` in istio/istio for who sees which entry
 */
export class ForeignEntries {
  readonly #exact = new Map<string, ServiceEntry[]>();
  /** By what follows the star: `.example.com` for `*.example.com`, `foo.com` for the partial wildcard `*foo.com`. */
  readonly #wildcards = new Map<string, ServiceEntry[]>();
  readonly #defaultExportTo: readonly string[];

  constructor(entries: readonly ServiceEntry[], defaultExportTo: readonly string[]) {
    this.#defaultExportTo = defaultExportTo;
    for (const entry of entries) {
      for (const host of entry.spec.hosts) this.#add(normalizeHost(host), entry);
    }
  }

  #add(host: string, entry: ServiceEntry): void {
    const [map, key] = host.startsWith('*') ? [this.#wildcards, host.slice(1)] : [this.#exact, host];
    const entries = map.get(key);
    if (entries === undefined) map.set(key, [entry]);
    else entries.push(entry);
  }

  /**
   * The foreign entry that stands most in the way of a wanted one.
   *
   * One for the same host in the same namespace counts whatever it exports: with different ports the loser of the two
   * gets listeners without a cluster, and the loser can be the older one. Others count if somebody who would see the
   * wanted entry sees them too: the wanted one would win there, with its own ports only. A wildcard of others is harmed
   * by no exact host.
   */
  coverageOf(wanted: ServiceEntry): Coverage | undefined {
    const host = normalizeHost(wanted.spec.hosts[0] ?? '');
    const exact = this.#exact.get(host) ?? [];
    const inNamespace = exact.find((entry) => entry.metadata.namespace === wanted.metadata.namespace);
    if (inNamespace !== undefined) return { by: inNamespace, how: 'in-namespace' };
    const seen = exact.find((entry) => this.#isSeenBesides(entry, wanted));
    if (seen !== undefined) return { by: seen, how: 'exact' };
    const wildcard = this.#wildcardsOver(host).find((entry) => this.#isSeenBesides(entry, wanted));
    return wildcard && { by: wildcard, how: 'wildcard' };
  }

  /** A wildcard covers any depth, not the apex. */
  #wildcardsOver(host: string): readonly ServiceEntry[] {
    if (this.#wildcards.size === 0) return [];
    const found: ServiceEntry[] = [];
    // Every suffix, because partial wildcards such as *foo.com exist although Envoy refuses them.
    for (let start = 1; start <= host.length; start += 1) found.push(...(this.#wildcards.get(host.slice(start)) ?? []));
    return found;
  }

  #isSeenBesides(foreign: ServiceEntry, wanted: ServiceEntry): boolean {
    const theirs = this.#audienceOf(foreign);
    const ours = this.#audienceOf(wanted);
    if (theirs === 'nobody' || ours === 'nobody') return false;
    if (theirs === 'everybody' || ours === 'everybody') return true;
    return [...ours].some((namespace) => theirs.has(namespace));
  }

  #audienceOf(entry: ServiceEntry): ReadonlySet<string> | 'everybody' | 'nobody' {
    const own = entry.spec.exportTo ?? [];
    const exportTo = own.length === 0 ? this.#defaultExportTo : own;
    if (exportTo.includes('*')) return 'everybody';
    const namespaces = exportTo.filter((item) => item !== '~');
    if (namespaces.length === 0) return 'nobody';
    return new Set(namespaces.map((item) => (item === '.' ? entry.metadata.namespace : item)));
  }
}

/** Hosts are compared without regard to case and to one trailing dot, as Istio and Envoy do. */
export function normalizeHost(host: string): string {
  return (host.endsWith('.') ? host.slice(0, -1) : host).toLowerCase();
}
