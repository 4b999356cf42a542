/** Examples of one reason that a store keeps. */
export const MAX_STORED_EXAMPLES = 8;

/** The first few in order, so that merging in any order gives the same. */
export function mergeExamples(known: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Set([...known, ...more])].sort().slice(0, MAX_STORED_EXAMPLES);
}
