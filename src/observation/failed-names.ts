import type { NameFacts } from './name-facts.js';

/**
 * Facts of names that have failed, by the hash of the name: a newer name overwrites an older one in the same place. They are
 * not kept with the others, since a flood of names that do not exist must not push out what is known of those that do.
 */
export interface FailedNames {
  /** The facts of a name, read if they are not known. */
  factsOf(nameHash: number): NameFacts;
  clear(): void;
}

const PLACES = 16_384;

export function createFailedNames(read: () => NameFacts): FailedNames {
  const hashes = new Int32Array(PLACES);
  const facts: (NameFacts | undefined)[] = Array.from({ length: PLACES });

  return {
    factsOf(nameHash) {
      const place = nameHash & (PLACES - 1);
      const known = hashes[place] === nameHash ? facts[place] : undefined;
      if (known !== undefined) return known;
      const fresh = read();
      // Names with octets beyond ASCII can be made to have the hash of any other, whatever the seed.
      if (fresh.text.includes('\\')) return fresh;
      hashes[place] = nameHash;
      facts[place] = fresh;
      return fresh;
    },
    clear() {
      hashes.fill(0);
      facts.fill(undefined);
    },
  };
}
