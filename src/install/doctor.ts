import type { NodeCache } from './detect-node-cache.js';
import { checkCorefile, type CorefileCheck, type CorefileFinding, isFault } from './corefile/check-corefile.js';
import { corefileLine } from './corefile/corefile-line.js';
import { explainRefusal } from './corefile/explain.js';
import { insertTap } from './corefile/insert-tap.js';
import { type ClusterDns, tapPoint } from './detect-cluster-dns.js';
import type { Istio } from './detect-istio.js';
import { corefileFinding, type DoctorFinding, type DoctorFindingCode, finding } from './doctor-findings.js';
import type { Platform } from './platform.js';
import type { ReviewedRight } from './rights.js';
import type { StoreReport } from './store-report.js';
import { vendorSteps, type VendorSteps } from './vendor-route.js';
import type { ArrivalCheck } from './verify-arrival.js';

/** What was found out; what is absent was not asked. */
export interface DoctorInput {
  readonly dns: ClusterDns;
  readonly istio?: Istio | undefined;
  readonly rights?: readonly ReviewedRight[] | undefined;
  readonly store?: StoreReport | undefined;
  readonly arrival?: ArrivalCheck | undefined;
  /** Whether the API server knows ServiceEntries. */
  readonly servesServiceEntries?: boolean | undefined;
  /** Istio was not found, and not everything could be read. */
  readonly mayHaveIstio?: boolean;
  /** Where CoreDNS is to send to. */
  readonly endpoint: string;
  /** Whether that is only a stand-in for commands. */
  readonly isExampleEndpoint?: boolean;
  /** Ours. */
  readonly namespace: string;
  /** What could not be read for want of rights. */
  readonly notRead: readonly string[];
}

/** What this cluster is and what will be done. The shape of `doctor -o json`: others script against it. */
export interface DoctorReport {
  /**
   * `ready`: can be installed. `by-hand`: so it can, and then come the commands. `impossible`: nothing would be learnt, or
   * it is refused. `installed`: queries arrive. `unverified`: it is installed, and nothing has come yet, or could be read.
   * `broken`: it is installed, and does not work.
   */
  readonly verdict: 'broken' | 'by-hand' | 'impossible' | 'installed' | 'ready' | 'unverified';
  readonly dns: {
    readonly kind: ClusterDns['kind'];
    readonly platform: Platform;
    readonly namespace: string;
    readonly service?: string;
    readonly clusterIp?: string;
    readonly workload?: string;
    readonly readyReplicas?: number;
    readonly replicas?: number;
    readonly version?: string;
    readonly managedBy?: string;
    readonly kubelets: readonly string[];
  };
  readonly corefile?: {
    readonly configMap: string;
    readonly key: string;
    readonly route: ClusterDns['route'];
    readonly blocks: CorefileCheck['blocks'];
  };
  readonly nodeCache?: { readonly kind: string; readonly version?: string; readonly bypassesClusterDns: boolean };
  readonly istio?: Istio;
  readonly rights?: readonly ReviewedRight[];
  readonly store?: StoreReport;
  readonly arrival?: ArrivalCheck;
  readonly findings: readonly DoctorFinding[];
  /** What installation will do, in order; empty when it is done or impossible. */
  readonly plan: readonly string[];
  readonly steps?: VendorSteps;
}

/** Puts together what was found out. Reads nothing. */
export function diagnose(found: DoctorInput): DoctorReport {
  const input = { ...found, dns: tapPoint(found.dns) };
  const { dns, endpoint } = input;
  const check = checkLiveCorefile(dns, isInstalled(input) ? endpoint : undefined);
  // What has been done by hand need not be done again.
  const steps = isInstalled(input) && !isTapAbsent(check) ? undefined : vendorSteps(dns, endpoint);
  const findings = findingsOf(input, check, steps);
  const verdict = verdictOf(findings, { hasSteps: steps !== undefined, arrival: input.arrival });
  return {
    verdict,
    dns: describeDns(found.dns),
    ...describeCorefile(dns, check),
    ...describeNodeCache(dns),
    ...whatWasAsked(input),
    findings,
    plan: planOf(verdict, input),
    ...(steps && { steps }),
  };
}

function planOf(verdict: DoctorReport['verdict'], { dns, namespace }: DoctorInput): readonly string[] {
  if (verdict !== 'ready' && verdict !== 'by-hand') return [];
  const { configMap = '', key = '', text = '' } = dns.corefile ?? {};
  const insertion = insertTap(text, { ...contextOf(dns), endpoint: ANY_ENDPOINT });
  if ('refused' in insertion) return [];
  const blocks = insertion.tapped.map((keys) => keys.join(' ')).join(' and ');
  const restart = insertion.cautions.includes('no-reload') ? '; then the pods of CoreDNS are restarted' : '';
  return [
    `Helm installs the collector, the reconciler and, unless told otherwise, Redis into namespace ${namespace}.`,
    verdict === 'ready'
      ? `A dnstap line goes into server block ${blocks} of ConfigMap ${configMap}, key ${key}; every other byte stays${restart}.`
      : 'You run the commands below: they give the line to CoreDNS in the way that lasts here.',
  ];
}

function contextOf({ version, corefile }: ClusterDns) {
  const { files = new Map(), directories = [], environment = new Map() } = corefile ?? {};
  return { files, directories, environment, ...(version !== undefined && { version }) };
}

function whatWasAsked({ istio, rights, store, arrival }: DoctorInput): Partial<DoctorReport> {
  return { ...(istio && { istio }), ...(rights && { rights }), ...(store && { store }), ...(arrival && { arrival }) };
}

function isInstalled({ arrival }: DoctorInput): boolean {
  return arrival !== undefined && arrival.state !== 'absent';
}

/** The worst first. */
function findingsOf(
  input: DoctorInput,
  check: LiveCheck | undefined,
  steps: VendorSteps | undefined,
): readonly DoctorFinding[] {
  const { dns, rights = [], store, arrival, endpoint, notRead } = input;
  const findings = [
    ...dnsFindings(dns),
    ...nodeFindings(dns),
    ...versionFindings(dns, endpoint),
    ...(check === undefined ? [] : check.findings),
    ...istioFindings(input),
    ...storeFindings(store),
    ...rights.filter(({ allowed }) => !allowed).map((right) => finding('right-missing', describeRight(right))),
    ...notRead.map((what) => finding('not-read', what)),
    ...arrivalFindings(arrival, check),
    ...exampleFindings(input, steps),
  ];
  return findings.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}

const SEVERITIES = ['problem', 'warning', 'note'];

function verdictOf(
  findings: readonly DoctorFinding[],
  { hasSteps, arrival }: { readonly hasSteps: boolean; readonly arrival: ArrivalCheck | undefined },
): DoctorReport['verdict'] {
  const hasProblem = findings.some(({ severity }) => severity === 'problem');
  if (arrival === undefined || arrival.state === 'absent') {
    if (hasProblem) return 'impossible';
    return hasSteps ? 'by-hand' : 'ready';
  }
  if (hasProblem) return 'broken';
  return arrival.state === 'arriving' ? 'installed' : 'unverified';
}

interface LiveCheck {
  readonly blocks: CorefileCheck['blocks'];
  readonly findings: readonly DoctorFinding[];
}

/** Whether a Corefile takes a tap does not depend on where the tap goes. */
const ANY_ENDPOINT = 'unix:///run/istio-discovery/dnstap.sock';

/** Before installation a missing tap is what is expected; a Corefile that would be refused is not. */
function checkLiveCorefile(dns: ClusterDns, endpoint: string | undefined): LiveCheck | undefined {
  if (dns.corefile === undefined) return undefined;
  const { text } = dns.corefile;
  const context = contextOf(dns);
  const check = checkCorefile(text, { ...context, ...(endpoint !== undefined && { endpoint }) });
  if ('refused' in check) return { blocks: [], findings: [finding('corefile-refused', explainRefusal(check))] };
  const refused = refusalOf(text, { ...context, endpoint: endpoint ?? ANY_ENDPOINT });
  const findings = check.findings.map((each) => describeFinding(each, endpoint !== undefined));
  return { blocks: check.blocks, findings: refused === undefined ? findings : [...findings, refused] };
}

function refusalOf(text: string, options: Parameters<typeof insertTap>[1]): DoctorFinding | undefined {
  const result = insertTap(text, options);
  // What is wrong with the version is told apart.
  const isTold = 'refused' in result && result.refused.startsWith('version-');
  return 'refused' in result && !isTold ? finding('corefile-refused', explainRefusal(result)) : undefined;
}

/** Taps of others are theirs to repair: for us they are only to be known, unless DNS is in danger. */
function describeFinding(found: CorefileFinding, isTapped: boolean): DoctorFinding {
  const { code, subject, line, file } = found;
  const at = [file, line === undefined ? undefined : `line ${line}`, subject].filter(Boolean).join(', ');
  const warning = isFault(found) || code === 'no-reload' || code === 'block-in-import' ? 'warning' : 'note';
  const severity = isTapped && (code === 'tap-absent' || code === 'second-tap') ? 'problem' : warning;
  return corefileFinding(code, severity, at === '' ? undefined : at);
}

function dnsFindings({ kind, platform, workload, corefile, route }: ClusterDns): readonly DoctorFinding[] {
  if (kind === 'none') return [finding('dns-absent')];
  const isReady = workload === undefined || workload.readyReplicas >= workload.replicas;
  const ready = isReady ? [] : [finding('dns-not-ready')];
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

function nodeCacheCode({ bypassesClusterDns, corefile }: NodeCache): DoctorFindingCode {
  if (!bypassesClusterDns) return 'node-cache-clients';
  return corefile === undefined ? 'node-cache-bypass' : 'node-cache-tap';
}

function nodeFindings({ kind, nodeCache, kubeletVersions }: ClusterDns): readonly DoctorFinding[] {
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

function versionFindings({ kind, version, platform }: ClusterDns, endpoint: string): readonly DoctorFinding[] {
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

function istioFindings({ istio, servesServiceEntries, mayHaveIstio = false }: DoctorInput): readonly DoctorFinding[] {
  const crds = servesServiceEntries === false ? [finding('crds-absent')] : [];
  if (istio === undefined) {
    if (mayHaveIstio) return crds;
    // Some providers run the control plane outside the cluster.
    return [...crds, finding(servesServiceEntries === true ? 'istio-elsewhere' : 'istio-absent')];
  }
  const { revisions, ambient } = istio;
  const codes: (DoctorFindingCode | false)[] = [
    revisions.length > 1 && 'istio-several',
    revisions.some(({ outboundTrafficPolicy }) => outboundTrafficPolicy === 'REGISTRY_ONLY') && 'istio-registry-only',
    revisions.some(({ dnsCapture }) => dnsCapture) && 'istio-dns-capture',
    ambient !== undefined && 'istio-ambient',
    ambient?.dnsCapture === true && 'istio-ambient-capture',
  ];
  return [...crds, ...codes.filter((code) => code !== false).map((code) => finding(code))];
}

function storeFindings(store: StoreReport | undefined): readonly DoctorFinding[] {
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

function arrivalFindings(arrival: ArrivalCheck | undefined, check: LiveCheck | undefined): readonly DoctorFinding[] {
  // Before installation there is no collector, which is no finding.
  if (arrival === undefined || arrival.state === 'absent') return [];
  const found = finding(ARRIVAL_FINDINGS[arrival.state]);
  const isPending = arrival.state === 'alone' && !isTapAbsent(check);
  return isPending ? [found, finding('reload-pending')] : [found];
}

function isTapAbsent(check: LiveCheck | undefined): boolean {
  return check === undefined || check.findings.some(({ code }) => code === 'tap-absent' || code === 'corefile-refused');
}

function describeRight({ verb, group, resource, namespace }: ReviewedRight): string {
  const name = group === '' ? resource : `${resource}.${group}`;
  return `${verb} ${name}${namespace === undefined ? '' : ` in ${namespace}`}`;
}

function describeDns(dns: ClusterDns): DoctorReport['dns'] {
  const { kind, platform, namespace, service, workload, version, kubeletVersions } = dns;
  return {
    kind,
    platform,
    namespace,
    ...(service && { service: service.name, clusterIp: service.clusterIp }),
    ...(workload && {
      workload: `${workload.kind}/${workload.name}`,
      readyReplicas: workload.readyReplicas,
      replicas: workload.replicas,
      ...(workload.managedBy !== undefined && { managedBy: workload.managedBy }),
    }),
    ...(version !== undefined && { version }),
    kubelets: kubeletVersions,
  };
}

function exampleFindings(
  { endpoint, isExampleEndpoint = false }: DoctorInput,
  steps: VendorSteps | undefined,
): readonly DoctorFinding[] {
  const isUsed = isExampleEndpoint && steps?.commands.some((command) => command.includes(endpoint)) === true;
  return isUsed ? [finding('endpoint-example', endpoint)] : [];
}

function describeCorefile(
  { corefile, route }: ClusterDns,
  check: LiveCheck | undefined,
): Pick<DoctorReport, 'corefile'> {
  if (corefile === undefined) return {};
  const { configMap, key } = corefile;
  return { corefile: { configMap, key, route, blocks: check?.blocks ?? [] } };
}

function describeNodeCache({ nodeCache }: ClusterDns): Pick<DoctorReport, 'nodeCache'> {
  if (nodeCache === undefined) return {};
  const { kind, version, bypassesClusterDns } = nodeCache;
  return { nodeCache: { kind, ...(version !== undefined && { version }), bypassesClusterDns } };
}
