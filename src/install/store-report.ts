/** What the store says of itself; made by whoever may open it. */
export interface StoreReport {
  readonly kind: 'embedded' | 'redis';
  readonly reachable: boolean;
  /** Why not. */
  readonly reason?: string;
  /** Whether what it holds survives a restart; absent when it does not tell. */
  readonly persistence?: 'append-only file' | 'none' | 'snapshots';
  /** What Redis does when its memory is full; everything but `noeviction` forgets hosts. */
  readonly evictionPolicy?: string;
  /** Collectors that have said something of themselves, in order of their name; absent when it was not asked. */
  readonly collectors?: readonly StoredCollector[];
}

/** What a collector last said. */
export interface StoredCollector {
  readonly name: string;
  readonly connections: number;
  /** What it has handed over since it started. */
  readonly batches: number;
  readonly secondsSinceReport: number;
}
