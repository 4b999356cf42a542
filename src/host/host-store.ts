import type { Hostname } from '../dns/hostname.js';
import type { Observation } from '../observation/observation.js';
import type { RejectionCount } from '../observation/rejection.js';
import type { Attribution, HostRecord, HostState, PendingEvidence, WorkloadReference } from './host-record.js';

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

/**
 * Where hosts are kept. Merges commute and repeat safely: batches of several collectors, retries and replays lead to the
 * same state in any order. Time is always an argument, never the store's clock.
 *
 * Both implementations pass `test/host/host-store.contract.ts`.
 */
export interface HostStore {
  /** Resolves when the batch is durable; rejects with HostStoreError, and then the same batch may be sent again. */
  record(batch: RecordBatch): Promise<void>;
  /** Every host, in order of its name. */
  list(): AsyncIterable<HostRecord>;
  get(hostname: Hostname): Promise<HostRecord | undefined>;
  /** Moves pending evidence to its workload. What is no longer pending is passed over. */
  attribute(attributions: readonly EvidenceAttribution[]): Promise<void>;
  /** Moves hosts along their life; what is no longer in `from` is passed over. */
  transition(transitions: readonly HostTransition[]): Promise<void>;
  /** What was not learnt, summed over all sources, in order of the reason. */
  rejections(): Promise<readonly RejectionCount[]>;
  close(): Promise<void>;
}
