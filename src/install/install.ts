import { removeTap } from './corefile/remove-tap.js';
import { DnsChanges, sha256, type InstallContext, type Mode } from './dns-changes.js';
import { DnsProbe } from './dns-probe.js';
import { type Deployment, type DnsWorkload, findDnsWorkload } from './dns-workload.js';
import { FIELD_MANAGER } from './cluster-changes.js';
import { InstallError } from './install-error.js';
import {
  type InstallRecord,
  readRecord,
  type RecordLocation,
  recordName,
  deleteRecord,
  writeRecord,
} from './record.js';
import { type Sidecar, SOCKET_ENDPOINT, withoutSidecar, withRestart } from './sidecar.js';
import { mainClusterDomain, wantedCorefile, wantedDeployment } from './wanted-dns.js';

export interface InstallOptions extends InstallContext {
  readonly mode: Mode;
  /** What sidecar mode adds to the pods of CoreDNS. */
  readonly sidecar?: Sidecar;
  /** A Service whose address goes into the sidecar's environment as REDIS_ADDRESS: CoreDNS's pods cannot look it up. */
  readonly redisService?: string;
  /** Whether this is an attempt of ours to put it right; else a person has asked, and attempts are counted anew. */
  readonly isRepair?: boolean;
}

/** A CoreDNS that was connected with this Corefile connects again after 10 s at most, or it will not any more. */
const RECONNECT_MS = 20_000;

/** Where the record of an installation is. */
export function recordLocation({ client, namespace, owner, signal }: InstallContext): RecordLocation {
  return { client, namespace, name: recordName(owner), fieldManager: FIELD_MANAGER, signal };
}

/**
 * Makes CoreDNS send to us. Every step looks at what is there and does what is missing, so that a run after one that was
 * killed, or after a change of settings, comes to the same end.
 *
 * ```text
 * record   what there was, and the hash of what will be there      before anything is changed
 * receive  sidecar: rolled out in every pod · collector: ready     so that CoreDNS never waits for it
 * Corefile our line, by the version that was read                  CoreDNS reads it within two minutes
 * verify   a complete connection of every pod                      else, or when look-ups fail: all back
 * clean    what another mode left
 * ```
 *
 * @throws InstallError, KubernetesError
 */
export async function install(options: InstallOptions): Promise<void> {
  const { client, log, signal } = options;
  const workload = await findDnsWorkload(client, signal);
  const { namespace, name, configMap, key, context } = workload;
  log.info({ namespace, name, configMap, key, version: context.version }, 'cluster DNS found');
  if (workload.isBypassed)
    log.warn({}, 'a cache on the nodes answers for external names; few hosts will be learnt here');
  const clusterDomain = mainClusterDomain({ ...options, workload });
  const probe = new DnsProbe({ address: workload.serviceAddress, clusterDomain });
  if (await probe.answers()) probe.start();
  else log.warn({ address: workload.serviceAddress }, 'the cluster DNS does not answer here; look-ups are not watched');
  try {
    await new Installation(options, workload, probe).run();
  } finally {
    await probe.close();
    log.info({ ...probe.statistics }, 'look-ups during the change');
  }
}

class Installation {
  readonly #options: InstallOptions;
  readonly #workload: DnsWorkload;
  readonly #probe: DnsProbe;
  readonly #dns: DnsChanges;
  readonly #location: RecordLocation;

  constructor(options: InstallOptions, workload: DnsWorkload, probe: DnsProbe) {
    this.#options = options;
    this.#workload = workload;
    this.#probe = probe;
    this.#dns = new DnsChanges(options, workload);
    this.#location = recordLocation(options);
  }

  async run(): Promise<void> {
    const { mode } = this.#options;
    const previous = (await readRecord(this.#location))?.record;
    const endpoint = mode === 'sidecar' ? SOCKET_ENDPOINT : await this.#dns.collectorEndpoint();
    const undo: Undo = { previous, deployment: await this.#dns.readDeployment() };
    try {
      // Only recorded at first: a Corefile that cannot be edited must not cost a rollout.
      undo.corefile = (await this.#changeCorefile(endpoint, { previous, isWritten: false })).before;
      if (mode === 'sidecar') await this.#rollOutSidecar();
      const { before, changed } = await this.#changeCorefile(endpoint, { previous, isWritten: true });
      undo.corefile = before;
      // What a run that was killed has written may not have been read yet: no reason to restart any pod.
      await this.#verify(changed || previous?.verified !== true);
    } catch (err) {
      if (isWorthUndoing(err)) await this.#rollBack(undo);
      throw err;
    }
    if (mode === 'collector') await this.#dns.changeDeployment((deployment) => withoutSidecar(deployment));
    await this.#confirm();
    this.#options.log.info({ mode, endpoint }, 'every CoreDNS pod is connected');
  }

  async #rollOutSidecar(): Promise<void> {
    const { mode, redisService, log } = this.#options;
    const redisAddress = redisService === undefined ? undefined : await this.#dns.serviceAddress(redisService);
    const change = await wantedDeployment(mode, { ...this.#options, workload: this.#workload, redisAddress });
    log.info({}, 'rolling out the sidecar');
    await this.#dns.changeDeployment(change, this.#watched());
  }

  /** Records how the Corefile is to be, then writes it. */
  async #changeCorefile(
    endpoint: string,
    { previous, isWritten }: { readonly previous: InstallRecord | undefined; readonly isWritten: boolean },
  ): Promise<{ readonly before: string; readonly changed: boolean }> {
    const { mode, log } = this.#options;
    const { namespace, name: deployment, configMap, key } = this.#workload;
    let before = '';
    const changed = await this.#dns.changeCorefile(async (corefile) => {
      before = corefile;
      const { original, written } = this.#edit(corefile, endpoint, previous);
      const verified = previous?.verified ?? false;
      const place = { mode, endpoint, namespace, deployment, configMap, key };
      await this.#record({ ...place, original, written: sha256(written), verified });
      return isWritten ? written : corefile;
    });
    log.info({ changed }, isWritten ? 'Corefile written' : 'change recorded');
    return { before, changed };
  }

  #edit(
    corefile: string,
    endpoint: string,
    previous: InstallRecord | undefined,
  ): { original: string; written: string } {
    const { clusterDomains } = this.#options;
    const written = wantedCorefile(corefile, { endpoint, clusterDomains, workload: this.#workload });
    if (previous !== undefined && sha256(corefile) === previous.written)
      return { original: previous.original, written };
    const bare = removeTap(corefile);
    return { original: 'text' in bare ? bare.text : corefile, written };
  }

  /** Restarts the pods once where that is what it takes: no `reload`, or one that an earlier bad Corefile has stopped. */
  async #verify(isNew: boolean): Promise<void> {
    const { log, mode, timeoutMs } = this.#options;
    const firstMs = isNew ? timeoutMs : Math.min(timeoutMs, RECONNECT_MS);
    try {
      await this.#dns.waitUntilConnected(mode, { ...this.#watched(), timeoutMs: firstMs });
    } catch (err) {
      if (!(err instanceof InstallError && err.code === 'INSTALL_ERR_NOT_VERIFIED')) throw err;
      log.warn({ err }, 'CoreDNS has not read its Corefile in time; restarting its pods');
      const record = (await readRecord(this.#location))?.record;
      await this.#dns.changeDeployment((each) => withRestart(each, record?.written.slice(0, 16)), this.#watched());
      await this.#dns.waitUntilConnected(mode, { ...this.#watched(), timeoutMs });
    }
  }

  /** To what there was when this run began, or, where an earlier one was never verified, to what there was before us. */
  async #rollBack({ previous, deployment, corefile }: Undo): Promise<void> {
    const { log, mode } = this.#options;
    log.warn({}, 'rolling back');
    const record = (await readRecord(this.#location))?.record;
    // Without a record somebody has removed the installation meanwhile.
    const wasVerified = previous?.verified === true && record !== undefined;
    const target = wasVerified ? corefile : record?.original;
    const undone = await this.#dns.changeCorefile((now) => {
      if (target !== undefined && sha256(now) === record?.written) return target;
      const bare = removeTap(now);
      return 'text' in bare && !wasVerified ? bare.text : now;
    });
    if (undone) await this.#dns.waitUntilDisconnected(mode, this.#options.timeoutMs).catch(() => undefined);
    await this.#putBackDeployment(wasVerified ? deployment : undefined);
    const found = await readRecord(this.#location);
    if (wasVerified) await writeRecord(this.#location, previous, found?.object);
    else if (found !== undefined) await deleteRecord(this.#location, found.object);
    log.warn({}, 'rolled back');
  }

  /** As it was, or without anything of ours. That a rollout takes its time is no reason to leave the rest. */
  async #putBackDeployment(before: Deployment | undefined): Promise<void> {
    const { log } = this.#options;
    try {
      await this.#dns.changeDeployment((now) =>
        before === undefined
          ? withRestart(withoutSidecar(now), undefined)
          : { ...now, spec: { ...now.spec, template: before.spec.template } },
      );
    } catch (err) {
      if (!(err instanceof InstallError && err.code === 'INSTALL_ERR_NOT_VERIFIED')) throw err;
      log.warn({ err }, 'the pods of CoreDNS are being put back, and not all are ready yet');
      await this.#dns.putBackStrategy();
    }
  }

  async #confirm(): Promise<void> {
    const found = await readRecord(this.#location);
    if (found === undefined) throw new InstallError('INSTALL_ERR_CONFLICT', 'the installation was removed meanwhile');
    const { repairs, ...record } = found.record;
    const kept = this.#options.isRepair === true && repairs !== undefined ? { repairs } : {};
    if (record.verified && repairs === kept.repairs) return;
    await writeRecord(this.#location, { ...record, ...kept, verified: true }, found.object);
  }

  async #record(fields: Partial<InstallRecord>): Promise<void> {
    const found = await readRecord(this.#location);
    const record = { ...found?.record, ...fields } as InstallRecord; // the first call brings all fields
    if (JSON.stringify(record) === JSON.stringify(found?.record)) return;
    await writeRecord(this.#location, record, found?.object);
  }

  #watched(): { readonly dnsFailed: AbortSignal } {
    return { dnsFailed: this.#probe.failed };
  }
}

/** What a run has found, to be put back. */
interface Undo {
  readonly previous: InstallRecord | undefined;
  readonly deployment: Deployment;
  corefile?: string;
}

/** A run that was stopped, or met another one, is to be gone on with; one that failed is to leave nothing. */
function isWorthUndoing(err: unknown): boolean {
  return err instanceof InstallError && err.code !== 'INSTALL_ERR_ABORTED' && err.code !== 'INSTALL_ERR_CONFLICT';
}
