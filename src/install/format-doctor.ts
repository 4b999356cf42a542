import type { DoctorReport } from './doctor.js';
import type { Istio } from './detect-istio.js';

const LABEL_COLUMNS = 14;
const LINE_COLUMNS = 110;

const VERDICTS: Readonly<Record<DoctorReport['verdict'], string>> = {
  broken: 'installed, but it does not work: see the problems',
  'by-hand': 'can be installed; then the commands below, by hand',
  impossible: 'nothing would be learnt: see the problems',
  installed: 'installed, and it works',
  ready: 'can be installed',
  unverified: 'installed; whether it works is not to be seen yet',
};

const ROUTES: Readonly<Record<NonNullable<DoctorReport['corefile']>['route'], string>> = {
  'by-hand': 'changed by hand',
  configmap: 'changed directly',
  'coredns-custom': 'changed through ConfigMap coredns-custom',
  'eks-addon': 'changed through the configuration values of the add-on',
  'helm-chart-config': 'changed through HelmChartConfig rke2-coredns',
  'node-cache': 'changed in place of that of CoreDNS',
  none: 'cannot be changed',
};

/** The report on one screen. */
export function formatDoctor(report: DoctorReport): string {
  const { findings, plan, steps } = report;
  const rows = [...dnsRows(report), ...otherRows(report)].map(
    ([label, text]) => `${label.padEnd(LABEL_COLUMNS)}${text}`,
  );
  const list = findings.map(({ severity, code, text }) => wrap(`${severity.toUpperCase()} ${code}: ${text}`));
  const commands = steps === undefined ? [] : [wrap(steps.why), '', ...steps.commands];
  const sections = [
    rows,
    section('What is lost, and what to know:', list),
    section('What will be done:', plan.map(wrap)),
    commands,
  ];
  return sections
    .filter((section) => section.length > 0)
    .map((section) => section.map((line) => `${line}\n`).join(''))
    .join('\n');
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines];
}

type Row = readonly [label: string, text: string];

function dnsRows({ verdict, dns, corefile, nodeCache }: DoctorReport): readonly Row[] {
  const kubelets = dns.kubelets.length === 0 ? '' : `, kubelets ${dns.kubelets.join(', ')}`;
  const rows: Row[] = [
    ['Verdict', VERDICTS[verdict]],
    ['Cluster DNS', formatDns(dns)],
    ['Platform', `${dns.platform}${kubelets}`],
  ];
  if (corefile !== undefined) {
    const { configMap, key, route, blocks } = corefile;
    rows.push(['Corefile', `ConfigMap ${configMap}, key ${key}; ${ROUTES[route]}`]);
    for (const { keys, taps } of blocks) rows.push(['', `${keys.join(' ')}: ${formatTaps(taps)}`]);
  }
  if (nodeCache !== undefined) {
    const { kind, version } = nodeCache;
    rows.push(['Node cache', version === undefined ? kind : `${kind}, CoreDNS ${version}`]);
  }
  return rows;
}

function otherRows({ istio, store, rights, arrival }: DoctorReport): readonly Row[] {
  const rows: Row[] = [
    ['Istio', istio === undefined ? 'not found' : formatIstio(istio)],
    ['Store', store === undefined ? 'not asked' : formatStore(store)],
    ['Rights', rights === undefined ? 'not asked' : formatRights(rights)],
  ];
  return arrival === undefined ? rows : [...rows, ['Collectors', formatArrival(arrival)]];
}

function formatDns({ kind, namespace, workload, version, service, clusterIp, ...rest }: DoctorReport['dns']): string {
  const { readyReplicas, replicas, managedBy } = rest;
  const behind = service === undefined ? '' : `Service ${namespace}/${service} ${clusterIp}`;
  if (workload === undefined) return ['no pods', behind].filter((part) => part !== '').join(', ');
  const by = managedBy === undefined ? '' : `, managed by ${managedBy}`;
  const name = kind === 'coredns' ? `CoreDNS ${version ?? 'of unknown version'}` : 'kube-dns';
  return `${name}, ${namespace} ${workload} (${readyReplicas} of ${replicas} ready${by}), ${behind}`;
}

function formatTaps(taps: NonNullable<DoctorReport['corefile']>['blocks'][number]['taps']): string {
  if (taps.length === 0) return 'no tap';
  return taps.map(({ endpoint, full, ours }) => `${endpoint}${full ? ' full' : ''}${ours ? ' (ours)' : ''}`).join(', ');
}

function formatIstio({ revisions, ambient, sidecarNamespaces, ambientNamespaces }: Istio): string {
  const planes = revisions.map(({ revision, version = 'unknown version', outboundTrafficPolicy, dnsCapture }) => {
    const name = revision === 'default' ? version : `${version} (${revision})`;
    return `${name}, ${outboundTrafficPolicy}, DNS capture ${dnsCapture ? 'on' : 'off'}`;
  });
  const capture = ambient?.dnsCapture === true ? 'on' : 'off';
  const mode = ambient === undefined ? '' : `; ambient in ${ambientNamespaces} namespaces, DNS capture ${capture}`;
  return `${planes.join('; ')}; sidecars in ${sidecarNamespaces} namespaces${mode}`;
}

function formatStore({ kind, reachable, persistence, evictionPolicy }: NonNullable<DoctorReport['store']>): string {
  if (!reachable) return `${kind}, cannot be reached`;
  const facts = [persistence && `persistence: ${persistence}`, evictionPolicy && `when full: ${evictionPolicy}`];
  return [kind, ...facts].filter(Boolean).join(', ');
}

function formatRights(rights: NonNullable<DoctorReport['rights']>): string {
  const missing = rights.filter(({ allowed }) => !allowed).length;
  return missing === 0 ? `all ${rights.length}` : `${missing} of ${rights.length} missing`;
}

function formatArrival({ collectors, unreadable }: NonNullable<DoctorReport['arrival']>): string {
  const each = collectors.map(
    ({ pod, connections, responses }) => `${pod}: ${connections} connections, ${responses} responses`,
  );
  return [...each, ...unreadable].join('; ') || 'none';
}

/** Breaks a text at blanks; what follows the first line is indented. */
function wrap(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < LINE_COLUMNS) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(lines.length === 0 ? word : `  ${word}`);
  }
  return lines.join('\n');
}
