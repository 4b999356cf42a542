import { stringify } from 'yaml';
import type { ClusterDns } from './detect-cluster-dns.js';
import { insertTap } from './corefile/insert-tap.js';
import { CUSTOM_KEY } from './custom-import.js';
import type { LiveCorefile } from './live-corefile.js';
import { helmServers } from './helm-servers.js';

/** What has to be done by hand where the Corefile may be changed only in the vendor's own way: commands, one a line. */
export interface VendorSteps {
  /** One sentence on why. */
  readonly why: string;
  /** Commands for a shell; a document for `-f -` is part of its command. */
  readonly commands: readonly string[];
}

/** The commands of a vendor's way; undefined where the ConfigMap itself is changed, or must not be. */
export function vendorSteps(dns: ClusterDns, endpoint: string): VendorSteps | undefined {
  if (dns.platform === 'openshift') return OPENSHIFT;
  const { version, corefile } = dns;
  if (corefile === undefined) return undefined;
  const context = { ...corefile, endpoint, ...(version !== undefined && { version }) };
  const inserted = insertTap(corefile.text, context);
  if ('refused' in inserted) return undefined;
  if (dns.route === 'node-cache') return { why: NODE_CACHE, commands: [patchCommand(dns, corefile, inserted.text)] };
  if (dns.route === 'by-hand') return { why: BY_HAND, commands: [patchCommand(dns, corefile, inserted.text)] };
  if (dns.route === 'coredns-custom') return corednsCustom(dns, endpoint);
  if (dns.route === 'helm-chart-config') return helmChartConfig(dns, inserted.text);
  return dns.route === 'eks-addon' ? eksAddon(inserted.text) : undefined;
}

const OPENSHIFT: VendorSteps = {
  why: 'The DNS operator undoes every change to its DaemonSet and its Corefile: CoreDNS cannot be tapped here. Its log lines will serve; this version does not read them yet.',
  commands: [`oc patch dns.operator/default --type=merge -p '{"spec":{"logLevel":"Trace"}}'`],
};

const NODE_CACHE =
  'Each node has a cache that sends external names past CoreDNS; it is a CoreDNS too, and gets the line. It reads it by itself.';

const BY_HAND =
  'The pods of CoreDNS are not those of one Deployment, which is all that the Job changes. Where it has no `reload`, or mounts its Corefile by a subPath, restart them afterwards.';

/** A Corefile that has changed since is not overwritten, where its version is known. */
function patchCommand(
  { namespace }: ClusterDns,
  { configMap, key, resourceVersion }: LiveCorefile,
  corefile: string,
): string {
  const patch = JSON.stringify({
    ...(resourceVersion && { metadata: { resourceVersion } }),
    data: { [key]: corefile },
  });
  return `kubectl -n ${namespace} patch configmap ${configMap} --type=merge -p ${quote(patch)}`;
}

/** Our own key beside those of the operator; server-side apply leaves theirs alone. */
function corednsCustom({ namespace, workload }: ClusterDns, endpoint: string): VendorSteps {
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'coredns-custom', namespace },
    data: { [CUSTOM_KEY]: `dnstap ${endpoint} full\n` },
  };
  return {
    why: 'Whoever runs the cluster writes the Corefile back; ConfigMap coredns-custom stays.',
    commands: [
      applyCommand(object, '--server-side --field-manager=istio-discovery'),
      `kubectl -n ${namespace} rollout restart deployment/${workload?.name ?? 'coredns'}`,
    ],
  };
}

/** Helm replaces lists: the values hold every server block that there is. */
function helmChartConfig({ namespace }: ClusterDns, corefile: string): VendorSteps {
  const servers = helmServers(corefile);
  if (servers === undefined) {
    return {
      why: 'The chart writes the Corefile, and this one is more than the values of the chart can say: add dnstap to the plugins of your HelmChartConfig rke2-coredns.',
      commands: [`kubectl -n ${namespace} edit helmchartconfig rke2-coredns`],
    };
  }
  const object = {
    apiVersion: 'helm.cattle.io/v1',
    kind: 'HelmChartConfig',
    metadata: { name: 'rke2-coredns', namespace },
    spec: { valuesContent: stringify({ servers }) },
  };
  return {
    why: 'The chart writes the Corefile; its list of servers is replaced as a whole, so this is the one that runs, with the line. Merge it with a HelmChartConfig rke2-coredns that exists already.',
    commands: [applyCommand(object)],
  };
}

/** The add-on takes a whole Corefile. */
function eksAddon(corefile: string): VendorSteps {
  const values = quote(JSON.stringify({ corefile }));
  return {
    why: 'The add-on owns the Corefile and may write it back; its configuration values stay. Merge them with the values that it has (aws eks describe-addon).',
    commands: [
      `aws eks update-addon --cluster-name "$CLUSTER" --addon-name coredns --resolve-conflicts PRESERVE --configuration-values ${values}`,
    ],
  };
}

function applyCommand(object: object, flags = ''): string {
  const options = flags === '' ? '' : `${flags} `;
  return `kubectl apply ${options}-f - <<'END'\n${stringify(object)}END`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
