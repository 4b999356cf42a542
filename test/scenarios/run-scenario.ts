import { writeFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { observationOptions } from '../../src/app/observation-options.js';
import { reconcileSettings } from '../../src/app/reconcile-settings.js';
import { ATTRIBUTION_GRACE_MS } from '../../src/app/target.js';
import type { Hostname } from '../../src/dns/hostname.js';
import { loadConfiguration } from '../../src/config/load.js';
import type { Configuration } from '../../src/config/schema.js';
import { openEmbeddedStore } from '../../src/host/embedded-store.js';
import { parseRule, type HostRule } from '../../src/host/host-rule.js';
import type { HostStore, StoreLimits } from '../../src/host/host-store.js';
import { replay } from '../../src/intake/replay/replay.js';
import { DirectorySink } from '../../src/reconciler/directory-sink.js';
import { reconcileOnce } from '../../src/reconciler/reconcile-once.js';
import type { ObjectEvent } from '../../src/workload/object-event.js';
import { PodIndex } from '../../src/workload/pod-index.js';
import { createTemporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.js';
import { ScenarioCollectors, silentLog } from './scenario-collectors.js';
import { encodeFrame, expandRange, typesOf } from './scenario-frames.js';
import { cronJobEvent, deletionOf, nodeEvent, podEvents } from './scenario-objects.js';
import { compareState, type Comparison } from './scenario-state.js';
import {
  ScenarioError,
  type ForeignEntry,
  type Scenario,
  type ScenarioMessage,
  type ScenarioPod,
  type ScenarioStep,
} from './scenario-schema.js';

const HOUR_MS = 3_600_000;
/** When a scenario without steps is looked at: long after its last message. */
const SETTLED_MS = 60_000;
/** What an `expect` asked for beside what there is. */
export interface Checked extends Comparison {
  /** The step's time, as in the file's order. */
  readonly step: number;
}

/**
 * Runs a scenario through the real path: dnstap frames into the frame intake, observations into a store (an embedded one unless
 * `openStore` gives another, which is empty), a reconciliation with a directory as its target after each step. Only the clock is the scenario's.
 */
export async function runScenario(
  scenario: Scenario,
  file: string,
  openStore?: (limits: StoreLimits) => Promise<HostStore>,
): Promise<readonly Checked[]> {
  const directory = createTemporaryDirectory();
  const openEmbedded = (limits: StoreLimits) => openEmbeddedStore(directory.file('store'), limits);
  const run = await ScenarioRun.open(scenario, { directory, file, openStore: openStore ?? openEmbedded });
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

type RunStep = ScenarioStep & { readonly settleMs?: number };

/** The fields at the top are a first step; without further ones what it expects is looked at when all has settled. */
function stepsOf({ steps, expect, ...first }: Scenario): readonly RunStep[] {
  if (steps.length > 0 && expect !== undefined)
    throw new ScenarioError('`expect` belongs to a step where there are steps');
  const top = { ...first, at: 0, expect, ...(steps.length > 0 ? {} : { settleMs: SETTLED_MS }) };
  return [top, ...steps.flatMap(repeat)];
}

/** A step that comes again expects only at its last time. */
function repeat({ again = { times: 0, every: 0 }, ...step }: ScenarioStep): readonly ScenarioStep[] {
  const { expect, ...others } = step;
  const earlier = Array.from({ length: again.times }, (_, i) => ({ ...others, at: step.at + i * again.every }));
  return [...earlier, { ...others, at: step.at + again.times * again.every, ...(expect && { expect }) }];
}

class ScenarioRun {
  readonly #file: string;
  readonly #startMs: number;
  readonly #configuration: Configuration;
  readonly #store: HostStore;
  readonly #sink: DirectorySink;
  readonly #index = new PodIndex();
  readonly #collectors: ScenarioCollectors;
  readonly #addresses = new Map<string, string>();
  readonly #pods = new Map<string, ObjectEvent>();
  readonly #directory: string;
  #sequence = 0;
  #nowMs: number;

  private constructor(scenario: Scenario, { file, configuration, store, directory }: Parts) {
    this.#file = file;
    this.#startMs = Date.parse(scenario.start);
    this.#nowMs = this.#startMs;
    this.#configuration = configuration;
    this.#store = store;
    this.#directory = directory;
    this.#sink = new DirectorySink(directory);
    this.#collectors = new ScenarioCollectors({
      names: collectorsOf(scenario),
      configuration,
      store,
      now: () => this.#nowMs,
    });
  }

  static async open(
    scenario: Scenario,
    {
      directory,
      file,
      openStore,
    }: {
      readonly directory: TemporaryDirectory;
      readonly file: string;
      readonly openStore: (limits: StoreLimits) => Promise<HostStore>;
    },
  ): Promise<ScenarioRun> {
    const settings = directory.file('settings.yaml');
    writeFileSync(settings, stringify(scenario.settings));
    const configuration = loadConfiguration({ flags: {}, environment: {}, file: settings });
    const store = await openStore(configuration.store);
    const entries = directory.file('entries');
    await mkdir(entries);
    return new ScenarioRun(scenario, { file, configuration, store, directory: entries });
  }

  async step(step: RunStep): Promise<Comparison | undefined> {
    const atMs = this.#startMs + step.at;
    if (atMs < this.#nowMs) throw new ScenarioError(`step at ${step.at} ms goes back in time`);
    this.#nowMs = atMs;
    this.#learnObjects(step, atMs);
    await this.#hearPeople(step);
    for (const name of step.killed) this.#collectors.kill(name);
    for (const [name, tap] of Object.entries(step.taps)) this.#collectors.noteConnections(name, tap);
    this.#send(step.messages, atMs);
    if (step.capture !== undefined) await this.#replay(step.capture);
    await this.#collectors.flush(false);
    this.#nowMs += step.settleMs ?? 0;
    if (step.expect !== undefined) await this.#collectors.flush(true);
    await this.#reconcile();
    if (step.expect === undefined) return undefined;
    return compareState(step.expect, { store: this.#store, sink: this.#sink, startMs: this.#startMs });
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  async #hearPeople({ decide, rules, foreign }: ScenarioStep): Promise<void> {
    for (const { host, ...decision } of decide) {
      // A decision can be about `*.parent`, which is no hostname to look up.
      await this.#store.decide({ hostname: host as Hostname, ...decision, atMs: this.#nowMs });
    }
    if (rules !== undefined) {
      const { version } = await this.#store.rules();
      await this.#store.setRules(rules.map(toRule), version);
    }
    for (const [name, entry] of Object.entries(foreign)) {
      const path = join(this.#directory, `${name}.yaml`);
      if (entry === null) await rm(path);
      else await writeFile(path, stringify(toServiceEntry(name, entry, this.#nowMs)));
    }
  }

  #learnObjects({ nodes, cronJobs, pods, gone }: ScenarioStep, atMs: number): void {
    const isFirst = atMs === this.#startMs;
    const knownAtMs = isFirst ? atMs - HOUR_MS : atMs;
    for (const [name, address] of Object.entries(nodes)) {
      this.#addresses.set(`node ${name}`, address);
      this.#index.apply(nodeEvent(name, address, knownAtMs));
    }
    for (const [name, spec] of Object.entries(cronJobs)) this.#index.apply(cronJobEvent(name, spec, knownAtMs));
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
    for (const stated of messages) {
      const client = this.#addressOf(stated.from);
      if (stated.after !== undefined) atMs = stepMs + stated.after - 1;
      const repeated = Array.from({ length: stated.repeat }, () => expandRange(stated)).flat();
      for (const message of repeated) {
        for (const type of typesOf(message)) {
          atMs++;
          const frame = encodeFrame(message, type, { client, atMs, sequence: ++this.#sequence });
          this.#nowMs = Math.max(this.#nowMs, atMs);
          this.#collectors.take(message.collector, frame);
        }
      }
    }
  }

  #addressOf(from: string): string {
    const known = this.#addresses.get(from);
    if (known === undefined && /[/ ]/.test(from)) throw new ScenarioError(`no address of ${from}`);
    return known ?? from;
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
  /** Of the ServiceEntries. */
  readonly directory: string;
}

/** Every collector that a message or a step names; one that no message names watches all the same. */
function collectorsOf(scenario: Scenario): readonly string[] {
  const steps = [scenario, ...scenario.steps];
  const named = steps.flatMap(({ messages, taps }) => [
    ...messages.map(({ collector }) => collector),
    ...Object.keys(taps),
  ]);
  return named.length === 0 ? ['dns'] : [...new Set(named)];
}

function toRule(line: string): HostRule {
  const rule = parseRule(line);
  if ('problem' in rule) throw new ScenarioError(`rule ${line}: ${rule.problem}`);
  return rule;
}

function toServiceEntry(name: string, { namespace, ...spec }: ForeignEntry, atMs: number): object {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace, creationTimestamp: new Date(atMs).toISOString() },
    spec: { location: 'MESH_EXTERNAL', ports: [{ name: 'tls', number: 443, protocol: 'TLS' }], ...spec },
  };
}
