import type { Attribution, PendingEvidence, WorkloadReference } from '../host/host-record.js';
import { nameAskedFor } from '../host/search-list.js';
import type { PodFacts } from './kubernetes-object.js';
import type { AddressHolder, PodIndex } from './pod-index.js';

export interface WorkloadAttribution {
  readonly workload: WorkloadReference;
  readonly attribution: Attribution;
}

/** The client was asked for another name. */
interface OtherName {
  readonly asked: string;
}

type Finding = WorkloadAttribution | OtherName | 'wait';

export interface AttributionRequest {
  /** The host that was looked up. */
  readonly hostname: string;
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
 * Returns the name asked where the pod was asked for another one, of which its own search list made this: then it is no
 * use of the host. Returns `wait` while an answer may still come or change, which ends `graceMs` after the last look-up.
 */
export function attributeEvidence(request: AttributionRequest): Finding {
  return byMetadata(request) ?? byAddress(request);
}

function byMetadata(request: AttributionRequest): Finding | undefined {
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

function byAddress(request: AttributionRequest): Finding {
  const { index, evidence } = request;
  const first = ofHolder(request, index.find(evidence.client, evidence.firstSeenMs));
  const last = ofHolder(request, index.find(evidence.client, evidence.lastSeenMs));
  if (first === 'wait' || last === 'wait') return 'wait';
  if ('asked' in first || 'asked' in last) {
    return 'asked' in first && 'asked' in last && first.asked === last.asked ? first : ofNobody(evidence);
  }
  // Two pods of one Deployment can follow each other; what was in between was then its as well.
  return isSame(first, last) ? first : ofNobody(evidence);
}

function ofHolder(request: AttributionRequest, holder: AddressHolder | undefined): Finding {
  if (holder !== undefined && 'node' in holder) return ofNode(holder.node);
  const isFinal = holder !== undefined && 'pod' in holder && holder.isSettled;
  if (!isFinal && mayWait(request)) return 'wait';
  return holder !== undefined && 'pod' in holder ? ofPod(request, holder.pod) : ofNobody(request.evidence);
}

function ofPod(request: AttributionRequest, pod: PodFacts): Finding {
  if (pod.isHostNetwork || pod.role === 'ztunnel') {
    if (pod.nodeName !== undefined) return ofNode(pod.nodeName);
    return mayWait(request) ? 'wait' : ofNobody(request.evidence);
  }
  const asked = pod.searchList && nameAskedFor(request.hostname, pod.searchList);
  if (asked !== undefined) return { asked };
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
