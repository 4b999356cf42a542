import type { NameFacts, SearchExpansion, WalkStep } from './name-facts.js';
import { createWalkTable, WALK_MS, WALK_SALTS } from './walk-table.js';

/** What a positive answer to a name is, by what its client asked before. */
export interface WalkVerdict {
  /**
   * - `host`: the name was meant.
   * - `expansion`: the client asked for another name, of which this is one with a search domain appended.
   * - `undecided`: either, as far as this collector can see.
   */
  readonly kind: 'host' | 'expansion' | 'undecided';
  /** Of an expansion, the name asked. */
  readonly asked: string;
  /** Nothing that may still arrive can say something else. */
  readonly isSeen: boolean;
}

const MEANT: WalkVerdict = { kind: 'host', asked: '', isSeen: true };
const HOST: WalkVerdict = { kind: 'host', asked: '', isSeen: false };
const UNDECIDED: WalkVerdict = { kind: 'undecided', asked: '', isSeen: false };

export interface SearchWalksOptions {
  /** Search domains of the nodes, set or read. */
  readonly searchDomains: readonly string[];
  /** Collectors beside other DNS servers of this cluster, to which steps of a client's walk can have gone. */
  readonly peers: () => number;
  /** When a client was last answered with an address of a name (Unix milliseconds); -Infinity where that is not known. */
  readonly answeredAtMs: (client: number, name: string) => number;
  /** Its first cell is the time of the response at hand (Unix milliseconds). */
  readonly clock: Float64Array;
}

/**
 * Which names are search expansions. A resolver appends each domain of its search list in turn (resolv.conf(5)):
 *
 * ```
 *   glibc, c-ares, Go, Java     fewer dots than ndots:  P.ns.svc.D  P.svc.D  P.D  P.S…  P      musl: the same, then stops
 *   (after NXDOMAIN or NODATA)  otherwise:              P  P.ns.svc.D  P.svc.D  P.D  P.S…      musl: P alone
 * ```
 * each as A and AAAA together or in turn. So of a name N = P.S that looks like an expansion:
 *
 * 1. The client has just walked P, or asked in vain for P with another domain: it is one, and S is in its search list.
 *    Unless P itself has been answered since, which ends a walk.
 * 2. The client has just walked N itself: N was meant.
 * 3. S is a known search domain (set, of the node, in this client's list or in several clients') and P is unmistakably a
 *    name of the Internet: it is one.
 *
 *    Unless P may be a relative name that was meant to be expanded, such as `kafka.eu`, and S has no wildcard: once a name
 *    below S does not exist that one would cover, N is a record that somebody made on purpose.
 * 4. No step was seen. Where all steps of a client come by here, N was meant. Where they may have gone to another replica of
 *    the DNS server, that is open until the client has asked so often that a step would have come by.
 *
 * No pod can discredit a name for others, but for names as in 3.
 */
export interface SearchWalks {
  /** A step that had no address. */
  note(client: number, facts: NameFacts): void;
  /** A name that may be an expansion and does not exist: whether it is one. */
  isExpansion(client: number, facts: NameFacts): boolean;
  judge(client: number, name: JudgedName): WalkVerdict;
  /** Forgets the clients, whose numbers change. */
  clear(): void;
}

export interface JudgedName {
  readonly facts: NameFacts;
  readonly hash: number;
  /** Answers to this client so far that were left open. */
  readonly undecided: number;
}

/** What else is kept of a client and a name for as long as of a walk: that the name was answered, that it does not exist… */
const ANSWERED = 0x2545f491;
const MISSING = 0x6c078965;
/** … and that it does not exist with some domain appended. */
const EXPANDED_IN_VAIN = 0x41c64e6d;

/** The steps of a walk other than the name as it is, which may have no address of one family and one of the other. */
const STEPS_BELOW_DOMAINS = [WALK_SALTS.service, WALK_SALTS.domain, EXPANDED_IN_VAIN] as const;

/** Clients in whose walks a domain must have been for it to count as every client's. */
const CLIENTS_OF_KNOWN_DOMAIN = 3;
const MAX_DOMAINS = 256;

/** Walks after which it can be told whether their steps all come by here, and the share of split ones that is noise. */
const MEASURED_WALKS = 64;
const REMEMBERED_WALKS = 4096;
const SPLIT_SHARE = 0.05;

/**
 * Undecided answers (A and AAAA count) after which a name was meant. A walk has three steps before the one at hand; with ten
 * replicas a collector misses all three with 0.73, and sixty times in a row with 10^-8.
 */
const MAX_UNDECIDED = 120;

export function createSearchWalks({ searchDomains, peers, answeredAtMs, clock }: SearchWalksOptions): SearchWalks {
  const walks = createWalkTable(clock);
  const domains = new Set(searchDomains);
  const clientsOf = new Map<string, Set<number>>();
  /** Below which names do not exist; false: one that had addresses of one family did not exist for the other. */
  const withoutWildcard = new Map<string, boolean>();
  let whole = 0;
  let split = 0;
  let clearedAtMs = -Infinity;

  function noteDomain(client: number, { suffix }: SearchExpansion): void {
    const clients = clientsOf.get(suffix) ?? new Set();
    if (clientsOf.size < MAX_DOMAINS) clientsOf.set(suffix, clients);
    clients.add(client);
    if (clients.size < CLIENTS_OF_KNOWN_DOMAIN) return;
    if (domains.size < MAX_DOMAINS) domains.add(suffix);
    clientsOf.delete(suffix);
  }

  function noteWildcard(suffix: string, isMissing: boolean): void {
    if (withoutWildcard.size >= MAX_DOMAINS && !withoutWildcard.has(suffix)) withoutWildcard.clear();
    withoutWildcard.set(suffix, isMissing && withoutWildcard.get(suffix) !== false);
  }

  /** A name of the Internet with some domain appended that does not exist. */
  function noteMissing(client: number, { steps, expansions }: NameFacts): void {
    const hash = steps[0]?.hash ?? 0; // its own: such names have one step
    const isAnswered = walks.has(client, hash ^ ANSWERED); // some servers say so of the other family
    walks.note(client, hash ^ MISSING);
    for (const { suffix, askedHash, isUnmistakable } of expansions) {
      noteWildcard(suffix, !isAnswered);
      if (isUnmistakable && !isAnswered) walks.note(client, askedHash ^ EXPANDED_IN_VAIN);
    }
  }

  /** A name of that kind that has an address. */
  function noteAnswered(client: number, { facts: { expansions }, hash }: JudgedName): void {
    walks.note(client, hash ^ ANSWERED);
    if (walks.has(client, hash ^ MISSING)) for (const { suffix } of expansions) noteWildcard(suffix, false);
  }

  function isMadeOnPurpose({ isUnmistakable, suffix }: SearchExpansion): boolean {
    return !isUnmistakable && withoutWildcard.get(suffix) === true;
  }

  function isKnownDomain(client: number, suffix: string): boolean {
    return domains.has(suffix) || clientsOf.get(suffix)?.has(client) === true;
  }

  /** Of the last step in the cluster's domain, tells whether the one before it came by here. */
  function measure(client: number, { hash, before }: WalkStep): void {
    if (walks.has(client, hash)) return; // the other address family
    if (walks.has(client, before)) whole++;
    else split++;
    if (whole + split < REMEMBERED_WALKS) return;
    whole /= 2;
    split /= 2;
  }

  function seesWholeWalks(): boolean {
    if ((clock[0] as number) - clearedAtMs <= WALK_MS || split > SPLIT_SHARE * (whole + split)) return false;
    return peers() === 0 || whole >= MEASURED_WALKS;
  }

  /** Whether the client was answered with an address of the name asked after all steps of its walk. */
  function isFound(client: number, { asked, askedHash }: SearchExpansion): boolean {
    const sinceMs = (clock[0] as number) - answeredAtMs(client, asked);
    if (sinceMs < 0 || sinceMs > WALK_MS) return false;
    return STEPS_BELOW_DOMAINS.every((salt) => walks.timeOf(client, askedHash ^ salt) <= answeredAtMs(client, asked));
  }

  function hasWalked(client: number, expansion: SearchExpansion): boolean {
    const { askedHash } = expansion;
    const hasStep =
      walks.has(client, askedHash ^ WALK_SALTS.service) ||
      walks.has(client, askedHash ^ WALK_SALTS.domain) ||
      walks.has(client, askedHash ^ WALK_SALTS.plain);
    return hasStep && !isFound(client, expansion);
  }

  function findWalked(client: number, { expansions }: NameFacts): SearchExpansion | undefined {
    const walked = expansions.find((one) => hasWalked(client, one));
    if (walked !== undefined) noteDomain(client, walked);
    return walked;
  }

  function findInVain(client: number, { facts: { expansions }, hash }: JudgedName): SearchExpansion | undefined {
    if (walks.has(client, hash ^ MISSING)) return undefined; // it was this very name
    const isInVain = ({ askedHash }: SearchExpansion): boolean => walks.has(client, askedHash ^ EXPANDED_IN_VAIN);
    return expansions.find((one) => one.isUnmistakable && isInVain(one) && !isFound(client, one));
  }

  function findKnown(client: number, { expansions }: NameFacts): SearchExpansion | undefined {
    return expansions.find((one) => one.isUnmistakable && isKnownDomain(client, one.suffix));
  }

  return {
    note(client, { steps }) {
      for (let i = 0; i < steps.length; i++) {
        const step = steps[i] as WalkStep; // i is below the length
        if (step.before !== 0) measure(client, step);
        walks.note(client, step.hash);
      }
    },
    isExpansion(client, facts) {
      noteMissing(client, facts);
      return (findWalked(client, facts) ?? findKnown(client, facts)) !== undefined;
    },
    judge(client, name) {
      const { facts, hash, undecided } = name;
      noteAnswered(client, name);
      if (STEPS_BELOW_DOMAINS.some((salt) => walks.has(client, hash ^ salt))) return MEANT;
      const walked = findWalked(client, facts) ?? findInVain(client, name);
      if (walked !== undefined && !isMadeOnPurpose(walked)) {
        // It may still turn out that the walk had ended, or, of some names, that there is no wildcard.
        return { kind: 'expansion', asked: walked.asked, isSeen: false };
      }
      const known = findKnown(client, facts);
      if (known !== undefined) return { kind: 'expansion', asked: known.asked, isSeen: false };
      const mayBe = facts.expansions.some((one) => one.isUnmistakable);
      return mayBe && !seesWholeWalks() && undecided < MAX_UNDECIDED ? UNDECIDED : HOST;
    },
    clear() {
      walks.clear();
      clientsOf.clear();
      withoutWildcard.clear();
      clearedAtMs = clock[0] as number;
    },
  };
}
