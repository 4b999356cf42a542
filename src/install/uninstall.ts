import { removeTap } from './corefile/remove-tap.js';
import { DnsChanges, type InstallContext, sha256 } from './dns-changes.js';
import { findDnsWorkload } from './dns-workload.js';
import { recordLocation } from './install.js';
import { InstallError } from './install-error.js';
import { deleteRecord, type InstallRecord, readRecord } from './record.js';
import { withoutSidecar, withRestart } from './sidecar.js';

/**
 * Gives the cluster DNS back what it had: first the Corefile, then, when no CoreDNS sends any more, its pods. Where nobody
 * else has changed the Corefile since, it becomes the text that was recorded, byte for byte; otherwise our line is taken
 * out of what is there now. Again, or without an installation, it changes nothing.
 *
 * @throws InstallError, KubernetesError
 */
export async function uninstall(context: InstallContext): Promise<void> {
  const { client, log, signal, timeoutMs } = context;
  const location = recordLocation(context);
  const found = await readRecord(location);
  const workload = await findDnsWorkload(client, signal);
  const dns = new DnsChanges(context, workload);
  const changed = await dns.changeCorefile((corefile) => restoredCorefile(corefile, found?.record));
  log.info({ changed }, 'Corefile restored');
  if (found !== undefined) {
    try {
      await dns.waitUntilDisconnected(found.record.mode, timeoutMs);
    } catch (err) {
      if (!(err instanceof InstallError && err.code === 'INSTALL_ERR_NOT_VERIFIED')) throw err;
      // CoreDNS has no `reload`, or it is stuck. What removing the sidecar restarts needs no further restart.
      log.warn({ err }, 'CoreDNS has not read the restored Corefile in time; restarting its pods');
      if (found.record.mode === 'collector') await dns.changeDeployment((each) => withRestart(each, 'restored'));
    }
  }
  await dns.changeDeployment((deployment) => withRestart(withoutSidecar(deployment), undefined));
  if (found !== undefined) await deleteRecord(location, found.object);
  log.info({}, 'the cluster DNS is as it was');
}

/** @throws InstallError INSTALL_ERR_COREFILE */
export function restoredCorefile(corefile: string, record: InstallRecord | undefined): string {
  if (record !== undefined && sha256(corefile) === record.written) return record.original;
  const removal = removeTap(corefile, record === undefined ? {} : { unmarkedEndpoint: record.endpoint });
  if ('text' in removal) return removal.text;
  throw new InstallError('INSTALL_ERR_COREFILE', `the Corefile cannot be read: ${removal.refused}`);
}
