import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stringify } from 'yaml';
import { observationOptions, reconcileSettings } from '../../src/app.js';
import { ATTRIBUTION_GRACE_MS } from '../../src/target.js';
import { loadConfiguration } from '../../src/config/load.js';
import type { Configuration } from '../../src/config/schema.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import type { HostStore } from '../../src/host/host-store.js';
import { createFrameIntake, type FrameIntake } from '../../src/intake/frame-intake.js';
import { Recorder } from '../../src/intake/recorder.js';
import { replay } from '../../src/intake/replay/replay.js';
import { createObservationTable } from '../../src/observation/observation-table.js';
import { DirectorySink } from '../../src/reconciler/directory-sink.js';
import { reconcileOnce } from '../../src/reconciler/reconcile-once.js';
import { createLogger } from '../../src/telemetry/logger.js';
import type { ObjectEvent } from '../../src/workload/object-event.js';
import { PodIndex } from '../../src/workload/pod-index.js';
import { createTemporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.js';
import { encodeFrame, typesOf } from './scenario-frames.js';
import { deletionOf, nodeEvent, podEvents } from './scenario-objects.js';
import { compareState, type Comparison } from './scenario-state.js';
import {
  ScenarioError,
  type Scenario,
  type ScenarioMessage,
  type ScenarioPod,
  type ScenarioStep,
} from './scenario-schema.js';

const HOUR_MS = 3_600_000;
/** When a scenario without steps is looked at: long after its last message. */
const SETTLED_MS = 60_000;
const SEED = 1;

interface Collector {
  readonly intake: FrameIntake;
  readonly recorder: Recorder;
}

/** What an `expect` asked for beside what there is. */
export interface Checked extends Comparison {
  /** The step's time, as in the file's order. */
  readonly step: number;
}

/**
 * Runs a scenario through the real path: dnstap frames into the frame intake, observations into an embedded store, a
 * reconciliation with a directory as its target after each step. Only the clock is the scenario's.
 */
export async function runScenario(scenario: Scenario, file: string): Promise<readonly Checked[]> {
  const directory = createTemporaryDirectory();
  const run = await ScenarioRun.open(scenario, { directory, file });
  try {
    const checked: Checked[] = [];
    for (const [index, step] of stepsOf(scenario).entries()) {
      const comparison = await run.step(step);
      if (comparison !== undefined) checked.push({ step: index, ...comparison });
    }
    return checked;
  } finally {
    await run.close();
    await directory.remove();
  }
}

/** The fields at the top are a first step; without further ones what it expects is looked at when all has settled. */
function stepsOf({ steps, expect, ...first }: Scenario): readonly (ScenarioStep & { readonly settleMs?: number })[] {
  if (steps.length > 0 && expect !== undefined)
    throw new ScenarioError('`expect` belongs to a step where there are steps');
  const top = { ...first, at: 0, expect, ...(steps.length > 0 ? {} : { settleMs: SETTLED_MS }) };
  return [top, ...steps];
}

class ScenarioRun {
  readonly #file: string;
  readonly #startMs: number;
  readonly #configuration: Configuration;
  readonly #store: HostStore;
  readonly #sink: DirectorySink;
  readonly #index = new PodIndex();
  readonly #collectors = new Map<string, Collector>();
  readonly #addresses = new Map<string, string>();
  readonly #pods = new Map<string, ObjectEvent>();
  readonly #peers: number;
  #sequence = 0;
  #nowMs: number;

  private constructor(
    scenario: Scenario,
    { file, configuration, store, sink }: Pick<Parts, 'file' | 'configuration' | 'store' | 'sink'>,
  ) {
    this.#file = file;
    this.#startMs = Date.parse(scenario.start);
    this.#nowMs = this.#startMs;
    const messages = [scenario, ...scenario.steps].flatMap((step) => step.messages);
    this.#peers = Math.max(0, new Set(messages.map(({ collector }) => collector)).size - 1);
    this.#configuration = configuration;
    this.#store = store;
    this.#sink = sink;
  }

  static async open(
    scenario: Scenario,
    { directory, file }: { readonly directory: TemporaryDirectory; readonly file: string },
  ): Promise<ScenarioRun> {
    const settings = directory.file('settings.yaml');
    writeFileSync(settings, stringify(scenario.settings));
    const configuration = loadConfiguration({ flags: {}, environment: {}, file: settings });
    const store = await openEmbeddedStore(directory.file('store'));
    return new ScenarioRun(scenario, {
      file,
      configuration,
      store,
      sink: new DirectorySink(directory.file('entries')),
    });
  }

  async step(step: ScenarioStep & { readonly settleMs?: number }): Promise<Comparison | undefined> {
    const atMs = this.#startMs + step.at;
    if (atMs < this.#nowMs) throw new ScenarioError(`step at ${step.at} ms goes back in time`);
    this.#nowMs = atMs;
    this.#learnObjects(step, atMs);
    this.#send(step.messages, atMs);
    if (step.capture !== undefined) await this.#replay(step.capture);
    await this.#flush(false);
    this.#nowMs += step.settleMs ?? 0;
    if (step.expect !== undefined) await this.#flush(true);
    await this.#reconcile();
    if (step.expect === undefined) return undefined;
    return compareState(step.expect, { store: this.#store, sink: this.#sink, startMs: this.#startMs });
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  #learnObjects({ nodes, pods, gone }: ScenarioStep, atMs: number): void {
    const isFirst = atMs === this.#startMs;
    const knownAtMs = isFirst ? atMs - HOUR_MS : atMs;
    for (const [name, address] of Object.entries(nodes)) {
      this.#addresses.set(`node ${name}`, address);
      this.#index.apply(nodeEvent(name, address, knownAtMs));
    }
    for (const [name, pod] of Object.entries(pods)) this.#learnPod(name, pod, knownAtMs);
    for (const name of gone) {
      const added = this.#pods.get(name);
      if (added === undefined) throw new ScenarioError(`no pod ${name} to be gone`);
      this.#index.apply(deletionOf(added, atMs));
    }
  }

  #learnPod(name: string, pod: ScenarioPod, knownAtMs: number): void {
    const address = pod.ips?.[0] ?? pod.ip;
    if (address !== undefined) this.#addresses.set(name, address);
    const startedAtMs = pod.started === undefined ? knownAtMs : this.#startMs + pod.started;
    const finished = pod.finished === undefined ? {} : { finishedAtMs: this.#startMs + pod.finished };
    const events = podEvents(name, pod, { atMs: Math.max(knownAtMs, startedAtMs), startedAtMs, ...finished });
    for (const event of events) this.#index.apply(event);
    this.#pods.set(name, events.at(-1) as ObjectEvent); // the pod is always there, and last
  }

  #send(messages: readonly ScenarioMessage[], stepMs: number): void {
    let atMs = stepMs - 1;
    for (const message of messages) {
      const client = this.#addressOf(message.from);
      for (let i = 0; i < message.repeat; i++) {
        for (const [place, type] of typesOf(message).entries()) {
          const isFirst = i === 0 && place === 0;
          atMs = isFirst && message.after !== undefined ? stepMs + message.after : atMs + 1;
          const frame = encodeFrame(message, type, { client, atMs, sequence: ++this.#sequence });
          this.#collector(message.collector).intake(frame, 0, frame.length);
          this.#nowMs = Math.max(this.#nowMs, atMs);
        }
      }
    }
  }

  #addressOf(from: string): string {
    const known = this.#addresses.get(from);
    if (known === undefined && /[/ ]/.test(from)) throw new ScenarioError(`no address of ${from}`);
    return known ?? from;
  }

  #collector(name: string): Collector {
    const known = this.#collectors.get(name);
    if (known !== undefined) return known;
    const now = (): number => this.#nowMs;
    const table = createObservationTable({
      ...observationOptions(this.#configuration, []),
      seed: SEED,
      origin: 'dnstap',
      now,
      peers: () => this.#peers,
    });
    const collector = {
      intake: createFrameIntake(table),
      recorder: new Recorder({ table, store: this.#store, source: name, now, log: silentLog() }),
    };
    this.#collectors.set(name, collector);
    return collector;
  }

  async #replay(capture: string): Promise<void> {
    const { lastMs } = await replay({
      file: join(dirname(this.#file), capture),
      store: this.#store,
      observation: observationOptions(this.#configuration, []),
      log: silentLog(),
    });
    this.#nowMs = Math.max(this.#nowMs, lastMs);
  }

  async #flush(final: boolean): Promise<void> {
    for (const { recorder } of this.#collectors.values()) await recorder.flush({ final });
  }

  async #reconcile(): Promise<void> {
    await reconcileOnce({
      store: this.#store,
      sink: this.#sink,
      index: this.#index,
      settings: reconcileSettings(this.#configuration, { graceMs: () => ATTRIBUTION_GRACE_MS }),
      nowMs: this.#nowMs,
      signal: new AbortController().signal,
    });
  }
}

interface Parts {
  readonly file: string;
  readonly configuration: Configuration;
  readonly store: HostStore;
  readonly sink: DirectorySink;
}

function silentLog(): ReturnType<typeof createLogger> {
  return createLogger({ level: 'error', format: 'json', stream: new PassThrough(), now: Date.now });
}
