import { finish } from './wire-name.js';

/** What an answer to a name means: the id of a host, or -1 less the index of a reason for which it makes none. */
export type Verdict = number;

/**
 * Verdicts that have been worked out, so that an answer like one before need not be decoded.
 *
 * ```
 *   pairs   [ v v | . v | . . | … ]               two places for each hash of name and signature
 *   v       [ name id + 1 | signature | verdict | . ]
 * ```
 */
export interface VerdictTable {
  /** The verdict on an answer with this signature (see {@link AnswerScan}); judged if it is not known. */
  of(name: number, nameHash: number, signature: number): Verdict;
  clear(): void;
}

const PLACES = 65_536;
const PLACE = 4; // int32 of a place

export function createVerdictTable(judge: (name: number) => Verdict): VerdictTable {
  const places = new Int32Array(PLACES * PLACE);

  function judgeAnew(name: number, signature: number, first: number): Verdict {
    // The one that was here moves over: two names that share a place must not push each other out for ever.
    places.copyWithin(first + PLACE, first, first + PLACE);
    const verdict = judge(name);
    places.set([name + 1, signature, verdict], first);
    return verdict;
  }

  return {
    of(name, nameHash, signature) {
      const first = (finish(nameHash ^ signature) & (PLACES - 2)) * PLACE;
      if (places[first] === name + 1 && places[first + 1] === signature) return places[first + 2] as number;
      const second = first + PLACE;
      if (places[second] === name + 1 && places[second + 1] === signature) return places[second + 2] as number;
      return judgeAnew(name, signature, first);
    },
    clear: () => void places.fill(0),
  };
}
