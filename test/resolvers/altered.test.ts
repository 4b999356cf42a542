import { encodeDnstap, MessageType, type Dnstap } from 'dnstap-ts';
import type { GroundTruth } from './ground-truth.js';
import { learnAlone } from './learn.js';
import { readFrames, readTruth, recordingNames } from './recordings.js';
import { compare, type Verdict } from './replay.js';

// What each recording would be, had its programs been others, or the server: without the recordings beside it, and altered.

type Alteration = (frames: readonly Dnstap[]) => readonly Dnstap[];

const NAMES = recordingNames();
const QUESTION_START = 12; // RFC 1035 section 4.1.1

function learn(frames: readonly Dnstap[], truth: GroundTruth): readonly string[] {
  return learnAlone(frames.map(encodeDnstap), truth);
}

const ALTERATIONS: Readonly<Record<string, Alteration>> = {
  'as it is': (frames) => frames,
  'every message twice': (frames) => frames.flatMap((frame) => [frame, frame]),
  'names in mixed case': (frames) => frames.map(mixCase),
  'responses without the time of the query': (frames) => frames.map(withoutQueryTime),
  'out of order': shuffled,
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

const CLUSTER_DOMAIN = Buffer.from('\x07cluster\x05local\x00', 'latin1');

function isOfCluster({ message }: Dnstap): boolean {
  const bytes = Buffer.from(message?.responseMessage ?? message?.queryMessage ?? []);
  return bytes.subarray(QUESTION_START, bytes.indexOf(0, QUESTION_START) + 1).includes(CLUSTER_DOMAIN);
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

/** What some of the messages teach may be less than what was looked up, but nothing else. */
const SELECTIONS: Readonly<Record<string, Alteration>> = {
  'where only the server block of the root is tapped': (frames) => frames.filter((frame) => !isOfCluster(frame)),
  'of which the first third was not seen': (frames) => frames.slice(frames.length / 3),
  'of which the first two thirds were not seen': (frames) => frames.slice((frames.length * 2) / 3),
};

it.each(NAMES)('%s', async (name) => {
  const truth = readTruth(name);
  const frames = await readFrames(name);
  const selections = name.endsWith('-autopath') ? {} : SELECTIONS; // whose names are all of the cluster
  const judge = (alter: Alteration) => compare(learn(alter(frames), truth), truth);
  const faults = [
    ...Object.entries(ALTERATIONS).map(([how, alter]) => ({ how, ...faultsOf(judge(alter)) })),
    ...Object.entries(selections).map(([how, select]) => ({ how, ...faultsOf(judge(select)), missed: [] })),
  ];
  expect(faults.filter(({ missed, invented }) => missed.length + invented.length > 0)).toEqual([]);
});

function faultsOf({ missed, invented }: Verdict): Pick<Verdict, 'missed' | 'invented'> {
  return { missed, invented };
}
