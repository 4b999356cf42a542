import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { ATTRIBUTIONS, DECISION_KINDS, HOST_FLAGS, HOST_STATES } from '../../src/host/host-record.js';
import { REJECTIONS } from '../../src/observation/rejection.js';

/** What is wrong with a scenario itself, before the program had a part in it. */
export class ScenarioError extends Error {
  readonly code = 'SCENARIO_INVALID';
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `250ms`, `90s`, `1h30m`, `-2d`: a time span as milliseconds. */
const span = z
  .string()
  .regex(/^-?(?:\d+(?:ms|s|m|h|d))+$/, 'expected a time span such as 90s, 1h30m or -2d')
  .transform((text) => {
    const sum = [...text.matchAll(/(\d+)(ms|s|m|h|d)/g)].reduce(
      (total, [, count, unit]) => total + Number(count) * (UNIT_MS[unit ?? ''] ?? 0),
      0,
    );
    return text.startsWith('-') ? -sum : sum;
  });

const podName = z.string().regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, 'expected namespace/pod');
const kindAndName = z.string().regex(/^[A-Z][A-Za-z]+\/[a-z0-9.-]+$/, 'expected Kind/name');
const hex = z.string().regex(/^(?:[0-9a-f]{2}| )*$/, 'expected octets in hexadecimal');

const pod = z.strictObject({
  ip: z.string().optional(),
  /** Dual stack. */
  ips: z.array(z.string()).optional(),
  /** Controller, such as `Deployment/web`; without one the pod stands for itself. */
  owner: kindAndName.optional(),
  node: z.string().default('node-1'),
  hostNetwork: z.boolean().default(false),
  labels: z.record(z.string(), z.string()).default({}),
  phase: z.enum(['Pending', 'Running', 'Succeeded', 'Failed']).default('Running'),
  /** Since the start of the scenario. A pod stated at the top has run for an hour, one of a step starts with the step. */
  started: span.optional(),
  /** Since the start of the scenario: when its last container ended. */
  finished: span.optional(),
  dnsPolicy: z.enum(['ClusterFirst', 'Default', 'None']).default('ClusterFirst'),
  dnsConfig: z
    .strictObject({
      searches: z.array(z.string()),
      options: z.array(z.strictObject({ name: z.string(), value: z.string().optional() })).optional(),
    })
    .optional(),
});

const cronJob = z.strictObject({
  schedule: z.string(),
  timeZone: z.string().optional(),
  suspend: z.boolean().default(false),
});

const message = z.strictObject({
  /** A pod (its first address), `node NAME`, or an address. */
  from: z.string(),
  /**
   * `NAME TYPE`, or `NAME A+AAAA` for one message of each type. `{1..60}` in the name makes one message of each number,
   * `{data 1..60}` one with forty characters that look like data.
   */
  asks: z.string().regex(/^(?:\S|\{data \S)+ [A-Z0-9]+(?:\+[A-Z0-9]+)*$/, 'expected NAME TYPE'),
  /** Addresses, or records: `OWNER [TTL] TYPE DATA`, where the owner `@` is the name asked. */
  answers: z.array(z.string()).default([]),
  rcode: z.enum(['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']).default('NOERROR'),
  flags: z.array(z.enum(['aa', 'tc', 'query'])).default([]),
  opcode: z.int().min(0).max(15).default(0),
  class: z.enum(['IN', 'CH']).default('IN'),
  /** dnstap message type. */
  kind: z.enum(['CLIENT_QUERY', 'CLIENT_RESPONSE', 'FORWARDER_QUERY', 'FORWARDER_RESPONSE']).default('CLIENT_RESPONSE'),
  /** What CoreDNS's `extra` option made of its template. */
  extra: z.string().optional(),
  /** Message ID and the client's port; otherwise of their own for each message. */
  id: z.int().min(0).max(0xffff).optional(),
  port: z.int().min(0).max(0xffff).optional(),
  /** CoreDNS before 1.14.5 sends IPv4 as 16 octets. */
  mapped: z.boolean().default(false),
  /** Some servers send only one of both times. */
  times: z.enum(['both', 'response', 'none']).default('both'),
  /** Since the step's time; otherwise a millisecond after the message before. */
  after: span.optional(),
  /** The same message so many times, a millisecond apart. */
  repeat: z.int().min(1).default(1),
  /** Which collector, beside which CoreDNS, saw it. */
  collector: z.string().default('dns'),
  /** Octets in place of the encoded DNS message. */
  dns: hex.optional(),
  /** Octets in place of the whole frame. */
  frame: hex.optional(),
});

const attributions = ATTRIBUTIONS.join('|');
const workload = z
  .string()
  .regex(
    new RegExp(`^(?:${attributions}) \\S*/[A-Z][A-Za-z]+/\\S+$`),
    `expected ${attributions}, then namespace/Kind/name`,
  );

const host = z.strictObject({
  state: z.enum(HOST_STATES).default('applied'),
  /** Look-ups of each workload: `exact shop/Deployment/web`, `node /Node/node-1`, `unknown /Address/192.0.2.1`. */
  workloads: z.record(workload, z.int()),
  reason: z.string().optional(),
  addresses: z.array(z.string()).optional(),
  cnames: z.array(z.string()).optional(),
  askedAs: z.string().optional(),
  /** Smallest and largest. */
  ttl: z.tuple([z.int(), z.int()]).optional(),
  /** First and last look-up, since the start of the scenario. */
  seen: z.tuple([span, span]).optional(),
  lookups: z.int().optional(),
  /** Those that hold now. */
  flags: z.array(z.enum(HOST_FLAGS)).optional(),
  /** `8443/TLS: https-record`. */
  ports: z.array(z.string()).optional(),
  /** `approve by jane: why`. */
  decisions: z.array(z.string()).optional(),
  /** Of `*.parent`: how many children are named. */
  children: z.int().optional(),
  /** `state: reason`, oldest first. */
  history: z.array(z.string()).optional(),
});

const reasons = Object.keys(REJECTIONS) as [keyof typeof REJECTIONS, ...(keyof typeof REJECTIONS)[]]; // it has keys
const expectation = z.strictObject({
  /** All hosts, and no other. */
  hosts: z.record(z.string(), host).default({}),
  /** All rejections by reason, and no other: a count, or the count with all examples. */
  rejected: z
    .partialRecord(
      z.enum(reasons),
      z.union([z.int(), z.strictObject({ responses: z.int(), examples: z.array(z.string()) })]),
    )
    .default({}),
  /** All ServiceEntries as `namespace/host`; not compared when left out. */
  entries: z.array(z.string()).optional(),
  /** What each of them declares, by number: `443/TLS`; not compared when left out. */
  entryPorts: z.record(z.string(), z.array(z.string())).optional(),
});

const decision = z.strictObject({
  host: z.string(),
  kind: z.enum(DECISION_KINDS),
  by: z.string().default('jane'),
  why: z.string().default(''),
});

/** A ServiceEntry that is not ours. */
const foreignEntry = z.strictObject({
  namespace: z.string(),
  hosts: z.array(z.string()),
  resolution: z.enum(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']).default('DNS'),
  addresses: z.array(z.string()).optional(),
  exportTo: z.array(z.string()).optional(),
});

/** DNS servers that are connected to a collector from now on; `wasCut`: one went without saying so. */
const tap = z.union([
  z.int().transform((connections) => ({ connections, wasCut: false })),
  z.strictObject({ connections: z.int(), wasCut: z.boolean() }),
]);

const stepFields = {
  /** By collector. One is connected from the start. */
  taps: z.record(z.string(), tap).default({}),
  /** Collectors that end without a word and start anew. */
  killed: z.array(z.string()).default([]),
  decide: z.array(decision).default([]),
  /** Rules that people keep in the store from now on, in place of those before. */
  rules: z.array(z.string()).optional(),
  /** By name. From now on they are there; null: gone. */
  foreign: z.record(z.string(), foreignEntry.nullable()).default({}),
  /** Pods as the API server tells of them at the step's time. */
  pods: z.record(podName, pod).default({}),
  /** When CronJobs run; null: deleted. Those that pods name as their owner need not be stated. */
  cronJobs: z.record(podName, cronJob.nullable()).default({}),
  /** Name and address. */
  nodes: z.record(z.string(), z.string()).default({}),
  /** Pods whose deletion the API server tells of. */
  gone: z.array(podName).default([]),
  messages: z.array(message).default([]),
  /** A Frame Streams file beside the scenario (may be gzipped), replayed in place of messages. */
  capture: z.string().optional(),
  expect: expectation.optional(),
};

const step = z.strictObject({
  at: span,
  /** The same step again so many times, so far apart. */
  again: z.strictObject({ times: z.int().min(1), every: span }).optional(),
  ...stepFields,
});

const scenario = z
  .strictObject({
    title: z.string(),
    /** Why it matters, and where it is from. */
    about: z.string().optional(),
    start: z.iso.datetime().default('2026-01-05T10:00:00Z'),
    /** As in a settings file. */
    settings: z.record(z.string(), z.unknown()).default({}),
    steps: z.array(step).default([]),
    ...stepFields,
  })
  .refine(({ steps, expect }) => expect !== undefined || steps.some((one) => one.expect !== undefined), {
    error: 'expects nothing',
  });

export type Scenario = z.output<typeof scenario>;
export type ScenarioStep = z.output<typeof step>;
export type ScenarioMessage = z.output<typeof message>;
export type ForeignEntry = z.output<typeof foreignEntry>;
export type ScenarioCronJob = z.output<typeof cronJob>;
export type ScenarioPod = z.output<typeof pod>;
export type Expectation = z.output<typeof expectation>;

/** Reads a scenario file. Every key is checked: an unknown one is an error that names it. */
export function readScenario(file: string): Scenario {
  return parseScenario(readFileSync(file, 'utf8'), file);
}

export function parseScenario(text: string, file: string): Scenario {
  const document = parseDocument(text);
  if (document.errors[0] !== undefined) throw new ScenarioError(`${file}: ${document.errors[0].message}`);
  const result = scenario.safeParse(document.toJS());
  if (!result.success) throw new ScenarioError(`${file}:\n${z.prettifyError(result.error)}`);
  return result.data;
}
