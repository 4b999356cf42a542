import { formatName } from '../dns/message-reader.js';
import { canBeSearchDomain, isGlobalName, scopeOf, type NameScope, type ScopeSettings } from './name-scope.js';
import { hashPrefix } from './wire-name.js';

const HEADER_OCTETS = 12; // RFC 1035 section 4.1.1

/** What is worked out once about a question name. */
export interface NameFacts {
  /** Presentation form, lower case. */
  readonly text: string;
  readonly scope: NameScope;
  /** Hashes of the names whose search walk a look-up of this name is a step of. */
  readonly walked: readonly number[];
  /** Hashes of the names of which this one would be a search expansion, if the client has just walked them. */
  readonly expands: readonly number[];
}

/** A question name as it lies in its message, `[messageStart + 12, nameEnd)`, and folded. */
export interface QuestionName {
  readonly bytes: Uint8Array;
  readonly messageStart: number;
  readonly nameEnd: number;
  readonly words: Int32Array;
}

/**
 * Works out the facts of a question name. For
 * `api.example.com.shop.svc.cluster.local`, `walked` is `api.example.com.shop.svc`, `api.example.com.shop` and
 * `api.example.com`, since from the name alone one cannot tell where the search domain begins.
 */
export function readNameFacts(
  { bytes, messageStart, nameEnd, words }: QuestionName,
  settings: ScopeSettings,
  seed: number,
): NameFacts {
  const formatted = formatName(bytes, messageStart, messageStart + HEADER_OCTETS, nameEnd);
  const text = 'fault' in formatted ? '.' : formatted.name.toLowerCase();
  const scope = scopeOf(text, settings);
  if (text === '.' || text.includes('\\')) return { text, scope, walked: [], expands: [] };

  const labels = text.split('.');
  const prefixHash = (count: number): number => hashPrefix(words, octetsOf(labels, count), seed);
  if (scope.kind !== 'cluster') {
    const cuts = labels.map((_, index) => index).slice(2); // P has at least two labels
    const isCut = (cut: number): boolean =>
      canBeSearchDomain(labels.slice(cut).join('.')) && isGlobalName(labels.slice(0, cut).join('.'));
    return { text, scope, walked: [prefixHash(labels.length)], expands: cuts.filter(isCut).map(prefixHash) };
  }
  const inCluster = labels.length - settings.clusterDomain.split('.').length;
  const inServices = labels[inCluster - 1] === 'svc' ? [inCluster - 1, inCluster - 2] : [];
  return { text, scope, walked: [inCluster, ...inServices].filter((count) => count >= 2).map(prefixHash), expands: [] };
}

/** Wire length of the first `count` labels: a length octet and the characters each. */
function octetsOf(labels: readonly string[], count: number): number {
  return labels.slice(0, count).reduce((octets, label) => octets + 1 + label.length, 0);
}
