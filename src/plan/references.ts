import type { MeshObjects, ServiceFacts, SidecarFacts } from '../istio/mesh-objects.js';
import type { ServiceEntry } from '../istio/service-entry.js';
import { append } from './order.js';
import { type Audience, covers, type Exported, meet, normalizeHost, type Visibility } from './visibility.js';

/** An object that says something about a host. */
interface Mention extends Exported {
  /** `Kind namespace/name` */
  readonly label: string;
  /** A name or a wildcard. */
  readonly host: string;
  /** It changes nothing about the host's traffic. */
  readonly isHarmless?: true;
}

/** Kinds that can refer to a host. While one is unknown, nobody knows whether a host is referred to. */
const REFERRING_KINDS = ['services', 'virtualServices', 'destinationRules', 'sidecars'] as const;

/** What in the mesh, beside ServiceEntries, is about a host. */
export class References {
  /** Kinds that could not be read. */
  readonly unknownKinds: readonly string[];
  readonly #visibility: Visibility;
  readonly #rootNamespace: string;
  /** `name.namespace` of each Kubernetes Service. */
  readonly #services = new Set<string>();
  readonly #clusterDomain: string;
  /** What needs the host to be declared. */
  readonly #needs = new MentionIndex();
  /** What would change the host's traffic once it is declared. */
  readonly #virtualServices = new MentionIndex();
  readonly #destinationRules = new MentionIndex();

  constructor(
    mesh: MeshObjects | undefined,
    options: { readonly visibility: Visibility; readonly rootNamespace: string; readonly clusterDomain: string },
  ) {
    this.#visibility = options.visibility;
    this.#rootNamespace = options.rootNamespace;
    this.#clusterDomain = options.clusterDomain;
    this.unknownKinds = mesh === undefined ? [] : REFERRING_KINDS.filter((kind) => mesh[kind] === undefined);
    if (mesh !== undefined) this.#index(mesh);
  }

  #index({ services = [], virtualServices = [], destinationRules = [], sidecars = [] }: MeshObjects): void {
    for (const service of services) this.#addService(service);
    for (const { name, hosts, destinations, appliesToMesh, ...exported } of virtualServices) {
      const label = `VirtualService ${exported.namespace}/${name}`;
      const governed = appliesToMesh ? hosts : [];
      for (const host of governed) this.#virtualServices.add({ label, host, ...exported });
      for (const host of new Set([...destinations, ...governed])) this.#needs.add({ label, host, ...exported });
    }
    for (const { name, ...rule } of destinationRules) {
      const mention = { label: `DestinationRule ${rule.namespace}/${name}`, ...rule };
      this.#destinationRules.add(mention);
      this.#needs.add(mention);
    }
    for (const sidecar of sidecars) this.#addSidecar(sidecar);
  }

  #addService({ namespace, name, externalName }: ServiceFacts): void {
    this.#services.add(`${name}.${namespace}`);
    const label = `Service ${namespace}/${name}`;
    if (externalName !== undefined) this.#needs.add({ label, namespace, host: externalName });
  }

  /** Only names count: a Sidecar that imports a zone does not depend on one host of it. */
  #addSidecar({ namespace, name, egressHosts = [] }: SidecarFacts): void {
    const named = egressHosts.map((item) => item.slice(item.indexOf('/') + 1)).filter((host) => !host.startsWith('*'));
    for (const host of named) this.#needs.add({ label: `Sidecar ${namespace}/${name}`, namespace, host });
  }

  /** The Service that the host is a name of, or what makes it a name of the cluster. */
  serviceNamed(host: string): string | undefined {
    const name = normalizeHost(host);
    if (name.endsWith(`.${this.#clusterDomain}`)) return this.#clusterDomain;
    const service = name.replace(/\.svc$/, '');
    return this.#services.has(service) ? `Service ${service.split('.').toReversed().join('/')}` : undefined;
  }

  /** Objects that name a host of the entry, or a host below its wildcard, and can see the entry; sorted. */
  referrersOf(entry: ServiceEntry): readonly string[] {
    const audience = this.#visibility.audienceOfEntry(entry);
    const sees = ({ namespace }: Mention): boolean =>
      audience === 'everybody' || audience.has(namespace) || namespace === entry.metadata.namespace;
    const mentions = entry.spec.hosts.flatMap((host) => [
      ...this.#needs.about(host).filter(({ host: mentioned }) => mentioned !== '*'),
      ...this.#needs.below(host),
    ]);
    return labelsOf(mentions.filter(sees));
  }

  /**
   * Objects that would take hold of the host's traffic as soon as an entry declares it: the host is its operator's, who
   * may need another resolution than ours. Sorted.
   */
  governorsOf(entry: ServiceEntry): readonly string[] {
    const ours = this.#visibility.audienceOfEntry(entry);
    const isMet = (mention: Mention): boolean => meet(ours, this.#visibility.audienceOf(mention));
    const mentions = entry.spec.hosts.flatMap((host) => [
      ...this.#virtualServices.about(host).filter(isMet),
      ...this.#rulesOver(this.#destinationRules.about(host), ours, entry.metadata.namespace),
    ]);
    return labelsOf(mentions.filter(({ isHarmless }) => isHarmless !== true));
  }

  /**
   * The rules that count among those about a host. A proxy takes the first namespace that has any: its own, that of the
   * entry, the root namespace; and of these the ones with the closest host. So a harmless rule in the client's namespace
   * is the way out of a rule for the whole mesh.
   *
   * @see `destinationRule` in `pilot/pkg/model/push_context.go` in istio/istio
   */
  #rulesOver(rules: readonly Mention[], clients: Audience, namespace: string): readonly Mention[] {
    if (clients === 'everybody') return rules.filter((rule) => meet(clients, this.#visibility.audienceOf(rule)));
    return [...clients].flatMap((client) => this.#rulesFor(client, rules, namespace));
  }

  #rulesFor(client: string, rules: readonly Mention[], namespace: string): readonly Mention[] {
    const isSeen = (rule: Mention): boolean => meet(new Set([client]), this.#visibility.audienceOf(rule));
    for (const place of [client, namespace, this.#rootNamespace]) {
      const here = rules.filter((rule) => rule.namespace === place);
      // The closest one of another namespace hides the others there, also from those that it is not for.
      const closest = closestOf(here.filter(place === client ? isSeen : (rule) => this.#isExported(rule)));
      const seen = closest.filter(isSeen);
      if (seen.length > 0) return seen;
    }
    return [];
  }

  #isExported(rule: Mention): boolean {
    const audience = this.#visibility.audienceOf(rule);
    return audience === 'everybody' || [...audience].some((name) => name !== rule.namespace);
  }
}

/** Mentions by their host. */
class MentionIndex {
  readonly #byHost = new Map<string, Mention[]>();
  /** Those with a wildcard: few. */
  readonly #wildcards: Mention[] = [];

  add(mention: Mention): void {
    const host = normalizeHost(mention.host);
    if (host.startsWith('*')) this.#wildcards.push(mention);
    else append(this.#byHost, host, mention);
  }

  /** Of this host, or of a wildcard that covers it. */
  about(host: string): readonly Mention[] {
    const exact = this.#byHost.get(normalizeHost(host)) ?? [];
    return [...exact, ...this.#wildcards.filter((mention) => covers(mention.host, host))];
  }

  /** Of hosts that a wildcard covers. */
  below(wildcard: string): readonly Mention[] {
    if (!wildcard.startsWith('*')) return [];
    return [...this.#byHost].flatMap(([host, mentions]) => (covers(wildcard, host) ? mentions : []));
  }
}

/** Of two patterns that cover a host the longer one is closer, and a name is closer than any wildcard. */
function closenessOf({ host }: Mention): number {
  return normalizeHost(host).length + (host.startsWith('*') ? 0 : 1);
}

function closestOf(mentions: readonly Mention[]): readonly Mention[] {
  const closest = Math.max(...mentions.map(closenessOf));
  return mentions.filter((mention) => closenessOf(mention) === closest);
}

function labelsOf(mentions: readonly Mention[]): readonly string[] {
  return [...new Set(mentions.map(({ label }) => label))].sort();
}
