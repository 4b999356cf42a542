import { formatName } from '../dns/message-reader.js';
import {
  canBeSearchDomain,
  isGlobalName,
  isUnmistakable,
  scopeOf,
  type KnownClusterDomains,
  type NameScope,
  type ScopeSettings,
} from './name-scope.js';
import { WALK_SALTS, type WalkStepKind } from './walk-table.js';
import { hashPrefix } from './wire-name.js';

const HEADER_OCTETS = 12; // RFC 1035 section 4.1.1

/** What is worked out once about a question name. */
export interface NameFacts {
  /** Presentation form, lower case; empty for octets that are no name. */
  readonly text: string;
  readonly scope: NameScope;
  /** The names whose search walk a look-up of this name is a step of. */
  readonly steps: readonly WalkStep[];
  /** The names of which this one would be a search expansion. */
  readonly expansions: readonly SearchExpansion[];
}

export interface WalkStep {
  /** As the walk table knows it. */
  readonly hash: number;
  /** Of the last step in the cluster's domain, the step before it; 0 of other steps. */
  readonly before: number;
}

/** One way to read a name P.S as a name P with a search domain S appended. */
export interface SearchExpansion {
  readonly asked: string;
  readonly askedHash: number;
  readonly suffix: string;
  /** P is a name of the Internet without having seen a client walk it. */
  readonly isUnmistakable: boolean;
}

/** A question name as it lies in its message, `[messageStart + 12, nameEnd)`, and folded. */
export interface QuestionName {
  readonly bytes: Uint8Array;
  readonly messageStart: number;
  readonly nameEnd: number;
  readonly words: Int32Array;
}

export interface NameContext {
  readonly settings: ScopeSettings;
  readonly cluster: KnownClusterDomains;
  readonly seed: number;
}

/**
 * Works out the facts of a question name. `api.example.com.shop.svc.cluster.local` is a step of a walk of
 * `api.example.com.shop` or of `api.example.com`, since from the name alone one cannot tell where the search domain begins.
 */
export function readNameFacts({ bytes, messageStart, nameEnd, words }: QuestionName, context: NameContext): NameFacts {
  const formatted = formatName(bytes, messageStart, messageStart + HEADER_OCTETS, nameEnd);
  const text = 'fault' in formatted ? '.' : formatted.name.toLowerCase();
  const scope = scopeOf(text, context.settings, context.cluster);
  if (text === '.' || text.includes('\\')) return { text, scope, steps: [], expansions: [] };

  const labels = text.split('.');
  const hashOf = (count: number): number => hashPrefix(words, octetsOf(labels, count), context.seed);
  if (scope.kind === 'cluster') {
    const steps = stepsOf(labels, scope.domain).map(({ count, kind }) => toStep(hashOf(count), kind));
    return { text, scope, steps, expansions: [] };
  }
  const cuts = labels.map((_, index) => index).slice(2); // P has at least two labels
  const expansions = cuts.flatMap((cut) => expansionAt(labels, cut) ?? []);
  return {
    text,
    scope,
    steps: [toStep(hashOf(labels.length), 'plain')],
    expansions: expansions.map(({ cut, ...expansion }) => ({ ...expansion, askedHash: hashOf(cut) })),
  };
}

function toStep(askedHash: number, kind: WalkStepKind): WalkStep {
  return { hash: askedHash ^ WALK_SALTS[kind], before: kind === 'domain' ? askedHash ^ WALK_SALTS.service : 0 };
}

/** How many labels before the search domain the name has that the client walks. */
function stepsOf(
  labels: readonly string[],
  clusterDomain: string,
): readonly { readonly count: number; readonly kind: WalkStepKind }[] {
  const inCluster = labels.length - clusterDomain.split('.').length;
  const counts = labels[inCluster - 1] === 'svc' ? [inCluster - 1, inCluster - 2] : [inCluster];
  const kind = counts.length === 2 ? 'service' : 'domain';
  return counts.filter((count) => count >= 2).map((count) => ({ count, kind }));
}

function expansionAt(
  labels: readonly string[],
  cut: number,
): (Omit<SearchExpansion, 'askedHash'> & { readonly cut: number }) | undefined {
  const asked = labels.slice(0, cut).join('.');
  const suffix = labels.slice(cut).join('.');
  if (!canBeSearchDomain(suffix) || !isGlobalName(asked)) return undefined;
  return { cut, asked, suffix, isUnmistakable: isUnmistakable(asked) };
}

/** Wire length of the first `count` labels: a length octet and the characters each. */
function octetsOf(labels: readonly string[], count: number): number {
  return labels.slice(0, count).reduce((octets, label) => octets + 1 + label.length, 0);
}
