import type { CorefileFindingCode } from './corefile/check-corefile.js';
import { explainFinding } from './corefile/explain.js';

/**
 * `problem`: with this nothing is learnt, or DNS is in danger. `warning`: something is lost, or comes back to bite.
 * `note`: to be known.
 */
export type Severity = 'problem' | 'warning' | 'note';

/** A line of the doctor. */
export interface DoctorFinding {
  readonly code: DoctorFindingCode | CorefileFindingCode;
  readonly severity: Severity;
  readonly text: string;
}

/** Every finding of the doctor itself: how bad it is, and what it says. */
export const FINDINGS = {
  'addons-revert': ['warning', 'kube-addon-manager writes its objects back'],
  'aks-reverts': [
    'warning',
    'AKS writes the Deployment and the Corefile back: no sidecar; ConfigMap coredns-custom stays',
  ],
  'collector-alone': ['problem', 'no CoreDNS is connected to the collector'],
  'collector-silent': ['warning', 'CoreDNS is connected, but no query has come yet'],
  'collector-unreadable': ['warning', "the collector's metrics cannot be read through the API server"],
  'corefile-not-found': ['problem', 'no Corefile is where the workload reads it'],
  'corefile-refused': ['problem', 'the Corefile gets no tap'],
  'crds-absent': [
    'warning',
    'the custom resource definitions of Istio are not installed: ServiceEntries can be written into a directory only',
  ],
  'dns-absent': [
    'problem',
    'no pod of the cluster answers DNS: a service of the nodes or of the provider does, and cannot be tapped',
  ],
  'dns-not-ready': ['warning', 'not every pod of the cluster DNS is ready: repair that before anything is changed'],
  'dns-openshift': [
    'problem',
    'the DNS operator undoes every change: CoreDNS cannot be tapped; its log lines will serve, this version does not read them',
  ],
  'dns-several': [
    'warning',
    'answer for the same Service: each that has a Corefile of its own has to be tapped as well',
  ],
  'eks-reverts': ['warning', 'an update of the add-on with OVERWRITE resets the Corefile; configuration values stay'],
  'endpoint-example': ['note', 'stands in the commands for the address of the collector, which is not installed yet'],
  'helm-reverts': [
    'warning',
    'an upgrade of the chart that installed CoreDNS writes its Corefile back: change the values of that chart as well',
  ],
  'istio-absent': ['warning', 'no Istio is found: hosts can be learnt, but ServiceEntries mean nothing'],
  'istio-ambient': [
    'warning',
    'ambient mode enforces neither REGISTRY_ONLY nor exportTo: without an egress waypoint ServiceEntries close nothing',
  ],
  'istio-ambient-capture': [
    'note',
    'ztunnel answers repeated look-ups from its cache: a host that is not looked up may still be in use',
  ],
  'istio-dns-capture': [
    'note',
    'sidecars answer hosts of ServiceEntries with addresses themselves: CoreDNS does not see those, and silence does not mean unused',
  ],
  'istio-dns-capture-off': ['note', 'DNS capture is off there: CoreDNS sees every look-up'],
  'istio-egress-open': ['note', 'ALLOW_ANY is on there, though the mesh has REGISTRY_ONLY: no host is blocked'],
  'istio-elsewhere': [
    'note',
    'the API server knows ServiceEntries, but no istiod is found: its control plane may be outside the cluster',
  ],
  'istio-registry-only': [
    'note',
    'REGISTRY_ONLY is on: hosts without a ServiceEntry are blocked already; what workloads still look up is learnt',
  ],
  'istio-several': ['note', 'several revisions of Istio run'],
  'istio-sidecar-imports': [
    'warning',
    'imports only some hosts of its own namespace: a ServiceEntry that is written there may not be seen, and then opens nothing',
  ],
  'k3s-reverts': [
    'warning',
    'a restart of the k3s server writes Deployment and Corefile back; ConfigMap coredns-custom stays',
  ],
  'kube-dns': ['problem', 'kube-dns has no tap; this version cannot learn from it'],
  'kubeadm-reverts': [
    'warning',
    'kubeadm upgrade stops at its preflight check for dnstap (take the line out, or --ignore-preflight-errors=CoreDNSUnsupportedPlugins) and writes the Deployment back, without a sidecar',
  ],
  'minikube-reverts': ['warning', 'minikube start writes the Deployment back, without a sidecar'],
  'native-sidecars-absent': [
    'note',
    'kubelets before 1.29 have no native sidecars: only the central collector is possible',
  ],
  'node-cache-aks': [
    'problem',
    'AKS LocalDNS sends external names past CoreDNS and cannot be tapped: only what it forwards is seen',
  ],
  'node-cache-bypass': [
    'problem',
    'NodeLocal DNSCache sends external names past CoreDNS, and its Corefile is not found: nothing but misses of search domains would be seen',
  ],
  'node-cache-clients': [
    'warning',
    'with NodeLocal DNSCache look-ups come from addresses of nodes: the workload is not known',
  ],
  'node-cache-tap': [
    'warning',
    'NodeLocal DNSCache sends external names past CoreDNS: the cache gets the tap, and whatever installed it may write its Corefile back',
  ],
  'not-read': ['warning', 'could not be read for want of rights'],
  'one-tap': ['note', 'before 1.10.1 only one dnstap line of a server block works'],
  'listen-first': [
    'note',
    'CoreDNS 1.9.1 to 1.13.1 that finds nobody listening connects only after a second without queries: the collector must be up first',
  ],
  'queries-arrive': ['note', 'queries arrive at the collector'],
  'reload-wedge': [
    'note',
    'save no Corefile with a mistake while it has a tap: CoreDNS goes on with the old one, sends nothing more, and reads no other until its pods are restarted',
  ],
  'reload-pending': [
    'note',
    'the Corefile has the tap, and no CoreDNS is connected: it reads the Corefile within about two minutes; after that look for a NetworkPolicy between them, or restart its pods',
  ],
  'right-missing': ['problem', 'a right is missing'],
  'rke2-reverts': ['warning', 'an upgrade of RKE2 writes the Corefile back; HelmChartConfig rke2-coredns stays'],
  'store-evicts': ['warning', 'Redis forgets keys when its memory is full: set maxmemory-policy noeviction'],
  'store-persistence-unknown': ['note', 'Redis does not tell whether it keeps its data over a restart'],
  'store-unreachable': ['problem', 'the store cannot be reached'],
  'store-volatile': ['warning', 'Redis keeps nothing over a restart: switch its append-only file on'],
  'version-refused': ['problem', 'this CoreDNS cannot be tapped'],
  'version-unknown': [
    'warning',
    'the image does not say its version: the Corefile is changed as if it had every fault',
  ],
} as const satisfies Readonly<Record<string, readonly [Severity, string]>>;

export type DoctorFindingCode = keyof typeof FINDINGS;

/** A finding, with what it is about. */
export function finding(code: DoctorFindingCode, subject?: string): DoctorFinding {
  const [severity, text] = FINDINGS[code];
  return { code, severity, text: subject === undefined ? text : `${subject}: ${text}` };
}

/** A finding in a Corefile. */
export function corefileFinding(code: CorefileFindingCode, severity: Severity, subject?: string): DoctorFinding {
  return { code, severity, text: subject === undefined ? explainFinding(code) : `${subject}: ${explainFinding(code)}` };
}
