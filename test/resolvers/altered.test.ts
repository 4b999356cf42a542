import { BlockList } from 'node:net';
import { encodeDnstap, MessageType, type Dnstap } from 'dnstap-ts';
import { createFrameIntake } from '../../src/intake/frame-intake.js';
import { createObservationTable } from '../../src/observation/observation-table.js';
import type { GroundTruth } from './ground-truth.js';
import { readFrames, readTruth, recordingNames } from './recordings.js';
import { compare } from './replay.js';

// What each recording would be, had its programs been others, or the server: without the recordings beside it, and altered.

type Alteration = (frames: readonly Dnstap[]) => readonly Dnstap[];

const NAMES = recordingNames();
const SEED = 1;
const PARTS = 8;
const QUESTION_START = 12; // RFC 1035 section 4.1.1

/** What a table that knows nothing of the cluster learns from frames. */
function learn(frames: readonly Dnstap[], { pods }: GroundTruth): readonly string[] {
  const owners = new Map(pods.map(({ podIp, namespace, workload }) => [podIp, `${namespace} ${workload}`]));
  const table = createObservationTable({
    clusterDomains: [],
    internalZones: [],
    searchDomains: [],
    clusterNetworks: new BlockList(),
    maxPairs: 4096,
    seed: SEED,
    origin: 'replay',
    now: () => 0,
  });
  const take = createFrameIntake(table);
  for (const frame of frames) {
    const bytes = encodeDnstap(frame);
    take(bytes, 0, bytes.length);
  }
  const { observations } = table.drain({ final: true, nowMs: 0 });
  return [...new Set(observations.map(({ hostname, client }) => `${owners.get(client)} ${hostname}`))].toSorted();
}

const ALTERATIONS: Readonly<Record<string, Alteration>> = {
  'as it is': (frames) => frames,
  'every message twice': (frames) => frames.flatMap((frame) => [frame, frame]),
  'names in mixed case': (frames) => frames.map(mixCase),
  'responses without the time of the query': (frames) => frames.map(withoutQueryTime),
  'out of order': (frames) => shuffled(frames),
};

function mixCase(frame: Dnstap): Dnstap {
  const bytes = frame.message?.responseMessage;
  if (!frame.message || !bytes) return frame;
  const mixed = Uint8Array.from(bytes);
  for (let at = QUESTION_START; mixed[at] !== 0; at += 1 + (mixed[at] ?? 0)) {
    for (let i = at + 1; i <= at + (mixed[at] ?? 0); i++) {
      const isLetter = /[a-z]/.test(String.fromCharCode(mixed[i] ?? 0));
      if (isLetter && i % 3 > 0) mixed[i] = (mixed[i] ?? 0) - 0x20;
    }
  }
  return { ...frame, message: { ...frame.message, responseMessage: mixed } };
}

function withoutQueryTime(frame: Dnstap): Dnstap {
  if (frame.message?.type !== MessageType.CLIENT_RESPONSE) return frame;
  return { ...frame, message: { ...frame.message, queryTimeSec: null, queryTimeNsec: null } };
}

/** Each of a dozen messages changes places with another one. */
function shuffled(frames: readonly Dnstap[]): readonly Dnstap[] {
  const order = frames.map((frame, index) => ({ frame, at: index + ((index * 7919) % 12) }));
  return order.toSorted((a, b) => a.at - b.at).map(({ frame }) => frame);
}

describe.each(Object.entries(ALTERATIONS))('%s', (_, alter) => {
  it.each(NAMES)('%s', async (name) => {
    const truth = readTruth(name);
    const verdict = compare(learn(alter(await readFrames(name)), truth), truth);
    expect({ missed: verdict.missed, invented: verdict.invented }).toEqual({ missed: [], invented: [] });
  });
});

it.each(NAMES)('%s, of which the first part was not seen: nothing that was not looked up', async (name) => {
  const truth = readTruth(name);
  const frames = await readFrames(name);
  const starts = Array.from({ length: PARTS }, (_, part) => Math.floor((part * frames.length) / PARTS));
  const invented = starts.flatMap((start) => compare(learn(frames.slice(start), truth), truth).invented);
  expect([...new Set(invented)]).toEqual([]);
});
