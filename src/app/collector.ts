import { randomInt, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createSecureContext } from 'node:tls';
import type { ReceiverTlsOptions } from 'dnstap-ts';
import { ConfigurationError, readSettingFile } from '../config/load.js';
import type { Configuration } from '../config/schema.js';
import type { HostStore } from '../host/host-store.js';
import { corefileLine } from '../install/corefile/corefile-line.js';
import { Collector } from '../intake/dnstap/collector.js';
import { FloodGuard } from '../intake/flood-guard.js';
import { createFrameIntake } from '../intake/frame-intake.js';
import { PeerCount } from '../intake/peer-count.js';
import { Recorder } from '../intake/recorder.js';
import { SourceWatch } from '../intake/source-watch.js';
import { createObservationTable } from '../observation/observation-table.js';
import type { Logger } from '../telemetry/logger.js';
import { observeCollector } from './collector-metrics.js';
import { observationOptions, ownSearchList } from './observation-options.js';
import type { Running } from './running.js';
import { isSharedStore } from './store.js';
import type { Telemetry } from './telemetry.js';

/** How long the last observations may take to be recorded at the end. Kubernetes kills after 30 s. */
const CLOSE_TIMEOUT_MS = 10_000;

export function requireEndpoints({ dnstap }: Configuration): void {
  if (dnstap.endpoints.length > 0) return;
  throw new ConfigurationError([
    {
      setting: 'dnstap.endpoints',
      value: 'nothing',
      allowed:
        'at least one --dnstap unix:///path, tcp://host:port or tls://host:port, or for `run` a capture to --read',
      from: 'default',
    },
  ]);
}

export interface RunningCollector extends Running {
  readonly connections: () => ReturnType<Collector['connections']>;
}

export async function startCollector(
  configuration: Configuration,
  store: HostStore,
  telemetry: Telemetry,
): Promise<RunningCollector> {
  const { dnstap } = configuration;
  const log = telemetry.log.child({ component: 'collector' });
  const source = randomUUID();
  const isShared = isSharedStore(configuration);
  const peers = new PeerCount({ store, source, isShared, fromMs: Date.now(), log });
  const guard = new FloodGuard(configuration.observation);
  const table = createObservationTable({
    ...observationOptions(configuration, ownSearchList()),
    seed: randomInt(2 ** 31),
    onTextQuestion: (question) => guard.noteQuestion(question),
    origin: 'dnstap',
    now: Date.now,
    peers: () => peers.count,
    onClusterDomains: (domains) => log.info({ domains }, 'cluster domain found'),
  });
  const watch = new SourceWatch({ store, source, name: hostname(), fromMs: Date.now(), log });
  const recorder = new Recorder({ table, store, source, now: Date.now, log, guard, watch, peers });
  const collector = new Collector({
    endpoints: dnstap.endpoints,
    intake: createFrameIntake(table),
    maxConnections: dnstap.maxConnections,
    maxFrameBytes: dnstap.maxFrameBytes,
    socketMode: Number.parseInt(dnstap.socketMode, 8),
    ...(dnstap.allowedAddresses.length > 0 && { allowedAddresses: dnstap.allowedAddresses }),
    ...readTls(dnstap),
    onConnections: (connections, wasCut) => watch.noteConnections(connections, { atMs: Date.now(), wasCut }),
    log,
  });
  await collector.listen();
  recorder.start(configuration.observation.flushMs);
  observeCollector(telemetry.metrics, { table, recorder, collector, guard });
  return {
    connections: () => collector.connections(),
    close: async () => {
      await collector.close();
      await recorder.close(CLOSE_TIMEOUT_MS);
    },
  };
}

function readTls({ tlsCertFile, tlsKeyFile, tlsClientCaFile }: Configuration['dnstap']): {
  readonly tls?: ReceiverTlsOptions;
} {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return {};
  const read = (setting: string, path: string): string => readSettingFile(`dnstap.${setting}`, path);
  const tls = {
    cert: read('tlsCertFile', tlsCertFile),
    key: read('tlsKeyFile', tlsKeyFile),
    ...(tlsClientCaFile !== undefined && { ca: read('tlsClientCaFile', tlsClientCaFile) }),
  };
  try {
    createSecureContext(tls);
  } catch (err) {
    const value = [tlsCertFile, tlsKeyFile, tlsClientCaFile].filter((file) => file !== undefined).join(', ');
    const allowed = `PEM files, the key that of the certificate (${err instanceof Error ? err.message : String(err)})`;
    throw new ConfigurationError([
      { setting: 'dnstap.tlsCertFile, tlsKeyFile, tlsClientCaFile', value, allowed, from: 'settings' },
    ]);
  }
  return { tls };
}

/** What a person has to do next. */
export function tellCorefileLines({ dnstap }: Configuration, log: Logger): void {
  for (const endpoint of dnstap.endpoints) {
    const needed = corefileLine({ endpoint });
    if ('line' in needed) log.info({ line: needed.line }, 'CoreDNS needs this line in its server block');
    else log.warn({ endpoint, reason: needed.refused }, 'no line of a Corefile can name this endpoint');
  }
}
