/** JSON of a resource of xDS. */
type Json = Readonly<Record<string, unknown>>;

/**
 * What a proxy was served, taken to pieces: each has a line that tells what it does, and all the bytes that are behind it.
 *
 * ```text
 * cluster outbound|443||api.example.com ORIGINAL_DST
 * listener 0.0.0.0_443                                    all of it that is in no other piece
 * listener 0.0.0.0_443 [api.example.com] -> outbound|443||api.example.com
 * listener 0.0.0.0_443 otherwise -> PassthroughCluster
 * listener 0.0.0.0_80 [http] -> route 80
 * route 80
 * route 80 [api.example.com api.example.com:*] -> outbound|80||api.example.com
 * endpoints outbound|80||web.shop.svc.cluster.local 10.244.0.5:8080
 * name api.example.com 240.240.0.1
 * address ...                                             of a ztunnel
 * ```
 */
export type ProxyConfig = ReadonlyMap<string, string>;

/** What is different, in lines: `+` there is more, `-` there is less, `~` the same line with something else behind it. */
export function configChanges(before: ProxyConfig, after: ProxyConfig): readonly string[] {
  const lines = [...new Set([...before.keys(), ...after.keys()])].sort();
  return lines.flatMap((line) => {
    const [then, now] = [before.get(line), after.get(line)];
    if (then === now) return [];
    return [`${then === undefined ? '+' : now === undefined ? '-' : '~'} ${line}`];
  });
}

/** Reads what `print-proxy-config` prints. */
export function readProxyConfig(text: string): ProxyConfig {
  const pieces = new Map<string, string>();
  const keep = (line: string, value: unknown): void => {
    // Two of the same line would hide each other.
    const earlier = pieces.get(line);
    pieces.set(line, `${earlier === undefined ? '' : `${earlier}\n`}${JSON.stringify(value)}`);
  };
  const types = JSON.parse(text) as Readonly<Record<string, readonly NamedResource[]>>; // the program's documented output
  for (const [type, resources] of Object.entries(types)) {
    for (const { name, resource } of resources) (READERS[type] ?? readOther)({ name, resource, keep });
  }
  return new Map([...pieces].sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface NamedResource {
  readonly name: string;
  readonly resource: Json;
}

interface Reading extends NamedResource {
  readonly keep: (line: string, value: unknown) => void;
}

const READERS: Readonly<Record<string, (reading: Reading) => void>> = {
  clusters: ({ name, resource, keep }) => keep(`cluster ${name} ${clusterType(resource)}`, resource),
  listeners: readListener,
  routes: readRoute,
  endpoints: ({ name, resource, keep }) => keep(`endpoints ${name} ${endpointsOf(resource).join(' ')}`, resource),
  names: ({ resource, keep }) => {
    for (const [host, value] of Object.entries(resource['table'] ?? {})) {
      keep(`name ${host} ${textsOf((value as Json)['ips']).join(' ')}`, value);
    }
  },
  addresses: ({ name, resource, keep }) => keep(`address ${name}`, resource),
};

function readOther({ name, resource, keep }: Reading): void {
  keep(`other ${name}`, resource);
}

function clusterType({ type, clusterType: custom }: Json): string {
  return textOf(type) || textOf((custom as Json | undefined)?.['name']) || 'STATIC';
}

function readListener({ name, resource, keep }: Reading): void {
  const { filterChains = [], defaultFilterChain, ...rest } = resource;
  keep(`listener ${name}`, rest);
  for (const chain of recordsOf(filterChains))
    keep(`listener ${name} [${matchOf(chain)}] -> ${targetOf(chain)}`, chain);
  const fallback = defaultFilterChain as Json | undefined;
  if (fallback !== undefined) keep(`listener ${name} otherwise -> ${targetOf(fallback)}`, fallback);
}

/** What a connection has to be like: where it goes to, the name in its ClientHello, what it speaks. */
function matchOf({ filterChainMatch = {} }: Json): string {
  const match = filterChainMatch as Json;
  const prefixes = recordsOf(match['prefixRanges']).map(
    (range) => `${textOf(range['addressPrefix'])}/${textOf(range['prefixLen'])}`,
  );
  const protocols = textsOf(match['applicationProtocols']).length > 0 ? ['http'] : [];
  const port = textOf(match['destinationPort']);
  return (
    [...prefixes, port && `:${port}`, ...textsOf(match['serverNames']), ...protocols].filter(Boolean).join(' ') || 'any'
  );
}

/** Where it is sent: a cluster, or a table of routes. */
function targetOf({ filters }: Json): string {
  const targets = recordsOf(filters).flatMap(({ typedConfig }) => {
    const config = (typedConfig ?? {}) as Json;
    const routes = textOf((config['rds'] as Json | undefined)?.['routeConfigName']);
    return routes === '' ? textOf(config['cluster']) : `route ${routes}`;
  });
  return targets.filter(Boolean).join(' ') || 'its own';
}

function readRoute({ name, resource, keep }: Reading): void {
  const { virtualHosts = [], ...rest } = resource;
  keep(`route ${name}`, rest);
  for (const host of recordsOf(virtualHosts)) {
    const targets = recordsOf(host['routes']).map((route) => {
      const action = route['route'] as Json | undefined;
      return textOf(action?.['cluster']) || (action === undefined ? 'answered' : 'several');
    });
    keep(`route ${name} [${textsOf(host['domains']).join(' ')}] -> ${targets.join(' ')}`, host);
  }
}

function endpointsOf({ endpoints }: Json): readonly string[] {
  const addresses = recordsOf(endpoints)
    .flatMap(({ lbEndpoints }) => recordsOf(lbEndpoints))
    .map(({ endpoint }) => ((endpoint as Json)['address'] as Json)['socketAddress'] as Json);
  return addresses.map((socket) => `${textOf(socket['address'])}:${textOf(socket['portValue'])}`).sort();
}

function recordsOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(textOf) : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
