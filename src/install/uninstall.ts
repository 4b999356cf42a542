import { waitFor } from './cluster-changes.js';
import { removeTap } from './corefile/remove-tap.js';
import { DnsChanges, type InstallContext, sha256 } from './dns-changes.js';
import { type DnsPlace, findDnsWorkload, recordedDnsWorkload } from './dns-workload.js';
import { recordLocation } from './install.js';
import { InstallError } from './install-error.js';
import { isAnotherInstallerRunning } from './installer-pods.js';
import { deleteRecord, type InstallRecord, readRecord, writeRecord } from './record.js';
import { withoutSidecar, withRestart } from './sidecar.js';

/**
 * Gives the cluster DNS back what it had: first the Corefile, then, when no CoreDNS sends any more, its pods. Where nobody
 * else has changed the Corefile since, it becomes the text that was recorded, byte for byte; otherwise our line is taken
 * out of what is there now. Again, or without an installation, it changes nothing. A repair that begins meanwhile finds an
 * installation that is not verified, and does nothing; one that has begun is waited for, or it would put us back.
 *
 * @throws InstallError, KubernetesError
 */
export async function uninstall(context: InstallContext): Promise<void> {
  const { log, timeoutMs } = context;
  const location = recordLocation(context);
  const found = await closeRecord(context);
  const workload = await findInstalledDns(context, found?.record);
  if (workload === undefined) {
    if (found !== undefined) await deleteRecord(location, found.object);
    return log.info({}, 'there is no CoreDNS here that could be as it was left');
  }
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

/** The record, so that no repair begins any more. @throws InstallError, KubernetesError */
async function closeRecord(context: InstallContext): ReturnType<typeof readRecord> {
  const { log, signal, timeoutMs } = context;
  const location = recordLocation(context);
  const found = await readRecord(location);
  if (found === undefined) return undefined;
  if (found.record.verified) await writeRecord(location, { ...found.record, verified: false }, found.object);
  const what = 'the end of another installer';
  try {
    const isAlone = async (): Promise<boolean> => !(await isAnotherInstallerRunning(context));
    await waitFor(isAlone, { what, signal, timeoutMs, code: 'INSTALL_ERR_NOT_VERIFIED' });
  } catch (err) {
    if (!(err instanceof InstallError && err.code === 'INSTALL_ERR_NOT_VERIFIED')) throw err;
    log.warn({ err }, 'another installer is at work; going on all the same');
  }
  return readRecord(location); // it may have changed it
}

/**
 * The CoreDNS that is to be put back: also where by now it is not ours to change any more, because it became an add-on, say.
 * Undefined where nothing was changed, or what was is gone.
 *
 * @throws InstallError, KubernetesError
 */
export async function findInstalledDns(
  { client, signal }: Pick<InstallContext, 'client' | 'signal'>,
  record: InstallRecord | undefined,
): Promise<DnsPlace | undefined> {
  try {
    return await findDnsWorkload(client, signal);
  } catch (err) {
    if (!(err instanceof InstallError && err.code === 'INSTALL_ERR_NO_COREDNS')) throw err;
    return record && recordedDnsWorkload(client, record, signal);
  }
}

/** @throws InstallError INSTALL_ERR_COREFILE */
export function restoredCorefile(corefile: string, record: InstallRecord | undefined): string {
  if (record !== undefined && sha256(corefile) === record.written) return record.original;
  const removal = removeTap(corefile, record === undefined ? {} : { unmarkedEndpoint: record.endpoint });
  if ('text' in removal) return removal.text;
  throw new InstallError('INSTALL_ERR_COREFILE', `the Corefile cannot be read: ${removal.refused}`);
}
