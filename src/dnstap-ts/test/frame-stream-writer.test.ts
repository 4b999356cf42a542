import { FrameStreamReader, FrameStreamWriter, writeDataFrame, dataFrameBytes } from '../src/index.js';
import { ACCEPT, bytes, dataFrame, FINISH, READY, START, STOP } from './support/frames.js';

function createWriter(bidirectional: boolean) {
  const events: string[] = [];
  let sent = '';
  const writer = new FrameStreamWriter(
    {
      send: (chunk) => void (sent += chunk.toString('hex')),
      started: () => void events.push('started'),
      finished: () => void events.push('finished'),
      failed: (error) => void events.push(error.code),
    },
    { bidirectional },
  );
  return { writer, events, sent: () => sent };
}

describe('FrameStreamWriter', () => {
  it('opens with READY, starts on ACCEPT, stops, and is finished by FINISH', () => {
    const { writer, events, sent } = createWriter(true);
    writer.open();
    writer.open();
    expect(sent()).toBe(READY);
    expect(writer.inData).toBe(false);
    for (const byte of bytes(ACCEPT)) writer.push(Buffer.from([byte]));
    expect(sent()).toBe(READY + START);
    expect(writer.inData).toBe(true);
    writer.close();
    writer.close();
    expect(sent()).toBe(READY + START + STOP);
    expect(events).toEqual(['started']);
    writer.push(bytes(FINISH));
    expect(events).toEqual(['started', 'finished']);
  });

  it('names its content type in START even if ACCEPT names none', () => {
    const { writer, sent } = createWriter(true);
    writer.open();
    writer.push(bytes('000000000000000400000001'));
    expect(sent()).toBe(READY + START);
  });

  it('starts at once and finishes at once where nobody answers', () => {
    const { writer, events, sent } = createWriter(false);
    writer.open();
    writer.close();
    expect(sent()).toBe(START + STOP);
    expect(events).toEqual(['started', 'finished']);
  });

  it('sends STOP without START when it gives up waiting for ACCEPT', () => {
    const { writer, sent } = createWriter(true);
    writer.open();
    writer.close();
    expect(sent()).toBe(READY + STOP);
  });

  it('is finished when the receiver ends by itself', () => {
    const { writer, events } = createWriter(true);
    writer.open();
    writer.push(bytes(ACCEPT + FINISH));
    expect(events).toEqual(['started', 'finished']);
    expect(writer.inData).toBe(false);
  });

  it.each([
    ['an ACCEPT of foreign types', '00000000000000100000000100000001000000046162636 4', 'DNSTAP_ERR_CONTENT_TYPE'],
    ['FINISH instead of ACCEPT', FINISH, 'DNSTAP_ERR_CONTROL_UNEXPECTED'],
    ['a data frame', '00000001aa', 'DNSTAP_ERR_DATA_BEFORE_START'],
    ['a control frame of length 0xffffffff', '00000000ffffffff', 'DNSTAP_ERR_CONTROL_LENGTH'],
    ['a broken ACCEPT', '00000000000000080000000100000001', 'DNSTAP_ERR_CONTROL_MALFORMED'],
  ])('fails on %s', (_name, answer, code) => {
    const { writer, events } = createWriter(true);
    writer.open();
    writer.push(bytes(answer));
    writer.push(bytes(ACCEPT));
    expect(events).toEqual([code]);
  });

  it('talks with FrameStreamReader', () => {
    const frames: string[] = [];
    const { writer, events, sent } = createWriter(true);
    const reader = new FrameStreamReader({
      frame: (buffer, start, end) => void frames.push(buffer.toString('hex', start, end)),
      send: (answer) => writer.push(answer),
      started: () => {},
      stopped: () => {},
      oversize: () => {},
      failed: () => {},
    });
    writer.open();
    reader.push(bytes(sent()));
    const opened = sent().length;
    reader.push(bytes(sent().slice(READY.length) + dataFrame(bytes('abcd'))));
    writer.close();
    reader.push(bytes(sent().slice(opened)));
    expect(frames).toEqual(['abcd']);
    expect(events).toEqual(['started', 'finished']);
  });
});

it('writes a data frame with its length in front', () => {
  const target = Buffer.alloc(10, 0xee);
  expect(dataFrameBytes(bytes('0102'))).toBe(6);
  expect(writeDataFrame(target, 1, bytes('0102'))).toBe(7);
  expect(target.toString('hex')).toBe('ee000000020102eeeeee');
});
