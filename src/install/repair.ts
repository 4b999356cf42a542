import { readInstalledDns } from './drift.js';
import { install, type InstallOptions, recordLocation } from './install.js';
import { decideRepair, isSettled, type RepairAttempts } from './repair-attempts.js';
import { readRecord, writeRecord } from './record.js';

/**
 * Puts the cluster DNS right where somebody else has taken us out of it, as {@link install} would, and else does nothing.
 * To be run again and again. Against somebody who takes us out each time it does not fight: it waits longer after each
 * attempt, and after some it gives up until the installation is run.
 *
 * @throws InstallError, KubernetesError
 */
export async function repair(options: InstallOptions, now: () => number = Date.now): Promise<void> {
  const { client, log, signal } = options;
  const { namespace, name } = recordLocation(options);
  const found = await readInstalledDns({ client, namespace, name, signal });
  if (found === undefined || !found.record.verified) {
    return log.info({}, 'nothing is installed, or an installer is at work: nothing to repair');
  }
  const { drifts, isRolledOut, isUnreadable, record } = found;
  if (drifts.length === 0) {
    if (record.repairs !== undefined && isSettled(record.repairs, now())) await keepAttempts(options, undefined);
    return log.info({}, 'the cluster DNS is as it was left');
  }
  // Whoever saved it will save it again, and no attempt is to be used up meanwhile.
  if (isUnreadable) return log.warn({ drifts }, 'the Corefile has a mistake in it: not now');
  // kubeadm and others first write what is theirs, and then wait for it.
  if (!isRolledOut) return log.info({ drifts }, 'the cluster DNS is being rolled out: not now');
  const decision = decideRepair(record.repairs, now());
  if (decision.when === 'given-up') {
    return log.error({ drifts, ...record.repairs }, 'given up: find who changes it, then run the installation again');
  }
  if (decision.when === 'later') {
    return log.info({ drifts, notBefore: new Date(decision.atMs).toISOString() }, 'not yet');
  }
  log.warn({ drifts, ...decision.attempts }, 'putting the cluster DNS right');
  await keepAttempts(options, decision.attempts); // before, so that one that is killed counts too
  await install({ ...options, isRepair: true });
}

async function keepAttempts(options: InstallOptions, repairs: RepairAttempts | undefined): Promise<void> {
  const location = recordLocation(options);
  const found = await readRecord(location);
  if (found === undefined) return; // removed meanwhile
  const { repairs: _, ...record } = found.record;
  await writeRecord(location, { ...record, ...(repairs && { repairs }) }, found.object);
}
