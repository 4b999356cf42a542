/**
 * Which hosts are an alias of another host, or have an alias. Only among them can an answer be of CoreDNS's own look-up of a
 * CNAME's target (see exchange-table.ts); most hosts need not be looked at twice.
 */
export interface AliasTable {
  /** By host id: 1 for both ends of an alias. */
  readonly involved: Uint8Array;
  /** Takes in an answer to `asked` that made a host: its names, from the one asked to the last target. */
  add(host: number, answer: { readonly hostname: string; readonly cnames: readonly string[] }, asked: string): void;
  clear(): void;
}

export function createAliasTable(maxHosts: number): AliasTable {
  const involved = new Uint8Array(maxHosts);
  const hosts = new Map<string, number>();
  const aliases = new Map<string, number[]>(); // by the name that they lead to

  function connect(alias: number, target: number): void {
    involved[alias] = 1;
    involved[target] = 1;
  }

  function addTarget(alias: number, name: string): void {
    const target = hosts.get(name);
    if (target !== undefined) connect(alias, target);
    const known = aliases.get(name);
    if (known === undefined) aliases.set(name, [alias]);
    else if (!known.includes(alias)) known.push(alias);
  }

  return {
    involved,
    add(host, { hostname, cnames }, asked) {
      if (hostname !== asked) involved[host] = 1; // ExternalName, autopath: another name leads to this very host
      if (!hosts.has(hostname)) {
        hosts.set(hostname, host);
        for (const alias of aliases.get(hostname) ?? []) connect(alias, host);
      }
      for (const name of cnames) addTarget(host, name);
    },
    clear() {
      involved.fill(0);
      hosts.clear();
      aliases.clear();
    },
  };
}
