import { insertTap } from './corefile/insert-tap.js';
import { DEFAULT_CLUSTER_DOMAIN } from './corefile/survey.js';
import type { InstallContext, Mode } from './dns-changes.js';
import { type Deployment, type DnsWorkload, hasNativeSidecars } from './dns-workload.js';
import { InstallError } from './install-error.js';
import { type Sidecar, withEnvironment, withMissingEnvironment, withoutSidecar, withSidecar } from './sidecar.js';

/** Where the sidecar reads the domains of the cluster: its own resolv.conf is that of the node. */
const CLUSTER_DOMAINS_VARIABLE = 'ISTIO_DISCOVERY_OBSERVATION_CLUSTER_DOMAINS';

type DomainSources = Pick<InstallContext, 'clusterDomains'> & { readonly workload: DnsWorkload };

/** The domain below which the cluster's own Services are. */
export function mainClusterDomain({ clusterDomains, workload }: DomainSources): string {
  return [...clusterDomains, ...workload.clusterDomains][0] ?? DEFAULT_CLUSTER_DOMAIN;
}

/**
 * The Corefile with our line.
 *
 * @throws InstallError INSTALL_ERR_COREFILE
 */
export function wantedCorefile(corefile: string, options: DomainSources & { readonly endpoint: string }): string {
  const { endpoint, workload } = options;
  const clusterDomain = mainClusterDomain(options);
  const inserted = insertTap(corefile, { endpoint, clusterDomain, ...workload.context });
  if ('text' in inserted) return inserted.text;
  const { refused, line } = inserted;
  const where = line === undefined ? '' : ` (line ${line})`;
  throw new InstallError('INSTALL_ERR_COREFILE', `the Corefile cannot be given a dnstap line: ${refused}${where}`);
}

/**
 * How the Deployment of CoreDNS is to be: with our sidecar, or without any.
 *
 * @throws InstallError INSTALL_ERR_SETTINGS, KubernetesError
 */
export async function wantedDeployment(
  mode: Mode,
  options: Pick<InstallContext, 'client' | 'signal'> &
    DomainSources & {
      readonly sidecar?: Sidecar | undefined;
      /** Address of the Redis of the sidecar, which pods of the cluster DNS cannot look up. */
      readonly redisAddress?: string | undefined;
    },
): Promise<(deployment: Deployment) => Deployment> {
  if (mode === 'collector') return withoutSidecar;
  const { client, clusterDomains, redisAddress, signal, workload } = options;
  if (options.sidecar === undefined)
    throw new InstallError('INSTALL_ERR_SETTINGS', 'sidecar mode needs install.sidecar');
  const native = await hasNativeSidecars(client, signal);
  const environment = redisAddress === undefined ? {} : { REDIS_ADDRESS: redisAddress };
  const domains = clusterDomains.length > 0 ? clusterDomains : workload.clusterDomains;
  const found = domains.length === 0 ? {} : { [CLUSTER_DOMAINS_VARIABLE]: JSON.stringify(domains) };
  const sidecar = withMissingEnvironment(withEnvironment(options.sidecar, environment), found);
  const wanted = { sidecar, coredns: workload.container, native };
  return (deployment) => withSidecar(deployment, wanted);
}
