import { DnsChanges, type InstallContext } from './dns-changes.js';
import { type Deployment, findDnsWorkload } from './dns-workload.js';
import { type InstallOptions, recordLocation } from './install.js';
import { readRecord } from './record.js';
import { SOCKET_ENDPOINT, withoutSidecar, withRestart } from './sidecar.js';
import { findInstalledDns, restoredCorefile } from './uninstall.js';
import { wantedCorefile, wantedDeployment } from './wanted-dns.js';

/** What would be changed in the cluster DNS. What would stay is the same before and after. */
export interface DnsPreview {
  readonly namespace: string;
  readonly configMap: { readonly name: string; readonly key: string };
  readonly corefile: { readonly before: string; readonly after: string };
  readonly deployment: { readonly name: string; readonly before: PodTemplate; readonly after: PodTemplate };
  /** Stands for an address that is not known before the Service of that name is there. */
  readonly placeholder?: { readonly address: string; readonly service: string };
}

type PodTemplate = Deployment['spec']['template'];

/** A documentation address (RFC 5737): a Corefile with a word in its place would be refused. */
const UNKNOWN_ADDRESS = '192.0.2.1';
const DEFAULT_TAP_PORT = 6000;

/** What {@link install} would write. Changes nothing. @throws InstallError, KubernetesError */
export async function previewInstall(options: InstallOptions): Promise<DnsPreview> {
  const { client, clusterDomains, mode, redisService, service, signal } = options;
  const workload = await findDnsWorkload(client, signal);
  const dns = new DnsChanges(options, workload);
  const collector = mode === 'collector' ? await dns.findEndpoint(service) : undefined;
  const endpoint = mode === 'sidecar' ? SOCKET_ENDPOINT : (collector ?? `tcp://${UNKNOWN_ADDRESS}:${DEFAULT_TAP_PORT}`);
  const redisAddress = redisService === undefined ? undefined : await dns.findAddress(redisService);
  const change = await wantedDeployment(mode, { ...options, workload, redisAddress });
  const isUnknown = mode === 'collector' && collector === undefined;
  const before = await dns.readCorefile();
  const deployment = await dns.readDeployment();
  return {
    namespace: workload.namespace,
    configMap: { name: workload.configMap, key: workload.key },
    corefile: { before, after: wantedCorefile(before, { endpoint, clusterDomains, workload }) },
    deployment: templatesOf(deployment, change(deployment)),
    ...(isUnknown && { placeholder: { address: UNKNOWN_ADDRESS, service } }),
  };
}

/** What {@link uninstall} would write, if anything. Changes nothing. @throws InstallError, KubernetesError */
export async function previewUninstall(context: InstallContext): Promise<DnsPreview | undefined> {
  const record = (await readRecord(recordLocation(context)))?.record;
  const workload = await findInstalledDns(context, record);
  if (workload === undefined) return undefined;
  const dns = new DnsChanges(context, workload);
  const before = await dns.readCorefile();
  const deployment = await dns.readDeployment();
  return {
    namespace: workload.namespace,
    configMap: { name: workload.configMap, key: workload.key },
    corefile: { before, after: restoredCorefile(before, record) },
    deployment: templatesOf(deployment, withRestart(withoutSidecar(deployment), undefined)),
  };
}

function templatesOf(before: Deployment, after: Deployment): DnsPreview['deployment'] {
  return { name: before.metadata.name, before: before.spec.template, after: after.spec.template };
}
