import { isUnmistakable } from '../observation/name-scope.js';

/** How a resolver makes other names of a name (resolv.conf(5)). */
export interface SearchList {
  /** Lower case, without a trailing dot. */
  readonly domains: readonly string[];
  /** A name with fewer dots is tried below each domain before it is tried as it is. */
  readonly ndots: number;
}

/**
 * The name of the Internet that a resolver with that list was asked for when it looked `hostname` up. Undefined when
 * `hostname` itself was meant, as far as can be told: whoever asks for `api.example.com.corp.example.net` by its full name
 * in a pod that searches corp.example.net is taken to have asked for `api.example.com`.
 */
export function nameAskedFor(hostname: string, { domains, ndots }: SearchList): string | undefined {
  const asked = domains
    .filter((domain) => hostname.endsWith(`.${domain}`))
    .map((domain) => hostname.slice(0, -domain.length - 1));
  return asked.find((name) => isUnmistakable(name) && name.split('.').length - 1 < ndots);
}
