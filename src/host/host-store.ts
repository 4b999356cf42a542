import type { Hostname } from '../dns/hostname.js';
import type { Observation } from '../observation/observation.js';
import type { RejectionCount } from '../observation/rejection.js';
import type { BlindWindow } from './blind-window.js';
import type {
  Attribution,
  Decision,
  HostFlagName,
  HostPort,
  HostRecord,
  HostState,
  HostSummary,
  PendingEvidence,
  WorkloadReference,
} from './host-record.js';
import type { HostRule } from './host-rule.js';
import type { TailBatch } from './observation-feed.js';
import type { SourceReport, SourceStatus } from './source.js';

/**
 * What a collector hands over in one go. A batch is recorded exactly once however often it is sent: `source` names one
 * life of one collector (or the content of one capture), `sequence` counts its batches from 1.
 */
export interface RecordBatch {
  readonly source: string;
  readonly sequence: number;
  readonly observations: readonly Observation[];
  readonly rejections: readonly RejectionCount[];
}

/** That a piece of pending evidence belongs to a workload. */
export interface EvidenceAttribution {
  readonly hostname: Hostname;
  readonly evidence: Pick<PendingEvidence, 'client' | 'slotMs' | 'pod'>;
  readonly workload: WorkloadReference;
  readonly attribution: Attribution;
}

/** A wish to move a host to another state; it takes place only if the host still is in `from`. */
export interface HostTransition {
  readonly hostname: Hostname;
  readonly from: HostState;
  readonly to: HostState;
  readonly reason: string;
  readonly atMs: number;
}

/** A person's decision about a host. */
export interface HostDecision extends Decision {
  readonly hostname: Hostname;
}

/** That a flag holds from now on, or no longer does. */
export interface FlagChange {
  readonly hostname: Hostname;
  readonly flag: HostFlagName;
  readonly holds: boolean;
  readonly atMs: number;
}

export interface PortEvidence extends HostPort {
  readonly hostname: Hostname;
}

/** A wildcard `*.parent` that could stand for the parent's children; it waits for approval like any other host. */
export interface WildcardProposal {
  readonly hostname: Hostname;
  readonly reason: string;
  readonly atMs: number;
}

/**
 * That the children of a parent carry data in their names. The row `*.parent` is quarantined (unless it has an entry),
 * the children named here are forgotten, and from now on every new child only counts in that row.
 */
export interface ParentQuarantine {
  readonly hostname: Hostname;
  readonly children: readonly Hostname[];
  readonly atMs: number;
}

/** An entry of ours whose deletion has been called for and waits, kept so that who leads next goes on with the wait. */
export interface AwaitedDeletion {
  readonly namespace: string;
  readonly name: string;
  /** Why it is to go, in a word of the plan. */
  readonly reason: string;
  /** Since when every plan has called for it (Unix milliseconds). */
  readonly sinceMs: number;
  /** How many plans in a row have; counted no further than matters. */
  readonly plans: number;
}

/** An entry of ours that was in the cluster, kept so that one that is missing later is known to have been there. */
export interface SeenEntry {
  readonly namespace: string;
  readonly name: string;
  /** Its hostname. */
  readonly host: string;
  /** Of the namespace, which is another one after a deletion; absent where namespaces may not be read. */
  readonly namespaceUid?: string;
  /** Since when it has been missing (Unix milliseconds); absent while it is there. */
  readonly missingSinceMs?: number;
}

/** How the cluster was when it was last looked at. */
export interface SeenCluster {
  /** The cluster's `resourceVersion`: what a later look finds is later, unless the cluster went back to a backup. */
  readonly version: string;
  /** Unix milliseconds. */
  readonly atMs: number;
}

export interface SeenEntries {
  /** Absent before the first look. */
  readonly cluster?: SeenCluster;
  /** In order of namespace and name. */
  readonly entries: readonly SeenEntry[];
}

/** What a look at the cluster has changed. */
export interface SeenChange {
  readonly cluster?: SeenCluster;
  /** Each in place of what was kept of it. */
  readonly seen: readonly SeenEntry[];
  /** No longer expected to be there. */
  readonly gone: readonly Pick<SeenEntry, 'namespace' | 'name'>[];
}

/** The rules that people keep in the store, in their order. `version` counts the changes, from 0. */
export interface StoredRules {
  readonly version: number;
  readonly rules: readonly HostRule[];
}

/** Most hosts that a store keeps, whoever may come. Beyond them look-ups are only counted. */
export interface StoreLimits {
  /** Of a registrable domain; what is more counts in the quarantined row `*.domain`. */
  readonly maxHostsPerDomain: number;
  /** Of all; Redis may keep up to twice as many, as each of its shards has a share. */
  readonly maxHosts: number;
}

export const STORE_LIMITS: StoreLimits = { maxHostsPerDomain: 1000, maxHosts: 200_000 };

/** Look-ups of hosts that are not stored because there are too many of all. */
export interface StoreOverflow {
  readonly lookups: number;
  /** A few of the names, sorted. */
  readonly examples: readonly string[];
}

export const NO_OVERFLOW: StoreOverflow = { lookups: 0, examples: [] };

export interface StoreStatistics {
  readonly kind: 'embedded' | 'redis';
  /** Version of the layout. */
  readonly schema: number;
  readonly hosts: number;
  readonly overflow: StoreOverflow;
  /** How long the store took to answer. */
  readonly latencyMs: number;
}

/** What a store keeps besides hosts. */
export interface Ledger {
  /** Keeps what a source says about itself, see {@link SourceReport}, and says what there now is of it. */
  reportSource(report: SourceReport): Promise<SourceStatus>;
  /** Every source heard of in the last SOURCE_TTL, in order of its name. */
  sources(): Promise<readonly SourceStatus[]>;
  /** Keeps a time during which a source did not see look-ups. Windows that touch become one. */
  recordBlindWindow(window: BlindWindow): Promise<void>;
  /** All of them, by source, reason and time. */
  blindWindows(): Promise<readonly BlindWindow[]>;
  /** The rules that people added, apart from those of the configuration. */
  rules(): Promise<StoredRules>;
  /** Replaces the rules; false when `version` is no longer the version kept, so that nobody's change is lost. */
  setRules(rules: readonly HostRule[], version: number): Promise<boolean>;
  /** Deletions that wait, in order of namespace and name. */
  awaitedDeletions(): Promise<readonly AwaitedDeletion[]>;
  /** Keeps each of them in place of what was kept of its entry. */
  awaitDeletions(deletions: readonly AwaitedDeletion[]): Promise<void>;
  /** They are no longer called for, or have taken place. */
  endDeletions(entries: readonly Pick<AwaitedDeletion, 'namespace' | 'name'>[]): Promise<void>;
  /** Entries of ours that were in the cluster. */
  seenEntries(): Promise<SeenEntries>;
  noteSeen(change: SeenChange): Promise<void>;
  /** What was not learnt, summed over all sources, in order of the reason. */
  rejections(): Promise<readonly RejectionCount[]>;
}

/**
 * Where hosts are kept. Merges commute and repeat safely: batches of several collectors, retries and replays lead to the
 * same state in any order. Time is always an argument, never the store's clock.
 *
 * Both implementations pass `test/host/host-store.contract.ts`.
 */
export interface HostStore extends Ledger {
  /** Resolves when the batch is durable; rejects with HostStoreError, and then the same batch may be sent again. */
  record(batch: RecordBatch): Promise<void>;
  /** Adds to what was not learnt what no batch has. Sent twice it counts twice. */
  countRejections(counts: readonly RejectionCount[]): Promise<void>;
  /** What is recorded from now on, by whoever; for people who watch, not for counting: what is too much is left out. */
  tail(signal: AbortSignal): AsyncIterable<TailBatch>;
  /** Every host, in order of its name. */
  list(): AsyncIterable<HostRecord>;
  /** As list(), with no more of each than `hosts` shows, and faster. */
  summaries(): AsyncIterable<HostSummary>;
  get(hostname: Hostname): Promise<HostRecord | undefined>;
  /** Moves pending evidence to its workload. What is no longer pending is passed over. */
  attribute(attributions: readonly EvidenceAttribution[]): Promise<void>;
  /** Drops pending evidence that is no use of its host. What is no longer pending is passed over. */
  dismiss(evidence: readonly Pick<EvidenceAttribution, 'hostname' | 'evidence'>[]): Promise<void>;
  /** Moves hosts along their life; what is no longer in `from` is passed over. */
  transition(transitions: readonly HostTransition[]): Promise<void>;
  /**
   * Keeps a person's decision and moves the host accordingly, whatever its state: `approve` to approved (unless it has an
   * entry already), `ignore` to ignored, `unignore` from ignored or quarantined to candidate; `note` moves nothing. A
   * decision that was kept before, or that is older than one kept before, moves nothing either.
   *
   * Resolves to the host as it then is; undefined when the store knows no such host. `*.parent` need not be known.
   */
  decide(decision: HostDecision): Promise<HostRecord | undefined>;
  /** Sets or ends flags. Of two changes of a flag the later counts. Unknown hosts are passed over. */
  setFlags(changes: readonly FlagChange[]): Promise<void>;
  /** Keeps what is known about ports, each once, with the first reason in order. Unknown hosts are passed over. */
  notePorts(ports: readonly PortEvidence[]): Promise<void>;
  /** Makes `*.parent` known as a candidate; one that is known already stays as it is. */
  propose(proposals: readonly WildcardProposal[]): Promise<void>;
  /**
   * Quarantines parents. Of the children those go that never had an entry and that no person decided on; their look-ups
   * and evidence count in the row. A person's `unignore` or `approve` of the row lets new children in again.
   */
  quarantine(parents: readonly ParentQuarantine[]): Promise<void>;
  /** Forgets hosts, unless they were looked up since `lastSeenMs` or a person has decided on them. */
  forget(hosts: readonly Pick<HostRecord, 'hostname' | 'lastSeenMs'>[]): Promise<void>;
  /** Whether the store works, and how much it holds; rejects with HostStoreError when it does not. */
  statistics(): Promise<StoreStatistics>;
  close(): Promise<void>;
}
