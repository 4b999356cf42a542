interface NodeClaim {
  readonly node: string;
  startMs: number;
  /** End of the last object that said so; the claim is open while one still does. */
  lastEndMs: number;
  /** The objects that say so: pods of the node, and the Node itself. */
  readonly holders: Set<string>;
}

/** Claims kept an address. Addresses of nodes are reused, though slowly; the oldest claim goes. */
const MAX_CLAIMS = 8;

export interface NodeClaimSource {
  readonly address: string;
  readonly node: string;
  readonly startMs: number;
  /** Uid of the object that says so. */
  readonly holder: string;
}

export interface NodeRelease {
  readonly address: string;
  readonly holder: string;
  readonly atMs: number;
}

/** Four times the nodes of the largest clusters, for two address families. The address heard of longest ago goes. */
const MAX_NODE_ADDRESSES = 40_000;

/** Which node had an address, by the Node's InternalIP and the `hostIP` of pods. */
export class NodeAddresses {
  readonly #claims = new Map<string, NodeClaim[]>();

  get size(): number {
    return this.#claims.size;
  }

  claim({ address, node, startMs, holder }: NodeClaimSource): void {
    const claims = this.#claims.get(address) ?? [];
    this.#claims.delete(address); // so that the order of the map is the order of hearing
    this.#claims.set(address, claims);
    for (const oldest of this.#claims.keys()) {
      if (this.#claims.size <= MAX_NODE_ADDRESSES) break;
      this.#claims.delete(oldest);
    }
    const known = claims.find((claim) => claim.node === node);
    if (known === undefined) {
      claims.push({ node, startMs, lastEndMs: -Infinity, holders: new Set([holder]) });
      claims.sort(byStart);
      if (claims.length > MAX_CLAIMS) claims.shift();
      return;
    }
    known.startMs = Math.min(known.startMs, startMs);
    known.holders.add(holder);
    claims.sort(byStart);
  }

  /** The object no longer says so; with the last one the claim ends. */
  release({ address, holder, atMs }: NodeRelease): void {
    for (const claim of this.#claims.get(address) ?? []) {
      if (claim.holders.delete(holder)) claim.lastEndMs = Math.max(claim.lastEndMs, atMs);
    }
  }

  /** The node that had the address at the time; of several the one that came last, as it can only have followed. */
  find(address: string, atMs: number, slackMs: number): string | undefined {
    const claims = this.#claims.get(address) ?? [];
    return claims.findLast((claim) => claim.startMs - slackMs <= atMs && atMs <= endOf(claim) + slackMs)?.node;
  }
}

function endOf({ holders, lastEndMs }: NodeClaim): number {
  return holders.size > 0 ? Infinity : lastEndMs;
}

function byStart(a: NodeClaim, b: NodeClaim): number {
  return a.startMs - b.startMs;
}
