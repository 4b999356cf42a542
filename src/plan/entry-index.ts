import type { ServiceEntry } from '../istio/service-entry.js';
import { append } from './order.js';
import { normalizeHost } from './visibility.js';

/** Entries by the hosts that they declare, so that each look-up costs as many steps as a host has characters. */
export class EntryIndex {
  readonly #exact = new Map<string, ServiceEntry[]>();
  /** By what follows the star: `.example.com` for `*.example.com`, `foo.com` for the partial wildcard `*foo.com`. */
  readonly #wildcards = new Map<string, ServiceEntry[]>();

  add(entry: ServiceEntry): void {
    for (const host of entry.spec.hosts.map(normalizeHost)) {
      const [map, key] = host.startsWith('*') ? [this.#wildcards, host.slice(1)] : [this.#exact, host];
      append(map, key, entry);
    }
  }

  /** Entries that declare this very host. */
  withHost(host: string): readonly ServiceEntry[] {
    const name = normalizeHost(host);
    const entries = name.startsWith('*') ? this.#wildcards.get(name.slice(1)) : this.#exact.get(name);
    return entries ?? [];
  }

  /** Entries with a wildcard that covers the host, not the host itself; the closest first. */
  coveringHost(host: string): readonly ServiceEntry[] {
    if (this.#wildcards.size === 0) return [];
    const name = normalizeHost(host);
    const rest = name.startsWith('*') ? name.slice(1) : name;
    const found: ServiceEntry[] = [];
    // Every suffix, because partial wildcards exist.
    for (let start = 1; start < rest.length; start += 1) found.push(...(this.#wildcards.get(rest.slice(start)) ?? []));
    return found;
  }

  /** Entries with a host below the wildcard. */
  belowWildcard(wildcard: string): readonly ServiceEntry[] {
    const zone = normalizeHost(wildcard).slice(1);
    return [...this.#exact, ...this.#wildcards].flatMap(([host, entries]) =>
      host.endsWith(zone) && host !== zone ? entries : [],
    );
  }
}
