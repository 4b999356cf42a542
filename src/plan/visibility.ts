import type { MeshObjects, SidecarFacts } from '../istio/mesh-objects.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { append } from './order.js';

/** Namespaces to which something is exported. */
export type Audience = ReadonlySet<string> | 'everybody';

/** Something that is exported: a ServiceEntry, a VirtualService, a DestinationRule. */
export interface Exported {
  readonly namespace: string;
  readonly exportTo?: readonly string[];
}

export interface VisibilityOptions {
  readonly sidecars: MeshObjects['sidecars'];
  readonly rootNamespace: string;
  /** What no `exportTo` means in this mesh. */
  readonly defaultExportTo: readonly string[];
  /** Namespaces whose traffic goes through a ztunnel, which takes every entry for exported to everybody. @defaultValue none */
  readonly ambientNamespaces?: ReadonlySet<string>;
}

const DEFAULT_EXPORT_TO = ['*'];
export const DEFAULT_ROOT_NAMESPACE = 'istio-system';

/** Who sees what in a mesh, as far as it is known. */
export function visibilityIn(
  mesh: MeshObjects | undefined,
  { rootNamespace = DEFAULT_ROOT_NAMESPACE, defaultExportTo = DEFAULT_EXPORT_TO }: Partial<VisibilityOptions>,
): Visibility {
  const ambient = mesh?.namespaces?.filter(({ isAmbient }) => isAmbient).map(({ name }) => name);
  return new Visibility({
    sidecars: mesh?.sidecars,
    rootNamespace,
    defaultExportTo,
    ambientNamespaces: new Set(ambient),
  });
}

/**
 * Who sees what: the owner exports, and the Sidecars of the client's namespace import. The Sidecar of a workload is one
 * whose selector matches it, else the one of its namespace without a selector, else that of the root namespace, else
 * everything is imported.
 *
 * @see `pilot/pkg/model/sidecar.go` and `push_context.go` in istio/istio
 */
export class Visibility {
  readonly #defaultExportTo: readonly string[];
  /** By namespace; those without a selector apart. */
  readonly #defaults = new Map<string, SidecarFacts>();
  readonly #selecting = new Map<string, SidecarFacts[]>();
  readonly #rootNamespace: string;
  readonly #ambient: ReadonlySet<string>;

  constructor({ sidecars = [], rootNamespace, defaultExportTo, ambientNamespaces }: VisibilityOptions) {
    this.#rootNamespace = rootNamespace;
    this.#defaultExportTo = defaultExportTo;
    this.#ambient = ambientNamespaces ?? new Set();
    for (const sidecar of sidecars) {
      const { namespace } = sidecar;
      if (sidecar.isDefault) this.#defaults.set(namespace, sidecar);
      else append(this.#selecting, namespace, sidecar);
    }
  }

  audienceOf({ namespace, exportTo = [] }: Exported): Audience {
    const names = exportTo.length === 0 ? this.#defaultExportTo : exportTo;
    if (names.includes('*')) return 'everybody';
    return new Set(names.filter((name) => name !== '~').map((name) => (name === '.' ? namespace : name)));
  }

  audienceOfEntry({ metadata: { namespace }, spec: { exportTo } }: ServiceEntry): Audience {
    return this.audienceOf({ namespace, ...(exportTo && { exportTo }) });
  }

  /** Whether some client that is to see one entry may see the other, too. */
  areSeenTogether(one: ServiceEntry, other: ServiceEntry): boolean {
    const [ours, theirs] = [this.audienceOfEntry(one), this.audienceOfEntry(other)];
    if (ours === 'everybody') return meet(ours, theirs);
    return [...ours].some((namespace) => isWithin(namespace, theirs) && this.mayImport(namespace, other));
  }

  /** Whether every client that is to see one entry surely sees the other. */
  isSeenByAllOf(other: ServiceEntry, one: ServiceEntry): boolean {
    const [ours, theirs] = [this.audienceOfEntry(one), this.audienceOfEntry(other)];
    if (ours === 'everybody') return theirs === 'everybody' && this.#isImportedEverywhere(other);
    return [...ours].every((namespace) => isWithin(namespace, theirs) && this.#surelyImports(namespace, other));
  }

  /** Whether some proxy of the namespace may know the entry. */
  maySee(namespace: string, entry: ServiceEntry): boolean {
    if (this.#ambient.has(namespace)) return true;
    return isWithin(namespace, this.audienceOfEntry(entry)) && this.mayImport(namespace, entry);
  }

  /** Whether all proxies of the namespace know the entry. */
  surelySees(namespace: string, entry: ServiceEntry): boolean {
    return isWithin(namespace, this.audienceOfEntry(entry)) && this.#surelyImports(namespace, entry);
  }

  /** Namespaces to which an entry is exported although nobody there imports it. */
  blindNamespaces(entry: ServiceEntry): readonly string[] {
    const audience = this.audienceOfEntry(entry);
    if (audience === 'everybody') return [];
    return [...audience].filter((namespace) => !this.mayImport(namespace, entry)).sort();
  }

  /** Whether some workload of the namespace imports what the entry declares, if it is exported to it. */
  mayImport(namespace: string, entry: ServiceEntry): boolean {
    return this.#sidecarsOf(namespace).some((sidecar) => sidecar === 'none' || imports(sidecar, entry));
  }

  #surelyImports(namespace: string, entry: ServiceEntry): boolean {
    return this.#sidecarsOf(namespace).every((sidecar) => sidecar === 'none' || imports(sidecar, entry));
  }

  #isImportedEverywhere(entry: ServiceEntry): boolean {
    const all = [...this.#defaults.values(), ...[...this.#selecting.values()].flat()];
    return all.every((sidecar) => imports(sidecar, entry));
  }

  #sidecarsOf(namespace: string): readonly (SidecarFacts | 'none')[] {
    const rest = this.#defaults.get(namespace) ?? this.#defaults.get(this.#rootNamespace) ?? 'none';
    return [rest, ...(this.#selecting.get(namespace) ?? [])];
  }
}

/** Whether somebody is in both. */
export function meet(one: Audience, other: Audience): boolean {
  if (one === 'everybody') return other === 'everybody' || other.size > 0;
  return other === 'everybody' ? one.size > 0 : [...one].some((namespace) => other.has(namespace));
}

function isWithin(namespace: string, audience: Audience): boolean {
  return audience === 'everybody' || audience.has(namespace);
}

function imports({ namespace, egressHosts }: SidecarFacts, { metadata, spec }: ServiceEntry): boolean {
  if (egressHosts === undefined) return true;
  return egressHosts.some((item) => {
    const slash = item.indexOf('/');
    const from = item.slice(0, slash);
    const isFrom = from === '*' || (from === '.' ? namespace : from) === metadata.namespace;
    return isFrom && spec.hosts.some((host) => covers(item.slice(slash + 1), host));
  });
}

/** Whether a pattern (a name, `*.` and a zone, or `*`) covers a host, which may be a wildcard itself. */
export function covers(pattern: string, host: string): boolean {
  const [wide, narrow] = [normalizeHost(pattern), normalizeHost(host)];
  if (wide === narrow || wide === '*') return true;
  // `*.example.com` covers any depth, not the apex; partial wildcards such as `*ample.com` exist although Envoy refuses them.
  return wide.startsWith('*') && narrow.endsWith(wide.slice(1)) && narrow.length > wide.length - 1;
}

/** Hosts are compared without regard to case and to one trailing dot, as Istio and Envoy do. */
export function normalizeHost(host: string): string {
  return (host.endsWith('.') ? host.slice(0, -1) : host).toLowerCase();
}
