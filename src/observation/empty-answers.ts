/**
 * NOERROR answers without an address: the other family may have one, and then nothing was missing. They wait, by name, until
 * that is known.
 */
export interface EmptyAnswers {
  note(name: number): void;
  /** That the name has an address, so that its empty answers are only the other family's. */
  noteAddress(name: number): void;
  /** Tells of names that have no address for long enough at `nowMs`, or of all. */
  settle(options: { readonly all: boolean; readonly nowMs: number }): void;
  clear(): void;
}

export interface EmptyAnswersOptions {
  readonly maxNames: number;
  /** Its first cell is the time of the response at hand. */
  readonly clock: Float64Array;
  /** Is told of a name without an address and how many responses said so. */
  readonly onNoAddress: (name: number, responses: number) => void;
}

/** How long an answer without an address waits for one of the other family. */
const NO_ADDRESS_MS = 5_000;

export function createEmptyAnswers({ maxNames, clock, onNoAddress }: EmptyAnswersOptions): EmptyAnswers {
  const hasAddress = new Uint8Array(maxNames);
  const counts = new Int32Array(maxNames);
  const lastMs = new Float64Array(maxNames);
  let names: number[] = []; // whose count is not 0

  return {
    note(name) {
      if (counts[name] === 0) names.push(name);
      counts[name] = (counts[name] as number) + 1;
      lastMs[name] = clock[0] as number;
    },
    noteAddress(name) {
      hasAddress[name] = 1;
    },
    settle({ all, nowMs }) {
      const isDue = (name: number): boolean =>
        all || hasAddress[name] === 1 || nowMs - (lastMs[name] as number) > NO_ADDRESS_MS;
      const due = names.filter(isDue);
      names = names.filter((name) => !isDue(name));
      for (const name of due) {
        if (hasAddress[name] === 0) onNoAddress(name, counts[name] as number);
        counts[name] = 0;
      }
    },
    clear: () => void hasAddress.fill(0),
  };
}
