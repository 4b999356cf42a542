import { insertTap } from './corefile/insert-tap.js';
import type { InstallContext, Mode } from './dns-changes.js';
import { type Deployment, type DnsWorkload, hasNativeSidecars } from './dns-workload.js';
import { InstallError } from './install-error.js';
import { type Sidecar, withEnvironment, withoutSidecar, withSidecar } from './sidecar.js';

/**
 * The Corefile with our line.
 *
 * @throws InstallError INSTALL_ERR_COREFILE
 */
export function wantedCorefile(
  corefile: string,
  options: { readonly endpoint: string; readonly clusterDomain: string; readonly workload: DnsWorkload },
): string {
  const { endpoint, clusterDomain, workload } = options;
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
  options: Pick<InstallContext, 'client' | 'signal'> & {
    readonly workload: DnsWorkload;
    readonly sidecar?: Sidecar | undefined;
    /** Address of the Redis of the sidecar, which pods of the cluster DNS cannot look up. */
    readonly redisAddress?: string | undefined;
  },
): Promise<(deployment: Deployment) => Deployment> {
  if (mode === 'collector') return withoutSidecar;
  const { client, redisAddress, sidecar, signal, workload } = options;
  if (sidecar === undefined) throw new InstallError('INSTALL_ERR_SETTINGS', 'sidecar mode needs install.sidecar');
  const native = await hasNativeSidecars(client, signal);
  const environment = redisAddress === undefined ? {} : { REDIS_ADDRESS: redisAddress };
  const wanted = { sidecar: withEnvironment(sidecar, environment), coredns: workload.container, native };
  return (deployment) => withSidecar(deployment, wanted);
}
