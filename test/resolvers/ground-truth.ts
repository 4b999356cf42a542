import { WILDCARD_ADDRESS, type NameToLookUp } from './workload.js';
import { INTERNET_NAMES } from '../support/small-internet.js';

/** What was done in a recording, and what must be learnt from it. */
export interface GroundTruth {
  /** The program that looked names up, with its version. */
  readonly program: string;
  readonly coredns: string;
  readonly pods: readonly PodTruth[];
  /** `NAMESPACE KIND/NAME HOST`, sorted: what is to be learnt, all of it and nothing else. */
  readonly learnt: readonly string[];
  /** What may be learnt or not, with the reason. */
  readonly ambiguous: readonly Ambiguity[];
}

export interface PodTruth {
  readonly namespace: string;
  /** `KIND/NAME`. */
  readonly workload: string;
  readonly podIp: string;
  readonly resolvConf: string;
  /** One a name, in order: the name, and the addresses that the program found; none when there is no such name, or it failed. */
  readonly lookups: readonly string[];
}

export interface Ambiguity {
  readonly learnt: string;
  readonly why: string;
}

const GAVE_UP = 'its server left a query without an answer, and the program gave up';

/** What look-ups of a pod must teach, judged by what the program itself made of them. */
export function judgeLookups(
  pod: Omit<PodTruth, 'resolvConf'>,
  names: readonly NameToLookUp[],
): Pick<GroundTruth, 'learnt' | 'ambiguous'> {
  const learnt = new Set<string>();
  const ambiguous: Ambiguity[] = [];
  for (const [index, { name, host, flaky }] of names.entries()) {
    const addresses = pod.lookups[index]?.split(' ').slice(1) ?? [];
    const line = (of: string): string => `${pod.namespace} ${pod.workload} ${of}`;
    if (addresses.includes(WILDCARD_ADDRESS)) ambiguous.push(...wildcardAmbiguities(name, line));
    else if (host !== undefined && addresses.length > 0) learnt.add(line(host));
    else if (host !== undefined && flaky === true) ambiguous.push({ learnt: line(host), why: GAVE_UP });
  }
  return { learnt: [...learnt].toSorted(), ambiguous };
}

/** The client connects to what the wildcard domain answers, though it asked for another name. */
function wildcardAmbiguities(name: string, line: (host: string) => string): readonly Ambiguity[] {
  const why = `the search domain ${INTERNET_NAMES.wildcardDomain} answers every name, so the plain name was never asked`;
  return [name, `${name}.${INTERNET_NAMES.wildcardDomain}`].map((host) => ({ learnt: line(host), why }));
}
