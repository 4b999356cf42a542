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
  /** One a name, in order: the name, and a few of the addresses that the program found; none when it found none. */
  readonly lookups: readonly string[];
}

export interface Ambiguity {
  readonly learnt: string;
  readonly why: string;
}

const FOLLOWS = 'the program asked for the target of a CNAME itself, which cannot be told from being told to';
const REFUSED = 'the program refused the answer, in which autopath put the CNAME of the Service twice, and walked on';
const GAVE_UP = 'its server left a query without an answer, and the program gave up';

/** What makes some of what is seen ambiguous. */
interface HowItAsked {
  readonly asksForTargets?: boolean;
  readonly hasAutopath?: boolean;
}

/** What look-ups of a pod must teach, judged by what the program itself made of them. */
export function judgeLookups(
  pod: Omit<PodTruth, 'resolvConf'>,
  names: readonly NameToLookUp[],
  how: HowItAsked = {},
): Pick<GroundTruth, 'learnt' | 'ambiguous'> {
  const line = (host: string): string => `${pod.namespace} ${pod.workload} ${host}`;
  const judged = names.map((lookup, index) => {
    const addresses = pod.lookups[index]?.split(' ').slice(1) ?? [];
    return judgeLookup(lookup, addresses, { ...how, line });
  });
  const learnt = new Set(judged.flatMap((one) => one.learnt));
  return { learnt: [...learnt].toSorted(), ambiguous: judged.flatMap(({ ambiguous }) => ambiguous) };
}

function judgeLookup(
  lookup: NameToLookUp,
  addresses: readonly string[],
  { asksForTargets, hasAutopath = false, line }: HowItAsked & { readonly line: (host: string) => string },
): Pick<GroundTruth, 'learnt' | 'ambiguous'> {
  const { name, host, targets = [] } = lookup;
  const follows = asksForTargets ? targets.map((target) => ({ learnt: line(target), why: FOLLOWS })) : [];
  if (addresses.includes(WILDCARD_ADDRESS)) {
    return { learnt: [], ambiguous: [...follows, ...wildcardAmbiguities(name, line)] };
  }
  if (host === undefined) return { learnt: [], ambiguous: follows };
  if (addresses.length > 0) return { learnt: [line(host)], ambiguous: follows };
  const reasons = whyNotFound(lookup, hasAutopath);
  return { learnt: [], ambiguous: [...follows, ...reasons.map((why) => ({ learnt: line(host), why }))] };
}

/** Why a host may have been answered for, though the program found no address. */
function whyNotFound({ flaky, externalName }: NameToLookUp, hasAutopath: boolean): readonly string[] {
  return [...(flaky ? [GAVE_UP] : []), ...(externalName && hasAutopath ? [REFUSED] : [])];
}

/** The client connects to what the wildcard domain answers, though it asked for another name. */
function wildcardAmbiguities(name: string, line: (host: string) => string): readonly Ambiguity[] {
  const why = `the search domain ${INTERNET_NAMES.wildcardDomain} answers every name, so the plain name was never asked`;
  return [name, `${name}.${INTERNET_NAMES.wildcardDomain}`].map((host) => ({ learnt: line(host), why }));
}
