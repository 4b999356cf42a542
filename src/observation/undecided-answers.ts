/**
 * How often each client got an answer to a name of which it was left open whether that name was meant. Bounded: when there
 * is no room, the client that has most of it loses its counts, so that no client can keep those of others from counting.
 */
export interface UndecidedAnswers {
  countOf(client: number, name: number): number;
  add(client: number, name: number): void;
  clear(): void;
}

const MAX_COUNTS = 16_384;

export function createUndecidedAnswers(): UndecidedAnswers {
  const counts = new Map<number, Map<number, number>>(); // by client, then by name
  let size = 0;

  function dropLargest(): void {
    const [client, names] = [...counts].reduce((a, b) => (b[1].size > a[1].size ? b : a));
    counts.delete(client);
    size -= names.size;
  }

  return {
    countOf: (client, name) => counts.get(client)?.get(name) ?? 0,
    add(client, name) {
      if (size >= MAX_COUNTS) dropLargest();
      const names = counts.get(client) ?? new Map<number, number>();
      counts.set(client, names);
      if (!names.has(name)) size++;
      names.set(name, (names.get(name) ?? 0) + 1);
    },
    clear() {
      counts.clear();
      size = 0;
    },
  };
}
