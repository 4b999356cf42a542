import type { Attribution, PendingEvidence, WorkloadReference } from '../host/host-record.js';
import type { PodFacts } from './kubernetes-object.js';
import type { AddressHolder, PodIndex } from './pod-index.js';

export interface WorkloadAttribution {
  readonly workload: WorkloadReference;
  readonly attribution: Attribution;
}

export interface AttributionRequest {
  readonly evidence: PendingEvidence;
  readonly index: PodIndex;
  readonly nowMs: number;
  /** How long after a look-up the API may still tell something new about its client. */
  readonly graceMs: number;
}

/**
 * Whose look-ups these were, and how sure that is. Never guessed upwards: where two answers are possible it is `unknown`.
 *
 * - The pod that CoreDNS named is believed at once, unless the address is a node's (then CoreDNS names an arbitrary pod of
 *   the host network) or the pod had ended before (then CoreDNS was late).
 * - Otherwise the address decides, at the first and at the last look-up.
 * - A ztunnel asks for the pods of its node, so its look-ups are the node's. A gateway's or waypoint's look-ups are its own.
 *
 * Returns `wait` while an answer may still come or change, which ends `graceMs` after the last look-up.
 */
export function attributeEvidence(request: AttributionRequest): WorkloadAttribution | 'wait' {
  return byMetadata(request) ?? byAddress(request);
}

function byMetadata(request: AttributionRequest): WorkloadAttribution | 'wait' | undefined {
  const { index, evidence } = request;
  const named = evidence.pod;
  if (named === undefined) return undefined;
  const holder = index.find(evidence.client, evidence.firstSeenMs);
  if (holder !== undefined && 'node' in holder) return ofNode(holder.node);
  const pod = index.findPod(named.namespace, named.name, evidence.firstSeenMs);
  if (pod !== undefined) return index.hadEnded(pod, evidence.firstSeenMs) ? undefined : ofPod(request, pod);
  if (mayWait(request)) return 'wait';
  if (holder !== undefined) return ofNobody(evidence); // another pod has the address: one of the two is out of date
  return { workload: { namespace: named.namespace, kind: 'Pod', name: named.name }, attribution: 'exact' };
}

function byAddress(request: AttributionRequest): WorkloadAttribution | 'wait' {
  const { index, evidence } = request;
  const first = ofHolder(request, index.find(evidence.client, evidence.firstSeenMs));
  const last = ofHolder(request, index.find(evidence.client, evidence.lastSeenMs));
  if (first === 'wait' || last === 'wait') return 'wait';
  // Two pods of one Deployment can follow each other; what was in between was then its as well.
  return isSame(first, last) ? first : ofNobody(evidence);
}

function ofHolder(request: AttributionRequest, holder: AddressHolder | undefined): WorkloadAttribution | 'wait' {
  if (holder !== undefined && 'node' in holder) return ofNode(holder.node);
  const isFinal = holder !== undefined && 'pod' in holder && holder.isSettled;
  if (!isFinal && mayWait(request)) return 'wait';
  return holder !== undefined && 'pod' in holder ? ofPod(request, holder.pod) : ofNobody(request.evidence);
}

function ofPod(request: AttributionRequest, pod: PodFacts): WorkloadAttribution | 'wait' {
  if (pod.isHostNetwork || pod.role === 'ztunnel') {
    if (pod.nodeName !== undefined) return ofNode(pod.nodeName);
    return mayWait(request) ? 'wait' : ofNobody(request.evidence);
  }
  const { workload, isCertain } = request.index.workloadOf(pod);
  return !isCertain && mayWait(request) ? 'wait' : { workload, attribution: 'exact' };
}

function ofNode(name: string): WorkloadAttribution {
  return { workload: { namespace: '', kind: 'Node', name }, attribution: 'node' };
}

function ofNobody({ client }: PendingEvidence): WorkloadAttribution {
  return { workload: { namespace: '', kind: 'Address', name: client }, attribution: 'unknown' };
}

function mayWait({ evidence, nowMs, graceMs }: AttributionRequest): boolean {
  return nowMs - evidence.lastSeenMs < graceMs;
}

function isSame(a: WorkloadAttribution, b: WorkloadAttribution): boolean {
  return (
    a.attribution === b.attribution &&
    a.workload.namespace === b.workload.namespace &&
    a.workload.kind === b.workload.kind &&
    a.workload.name === b.workload.name
  );
}
