import { corefileLine } from './corefile/corefile-line.js';
import { explainRefusal } from './corefile/explain.js';
import type { ClusterDns, DnsWorkload } from './detect-cluster-dns.js';
import type { Istio } from './detect-istio.js';
import type { SidecarSettings } from './detect-mesh-exceptions.js';
import type { NodeCache } from './detect-node-cache.js';
import { type DoctorFinding, type DoctorFindingCode, finding } from './doctor-findings.js';
import { isTapAbsent, type LiveCheck } from './live-corefile-check.js';
import type { ReviewedRight } from './rights.js';
import type { StoreReport } from './store-report.js';
import type { ArrivalCheck } from './verify-arrival.js';

export function dnsFindings({ kind, platform, workload, corefile, route }: ClusterDns): readonly DoctorFinding[] {
  if (kind === 'none') return [finding('dns-absent')];
  const ready = workload === undefined ? [] : workloadFindings(workload);
  if (kind === 'kube-dns') return [finding('kube-dns'), ...ready];
  if (platform === 'openshift') return [finding('dns-openshift'), ...ready];
  // Where the node cache gets the tap, nobody changes CoreDNS.
  const reverts =
    route === 'node-cache' ? undefined : REVERTS[platform === 'rke2' ? platform : (workload?.managedBy ?? platform)];
  return [
    ...ready,
    ...(corefile === undefined ? [finding('corefile-not-found')] : []),
    ...(reverts === undefined ? [] : [finding(reverts)]),
  ];
}

function workloadFindings({ name, others, readyReplicas, replicas }: DnsWorkload): readonly DoctorFinding[] {
  return [
    ...(readyReplicas >= replicas ? [] : [finding('dns-not-ready')]),
    ...(others.length === 0 ? [] : [finding('dns-several', [name, ...others].join(', '))]),
  ];
}

function nodeCacheCode({ bypassesClusterDns, corefile }: NodeCache): DoctorFindingCode {
  if (!bypassesClusterDns) return 'node-cache-clients';
  return corefile === undefined ? 'node-cache-bypass' : 'node-cache-tap';
}

export function nodeFindings({ kind, nodeCache, kubeletVersions }: ClusterDns): readonly DoctorFinding[] {
  const codes: (DoctorFindingCode | false | undefined)[] = [
    nodeCache?.kind === 'aks-localdns' && 'node-cache-aks',
    nodeCache?.kind === 'node-local-dns' && nodeCacheCode(nodeCache),
    kind === 'coredns' && !kubeletVersions.every(hasNativeSidecars) && 'native-sidecars-absent',
  ];
  return codes.filter((code) => code !== false && code !== undefined).map((code) => finding(code));
}

/** By who manages the workload, else by platform. */
const REVERTS: Readonly<Record<string, DoctorFindingCode>> = {
  'addon-manager': 'addons-revert',
  aks: 'aks-reverts',
  eks: 'eks-reverts',
  Helm: 'helm-reverts',
  k3s: 'k3s-reverts',
  kind: 'kubeadm-reverts',
  kubeadm: 'kubeadm-reverts',
  minikube: 'minikube-reverts',
  rke2: 'rke2-reverts',
};

/** On by default since 1.29; before, the container would hold up its pod for ever. */
function hasNativeSidecars(kubelet: string): boolean {
  const [, major = '0', minor = '0'] = /^v(\d+)\.(\d+)/.exec(kubelet) ?? [];
  return Number(major) > 1 || Number(minor) >= 29;
}

export function versionFindings({ kind, version, platform }: ClusterDns, endpoint: string): readonly DoctorFinding[] {
  if (kind !== 'coredns' || platform === 'openshift') return [];
  const line = corefileLine({ endpoint, ...(version !== undefined && { version }) });
  if ('refused' in line) {
    const isVersion = line.refused.startsWith('version-');
    return [finding(isVersion ? 'version-refused' : 'corefile-refused', explainRefusal(line))];
  }
  return [
    ...(version === undefined ? [finding('version-unknown')] : []),
    ...(line.cautions.includes('listen-first') ? [finding('listen-first')] : []),
    ...(line.cautions.includes('only-tap') ? [finding('one-tap')] : []),
    finding('reload-wedge'),
  ];
}

/** What is known of Istio. */
export interface IstioEvidence {
  readonly istio?: Istio | undefined;
  /** Whether the API server knows ServiceEntries. */
  readonly servesServiceEntries?: boolean | undefined;
  /** Istio was not found, and not everything could be read. */
  readonly mayHaveIstio?: boolean;
}

export function istioFindings({
  istio,
  servesServiceEntries,
  mayHaveIstio = false,
}: IstioEvidence): readonly DoctorFinding[] {
  const crds = servesServiceEntries === false ? [finding('crds-absent')] : [];
  if (istio === undefined) {
    if (mayHaveIstio) return crds;
    // Some providers run the control plane outside the cluster.
    return [...crds, finding(servesServiceEntries === true ? 'istio-elsewhere' : 'istio-absent')];
  }
  const { revisions, ambient } = istio;
  const codes: (DoctorFindingCode | false)[] = [
    revisions.length > 1 && 'istio-several',
    isClosed(istio) && 'istio-registry-only',
    revisions.some(({ dnsCapture }) => dnsCapture) && 'istio-dns-capture',
    ambient !== undefined && 'istio-ambient',
    ambient?.dnsCapture === true && 'istio-ambient-capture',
  ];
  return [...crds, ...codes.filter((code) => code !== false).map((code) => finding(code)), ...exceptionFindings(istio)];
}

function isClosed({ revisions }: Istio): boolean {
  return revisions.some(({ outboundTrafficPolicy }) => outboundTrafficPolicy === 'REGISTRY_ONLY');
}

/** What holds for some of the mesh only, named. */
function exceptionFindings(istio: Istio): readonly DoctorFinding[] {
  const { dnsCapture, sidecars } = istio.exceptions;
  const sidecarsWhere = (isMeant: (settings: SidecarSettings) => boolean): readonly string[] =>
    sidecars.filter(isMeant).map(({ sidecar }) => `Sidecar ${sidecar}`);
  const hasPolicy = (mode: string) => sidecarsWhere(({ outboundTrafficPolicy }) => outboundTrafficPolicy === mode);
  const isCaptured = istio.revisions.some((revision) => revision.dnsCapture);
  const named: (readonly [DoctorFindingCode, readonly string[]])[] = [
    ['istio-registry-only', isClosed(istio) ? [] : hasPolicy('REGISTRY_ONLY')],
    ['istio-egress-open', isClosed(istio) ? hasPolicy('ALLOW_ANY') : []],
    ['istio-sidecar-imports', sidecarsWhere(({ importsOwnNamespace }) => !importsOwnNamespace)],
    ['istio-dns-capture', isCaptured ? [] : dnsCapture.on],
    ['istio-dns-capture-off', isCaptured ? dnsCapture.off : []],
  ];
  return named.filter(([, subjects]) => subjects.length > 0).map(([code, subjects]) => finding(code, listed(subjects)));
}

const NAMED_AT_MOST = 5;

function listed(subjects: readonly string[]): string {
  const more = subjects.length - NAMED_AT_MOST;
  return `${subjects.slice(0, NAMED_AT_MOST).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

export function storeFindings(store: StoreReport | undefined): readonly DoctorFinding[] {
  if (store === undefined) return [];
  if (!store.reachable) return [finding('store-unreachable', store.reason)];
  if (store.kind === 'embedded') return [];
  const { persistence, evictionPolicy } = store;
  const codes: (DoctorFindingCode | false)[] = [
    persistence === undefined && 'store-persistence-unknown',
    persistence === 'none' && 'store-volatile',
    evictionPolicy !== undefined && evictionPolicy !== 'noeviction' && 'store-evicts',
  ];
  return codes.filter((code) => code !== false).map((code) => finding(code));
}

const ARRIVAL_FINDINGS: Readonly<Record<Exclude<ArrivalCheck['state'], 'absent'>, DoctorFindingCode>> = {
  alone: 'collector-alone',
  arriving: 'queries-arrive',
  silent: 'collector-silent',
  unreadable: 'collector-unreadable',
};

export function arrivalFindings(
  arrival: ArrivalCheck | undefined,
  check: LiveCheck | undefined,
): readonly DoctorFinding[] {
  // Before installation there is no collector, which is no finding.
  if (arrival === undefined || arrival.state === 'absent') return [];
  const found = finding(ARRIVAL_FINDINGS[arrival.state]);
  const isPending = arrival.state === 'alone' && !isTapAbsent(check);
  return isPending ? [found, finding('reload-pending')] : [found];
}

/** Rights that installation would need. */
export function rightFindings(rights: readonly ReviewedRight[]): readonly DoctorFinding[] {
  return rights.filter(({ allowed }) => !allowed).map((right) => finding('right-missing', describeRight(right)));
}

function describeRight({ verb, group, resource, namespace }: ReviewedRight): string {
  const name = group === '' ? resource : `${resource}.${group}`;
  return `${verb} ${name}${namespace === undefined ? '' : ` in ${namespace}`}`;
}
