import { PassThrough } from 'node:stream';
import { observationOptions } from '../../src/app/observation-options.js';
import type { Configuration } from '../../src/config/schema.js';
import type { HostStore } from '../../src/host/host-store.js';
import { FloodGuard } from '../../src/intake/flood-guard.js';
import { createFrameIntake, type FrameIntake } from '../../src/intake/frame-intake.js';
import { Recorder } from '../../src/intake/recorder.js';
import { SourceWatch } from '../../src/intake/source-watch.js';
import { createObservationTable } from '../../src/observation/observation-table.js';
import { createLogger, type Logger } from '../../src/telemetry/logger.js';
import { ScenarioError } from './scenario-schema.js';

const SEED = 1;

interface Collector {
  readonly intake: FrameIntake;
  readonly recorder: Recorder;
  readonly watch: SourceWatch;
}

export interface CollectorsOptions {
  readonly names: readonly string[];
  readonly configuration: Configuration;
  readonly store: HostStore;
  readonly now: () => number;
}

/** The collectors of a scenario, each beside a DNS server that is connected from the start. */
export class ScenarioCollectors {
  readonly #options: CollectorsOptions;
  readonly #collectors = new Map<string, Collector>();
  #lives = 0;

  constructor(options: CollectorsOptions) {
    this.#options = options;
    for (const name of options.names) this.#start(name);
  }

  take(name: string, frame: Buffer): void {
    this.#get(name).intake(frame, 0, frame.length);
  }

  noteConnections(name: string, tap: { readonly connections: number; readonly wasCut: boolean }): void {
    this.#get(name).watch.noteConnections(tap.connections, { atMs: this.#options.now(), wasCut: tap.wasCut });
  }

  /** As after SIGKILL: what it held is lost, and the next one knows nothing of it. */
  kill(name: string): void {
    this.#get(name);
    this.#start(name);
  }

  async flush(final: boolean): Promise<void> {
    for (const { recorder } of this.#collectors.values()) await recorder.flush({ final });
  }

  #get(name: string): Collector {
    const known = this.#collectors.get(name);
    if (known === undefined) throw new ScenarioError(`no collector ${name}`);
    return known;
  }

  #start(name: string): void {
    const { configuration, store, now, names } = this.#options;
    const source = `${name}-${++this.#lives}`;
    const log = silentLog();
    const watch = new SourceWatch({ store, source, name, fromMs: now(), log });
    const guard = new FloodGuard(configuration.observation);
    const table = createObservationTable({
      ...observationOptions(configuration, []),
      seed: SEED,
      origin: 'dnstap',
      now,
      peers: () => names.length - 1,
      onTextQuestion: (question) => guard.noteQuestion(question),
    });
    watch.noteConnections(1, { atMs: now(), wasCut: false });
    const recorder = new Recorder({ table, store, source, now, log, guard, watch });
    this.#collectors.set(name, { intake: createFrameIntake(table), recorder, watch });
  }
}

export function silentLog(): Logger {
  return createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now });
}
