import fc from 'fast-check';

import { FrameStreamReader, type ReaderMode } from '../src/index.js';
import { ACCEPT, bytes, dataFrame, FINISH, READY, START, STOP } from './support/frames.js';

interface Outcome {
  readonly frames: readonly string[];
  readonly sent: string;
  readonly events: readonly string[];
}

interface Feeding {
  readonly chunks: readonly Buffer[];
  readonly maxFrameBytes?: number;
  readonly mode?: ReaderMode;
}

function feed({ chunks, ...options }: Feeding): Outcome {
  const frames: string[] = [];
  const events: string[] = [];
  let sent = '';
  const reader = new FrameStreamReader(
    {
      frame: (buffer, start, end) => void frames.push(buffer.toString('hex', start, end)),
      send: (answer) => void (sent += answer.toString('hex')),
      started: (bidirectional) => void events.push(bidirectional ? 'started both ways' : 'started one way'),
      stopped: () => void events.push('stopped'),
      oversize: (lengthBytes) => void events.push(`oversize ${lengthBytes}`),
      failed: (error) => void events.push(error.code),
    },
    options,
  );
  for (const chunk of chunks) {
    const reused = Buffer.from(chunk);
    reader.push(reused);
    reused.fill(0xee); // the bytes may be reused after push
  }
  return { frames, sent, events };
}

function feedHex(hex: string, options: Omit<Feeding, 'chunks'> = {}): Outcome {
  return feed({ chunks: [bytes(hex)], ...options });
}

const ONE = dataFrame(bytes('0102030405'));
const TWO = dataFrame(bytes('ff'.repeat(300)));
const SESSION = READY + START + ONE + TWO + ONE + STOP;
const SESSION_OUTCOME: Outcome = {
  frames: ['0102030405', 'ff'.repeat(300), '0102030405'],
  sent: ACCEPT + FINISH,
  events: ['started both ways', 'stopped'],
};

function control(type: number, fields = ''): string {
  const payload = `${type.toString(16).padStart(8, '0')}${fields}`;
  return `00000000${(payload.length / 2).toString(16).padStart(8, '0')}${payload}`;
}

function field(type: number, value: string): string {
  const hex = Buffer.from(value, 'latin1').toString('hex');
  return `${type.toString(16).padStart(8, '0')}${value.length.toString(16).padStart(8, '0')}${hex}`;
}

const OURS = field(1, 'protobuf:dnstap.Dnstap');
const FOREIGN = field(1, 'protobuf:other.Thing');

describe('FrameStreamReader', () => {
  it('answers a whole session of CoreDNS', () => {
    expect(feedHex(SESSION)).toEqual(SESSION_OUTCOME);
  });

  it('gives the same for a session cut in two at every byte', () => {
    const session = bytes(SESSION);
    for (let cut = 0; cut <= session.length; cut++) {
      expect(feed({ chunks: [session.subarray(0, cut), session.subarray(cut)] })).toEqual(SESSION_OUTCOME);
    }
  });

  it('gives the same for a session byte by byte', () => {
    expect(feed({ chunks: Array.from(bytes(SESSION), (byte) => Buffer.from([byte])) })).toEqual(SESSION_OUTCOME);
  });

  it('gives the same frames for any chunking of any stream', () => {
    const chunking = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 40 });
    const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: 600 }), { maxLength: 12 });
    fc.assert(
      fc.property(payloads, chunking, (frames, sizes) => {
        const stream = bytes(READY + START + frames.map(dataFrame).join('') + STOP);
        const chunks: Buffer[] = [];
        for (let position = 0, turn = 0; position < stream.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          chunks.push(stream.subarray(position, position + size));
          position += size;
        }
        const expected = frames.map((frame) => Buffer.from(frame).toString('hex'));
        expect(feed({ chunks, maxFrameBytes: 600 }).frames).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('reads a unidirectional stream and writes nothing on it', () => {
    expect(feedHex(START + ONE + STOP)).toEqual({
      frames: ['0102030405'],
      sent: '',
      events: ['started one way', 'stopped'],
    });
  });

  it('always names its content type in ACCEPT, also to a READY that names none', () => {
    expect(feedHex(control(4)).sent).toBe(ACCEPT);
  });

  it('accepts a READY that names ours among others, and a START without a content type', () => {
    expect(feedHex(control(4, FOREIGN + OURS) + control(2) + ONE)).toEqual({
      frames: ['0102030405'],
      sent: ACCEPT,
      events: ['started both ways'],
    });
  });

  it('takes an empty content type for a content type, which is not ours', () => {
    expect(feedHex(control(4, field(1, ''))).events).toEqual(['DNSTAP_ERR_CONTENT_TYPE']);
  });

  it('sends nothing to a READY that names foreign types only, and fails', () => {
    expect(feedHex(control(4, FOREIGN))).toEqual({ frames: [], sent: '', events: ['DNSTAP_ERR_CONTENT_TYPE'] });
  });

  it('confirms STOP without START, as senders that gave up waiting send it', () => {
    expect(feedHex(READY + STOP)).toEqual({ frames: [], sent: ACCEPT + FINISH, events: ['stopped'] });
  });

  it('ignores every control frame but STOP between data frames, and skips unknown fields', () => {
    const noise = START + READY + ACCEPT + FINISH + control(99) + control(7, field(9, 'whatever') + OURS);
    expect(feedHex(START + ONE + noise + ONE + control(3, field(77, 'x')))).toEqual({
      frames: ['0102030405', '0102030405'],
      sent: '',
      events: ['started one way', 'stopped'],
    });
  });

  it('looks at nothing behind STOP', () => {
    expect(feedHex(START + STOP + ONE + START).frames).toEqual([]);
  });

  it('skips a frame over the limit by exactly its length', () => {
    const outcome = feedHex(START + TWO + ONE + STOP, { maxFrameBytes: 299 });
    expect(outcome.frames).toEqual(['0102030405']);
    expect(outcome.events).toEqual(['started one way', 'oversize 300', 'stopped']);
  });

  it('skips a frame over the limit in any chunks', () => {
    const stream = bytes(START + TWO + ONE + TWO + ONE + STOP);
    for (let size = 1; size < 64; size++) {
      const chunks = [];
      for (let position = 0; position < stream.length; position += size) {
        chunks.push(stream.subarray(position, position + size));
      }
      expect(feed({ chunks, maxFrameBytes: 100 }).frames).toEqual(['0102030405', '0102030405']);
    }
  });

  it('delivers a frame that is exactly as long as the limit', () => {
    expect(feedHex(START + TWO, { maxFrameBytes: 300 }).frames).toHaveLength(1);
  });

  it.each([
    ['HTTP', '474554202f20485454502f312e310d0a'],
    ['a length of 0xffffffff', 'ffffffff'],
    ['a data frame first', ONE],
    ['STOP first', STOP],
    ['ACCEPT first', ACCEPT],
    ['a control frame of length 0', '0000000000000000'],
    ['a control frame of length 3', '0000000000000003000000'],
    ['a control frame of length 513', '0000000000000201'],
    ['a control frame of length 0xffffffff', '00000000ffffffff'],
    ['an unknown control frame', control(99)],
    ['a READY with a field cut off', control(4, '0000000100000016aa')],
    ['a READY with a field header cut off', control(4, '00000001')],
    ['a READY with a field of length 0xffffffff', control(4, '00000001ffffffff')],
    ['a READY with a content type of 257 bytes', control(4, field(1, 'x'.repeat(257)))],
  ])('fails on %s: that is not Frame Streams', (_name, hex) => {
    expect(feedHex(hex + START + ONE)).toEqual({ frames: [], sent: '', events: ['DNSTAP_ERR_NOT_FRAME_STREAMS'] });
  });

  it.each([
    ['data before START', READY + ONE, 'DNSTAP_ERR_DATA_BEFORE_START'],
    ['READY twice', READY + READY, 'DNSTAP_ERR_CONTROL_UNEXPECTED'],
    ['a foreign START after READY', READY + control(2, FOREIGN), 'DNSTAP_ERR_CONTENT_TYPE'],
    ['two content types in START', READY + control(2, OURS + OURS), 'DNSTAP_ERR_CONTENT_TYPE'],
    ['a short control frame between data', START + ONE + '0000000000000003000000', 'DNSTAP_ERR_CONTROL_LENGTH'],
    ['a long control frame between data', START + ONE + '00000000000003e8', 'DNSTAP_ERR_CONTROL_LENGTH'],
    ['a broken control frame between data', START + control(9, '00000001ffffffff'), 'DNSTAP_ERR_CONTROL_MALFORMED'],
    ['a frame length over 16 MiB', START + '01000001', 'DNSTAP_ERR_DESYNCHRONISED'],
    ['a frame length of 0xffffffff', START + 'ffffffff', 'DNSTAP_ERR_DESYNCHRONISED'],
  ])('fails on %s', (_name, hex, code) => {
    expect(feedHex(hex + ONE).events.at(-1)).toBe(code);
  });

  it('seen at the first four bytes, before anything is kept', () => {
    expect(feedHex(`${START}ffffffff`).events).toContain('DNSTAP_ERR_DESYNCHRONISED');
  });

  it('does not take READY where only files and pipes are expected', () => {
    expect(feedHex(READY, { mode: 'unidirectional' }).events).toEqual(['DNSTAP_ERR_NOT_FRAME_STREAMS']);
  });

  it('does not take a READY after START for a handshake', () => {
    expect(feedHex(START + READY + ONE).sent).toBe('');
  });

  it('goes on where the handler stopped it, without delivering more', () => {
    const frames: string[] = [];
    const reader: FrameStreamReader = new FrameStreamReader({
      frame: (buffer, start, end) => {
        frames.push(buffer.toString('hex', start, end));
        reader.stop();
      },
      send: () => {},
      started: () => {},
      stopped: () => {},
      oversize: () => {},
      failed: () => {},
    });
    const stream = bytes(START + ONE + ONE);
    expect(reader.push(stream)).toBe(stream.length - ONE.length / 2);
    expect(frames).toEqual(['0102030405']);
  });

  it('never throws and never goes on after a failure, whatever a byte is changed to', () => {
    const session = bytes(SESSION);
    fc.assert(
      fc.property(fc.nat(session.length - 1), fc.integer({ min: 0, max: 255 }), (position, byte) => {
        const mutated = Buffer.from(session);
        mutated[position] = byte;
        const { events } = feed({ chunks: [mutated] });
        const failure = events.findIndex((event) => event.startsWith('DNSTAP_ERR'));
        expect(failure === -1 || failure === events.length - 1).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
