import fc from 'fast-check';

import { formatFrame } from '../src/frame-printer.js';
import {
  decodeDnstap,
  DnstapDecodeError,
  DnstapView,
  encodeDnstap,
  ERROR_CODES,
  FrameStreamReader,
  FrameStreamWriter,
} from '../src/index.js';
import { dnstapArbitrary } from './support/arbitraries.js';
import { Mutator } from './support/mutator.js';
import {
  ACCEPT,
  bytes,
  CLIENT_QUERY,
  CLIENT_RESPONSE,
  dataFrame,
  FINISH,
  READY,
  START,
  STOP,
} from './support/frames.js';

/** How many inputs in all; DNSTAP_FUZZ_INPUTS asks for more, DNSTAP_FUZZ_SEED for the ones of a failure. */
const INPUTS = Number(process.env.DNSTAP_FUZZ_INPUTS ?? 1_000_000);
const SEED = Number(process.env.DNSTAP_FUZZ_SEED ?? Date.now() % 0x7fffffff);
const TIMEOUT_MS = 60_000 + INPUTS / 10;

const MAX_FRAME_BYTES = 4096;

/** Frames that broke something once, or nearly; found by fuzzing unless said otherwise. */
const FINDINGS: readonly (readonly [what: string, hex: string])[] = [
  ['a field of ours with a tag written longer than need be', 'f28000 07 880006 b0800035 f80001'],
  ['an enumeration of -1: a varint of ten bytes', '720b 08ffffffffffffffffff01 7801'],
  ['seconds of 2^64-1', '720d 0806 40ffffffffffffffffff01 7801'],
  ['a group within a group', '4b 4b 4c 4c 7801'],
  ['a message in two parts', '72020806 72023035 7801'],
  ['an overlong length of a bytes field', '0a8100 61 7801'],
];

const FRAME_SEEDS: readonly Buffer[] = [
  CLIENT_QUERY,
  CLIENT_RESPONSE,
  ...FINDINGS.map(([, hex]) => bytes(hex)),
  ...fc.sample(dnstapArbitrary, { numRuns: 200, seed: 11 }).map((frame) => Buffer.from(encodeDnstap(frame))),
];

const LONG = dataFrame(Buffer.alloc(MAX_FRAME_BYTES + 1, 3));
const STREAM_SEEDS: readonly Buffer[] = [
  READY + START + dataFrame(CLIENT_QUERY) + dataFrame(CLIENT_RESPONSE) + STOP,
  START + dataFrame(CLIENT_RESPONSE) + STOP,
  READY + START + LONG + dataFrame(CLIENT_RESPONSE) + STOP,
  START + dataFrame(bytes('01')) + READY + dataFrame(bytes('02')) + FINISH + STOP + START,
  READY + STOP,
].map(bytes);

function expectFrameInvariants(view: DnstapView, input: Buffer): void {
  const whole = view.scan(input, 0, input.length);
  let decoded: string = 'whole';
  try {
    decodeDnstap(input);
  } catch (error) {
    if (!(error instanceof DnstapDecodeError)) throw error;
    decoded = error.code;
  }
  if (!whole && (view.error === undefined || !(view.error in ERROR_CODES))) throw new Error(`no code: ${view.error}`);
  if (whole ? decoded !== 'whole' && decoded !== 'DNSTAP_ERR_DECODE' : decoded !== view.error) {
    throw new Error(`the view says ${view.error ?? 'whole'}, the codec ${decoded}`);
  }
  if (whole && !isInside(view, input.length)) throw new Error('a field outside the frame');
}

function isInside(view: DnstapView, length: number): boolean {
  return (
    ends(view.queryAddressStart, view.queryAddressLength) <= length &&
    ends(view.responseAddressStart, view.responseAddressLength) <= length &&
    ends(view.queryMessageStart, view.queryMessageLength) <= length &&
    ends(view.responseMessageStart, view.responseMessageLength) <= length &&
    ends(view.queryZoneStart, view.queryZoneLength) <= length &&
    ends(view.identityStart, view.identityLength) <= length &&
    ends(view.versionStart, view.versionLength) <= length &&
    ends(view.extraStart, view.extraLength) <= length
  );
}

function ends(start: number, length: number): number {
  return length === 0 ? 0 : start + length;
}

/** Feeds a stream; the result says all that the reader did. `cut` gives the size of the next chunk. */
function outcome(input: Buffer, cut: () => number): string {
  let log = '';
  const reader = new FrameStreamReader(
    {
      frame: (buffer, start, end) => void (log += `${end - start}:${buffer[start]}:${buffer[end - 1]} `),
      send: (answer) => void (log += `send${answer.length} `),
      started: () => void (log += 'start '),
      stopped: () => void (log += 'stop '),
      oversize: (length) => void (log += `over${length} `),
      failed: (error) => void (log += error.code),
    },
    { maxFrameBytes: MAX_FRAME_BYTES },
  );
  for (let position = 0; position < input.length && !reader.ended;) {
    const end = Math.min(input.length, position + cut());
    reader.push(input, position, end);
    if (reader.unfinishedBytes > MAX_FRAME_BYTES + 520) throw new Error(`${reader.unfinishedBytes} bytes are kept`);
    position = end;
  }
  return log;
}

function run(inputs: number, check: (mutator: Mutator) => void): void {
  const mutator = new Mutator(SEED);
  for (let count = 0; count < inputs; count++) {
    try {
      check(mutator);
    } catch (cause) {
      throw new Error(`DNSTAP_FUZZ_SEED=${SEED}, input ${count}: ${mutator.last.toString('hex')}`, { cause });
    }
  }
}

describe('mutated input', () => {
  const { stackTraceLimit } = Error;
  beforeAll(() => void (Error.stackTraceLimit = 0)); // most inputs end in an error, and nobody looks at its stack
  afterAll(() => void (Error.stackTraceLimit = stackTraceLimit));

  it(
    'of frames: the view and the codec agree on what is one, and never read outside it',
    () => {
      const view = new DnstapView();
      run(INPUTS * 0.6, (mutator) => expectFrameInvariants(view, mutator.mutate(FRAME_SEEDS)));
      expect(view.scan(CLIENT_RESPONSE, 0, CLIENT_RESPONSE.length)).toBe(true);
    },
    TIMEOUT_MS,
  );

  it(
    'of streams: any chunking gives the same frames, answers and failures, and little is kept',
    () => {
      run(INPUTS * 0.3, (mutator) => {
        const input = mutator.mutate(STREAM_SEEDS);
        const whole = outcome(input, () => input.length);
        const chunked = outcome(input, () => 1 + mutator.below(90));
        if (whole !== chunked) throw new Error(`whole: ${whole}, in chunks: ${chunked}`);
      });
      expect(outcome(bytes(READY + STOP), () => 1)).toBe('send42 send12 stop ');
    },
    TIMEOUT_MS,
  );

  it(
    'of answers: a sender survives any receiver',
    () => {
      let failures = 0;
      const seeds = [bytes(ACCEPT + FINISH), bytes(ACCEPT), bytes(FINISH + ACCEPT)];
      run(INPUTS * 0.1, (mutator) => {
        const input = mutator.mutate(seeds);
        const writer = new FrameStreamWriter(
          { send: () => {}, started: () => {}, finished: () => {}, failed: () => void failures++ },
          { bidirectional: true },
        );
        writer.open();
        writer.push(input);
        writer.close();
      });
      expect(failures).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it('of frames: whatever is printed is one line, or one document', () => {
    const view = new DnstapView();
    run(20_000, (mutator) => {
      const input = mutator.mutate(FRAME_SEEDS);
      const json = formatFrame(input, 'json');
      if (json.split('\n').length !== 2) throw new Error('more than one line');
      const shown = JSON.parse(json) as { error?: string };
      if (!view.scan(input, 0, input.length) && shown.error === undefined) throw new Error('no error shown');
      const line = formatFrame(input, 'line');
      if (!/^[\x20-\x7e]*\n$/.test(line)) throw new Error(`not one printable line: ${line}`);
      formatFrame(input, 'yaml');
    });
    expect(formatFrame(CLIENT_QUERY, 'line')).toContain('CLIENT_QUERY');
  });

  it.each(FINDINGS)('that was found: %s', (_what, hex) => {
    expect(() => expectFrameInvariants(new DnstapView(), bytes(hex))).not.toThrow();
  });
});
