import { chartSettings } from './chart-settings.js';
import type { CorefileCheck } from './corefile/check-corefile.js';
import { insertTap } from './corefile/insert-tap.js';
import { type ClusterDns, tapPoint } from './detect-cluster-dns.js';
import type { Istio } from './detect-istio.js';
import { type DoctorFinding, finding } from './doctor-findings.js';
import {
  arrivalFindings,
  dnsFindings,
  type IstioEvidence,
  istioFindings,
  nodeFindings,
  rightFindings,
  storeFindings,
  versionFindings,
} from './doctor-rules.js';
import {
  ANY_ENDPOINT,
  checkLiveCorefile,
  corefileContext,
  isTapAbsent,
  type LiveCheck,
} from './live-corefile-check.js';
import type { Platform } from './platform.js';
import type { ReviewedRight } from './rights.js';
import type { StoreReport } from './store-report.js';
import { vendorSteps, type VendorSteps } from './vendor-route.js';
import type { ArrivalCheck } from './verify-arrival.js';

/** What was found out; what is absent was not asked. */
export interface DoctorInput extends IstioEvidence {
  readonly dns: ClusterDns;
  readonly rights?: readonly ReviewedRight[] | undefined;
  readonly store?: StoreReport | undefined;
  readonly arrival?: ArrivalCheck | undefined;
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
  const insertion = insertTap(text, { ...corefileContext(dns), endpoint: ANY_ENDPOINT });
  if ('refused' in insertion) return [];
  const blocks = insertion.tapped.map((keys) => keys.join(' ')).join(' and ');
  const restart = insertion.cautions.includes('no-reload') ? '; then the pods of CoreDNS are restarted' : '';
  const isByHand = verdict === 'by-hand';
  const settings = chartSettings(dns);
  const values = settings.length === 0 ? '' : ` with ${settings.join(' and ')}`;
  return [
    `Helm installs the collector, the reconciler and, unless told otherwise, Redis into namespace ${namespace}${values}.`,
    !isByHand
      ? `A dnstap line goes into server block ${blocks} of ConfigMap ${configMap}, key ${key}; every other byte stays${restart}.`
      : 'You run the commands below: they give the line to CoreDNS in the way that lasts here.',
  ];
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
    // Who only looks at what is installed needs none of them.
    ...(isInstalled(input) ? [] : rightFindings(rights)),
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
