import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import fc from 'fast-check';

import { FrameStreamFileWriter, readFrameStreamFile } from '../src/index.js';
import { codeOfRejection } from './support/code-of.js';
import { bytes, CLIENT_RESPONSE, dataFrame, READY, START, STOP } from './support/frames.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const directory = temporaryDirectory();
const FRAME = dataFrame(CLIENT_RESPONSE);
let files = 0;

function filePath(): string {
  return join(directory, `${++files}.fstrm`);
}

function fileOf(content: Uint8Array): string {
  const path = filePath();
  writeFileSync(path, content);
  return path;
}

async function read(source: string | Readable, options: { maxFrameBytes?: number } = {}) {
  const frames: string[] = [];
  const result = await readFrameStreamFile(source, {
    onFrame: (buffer, start, end) => void frames.push(buffer.toString('hex', start, end)),
    ...options,
  });
  return { frames, result };
}

const WHOLE = bytes(START + FRAME + FRAME + STOP);
const HEX = CLIENT_RESPONSE.toString('hex');

describe('readFrameStreamFile', () => {
  it.each([
    ['a file', () => fileOf(WHOLE)],
    ['a gzip file', () => fileOf(gzipSync(WHOLE))],
    ['a stream', () => Readable.from([WHOLE.subarray(0, 1), WHOLE.subarray(1, 90), WHOLE.subarray(90)])],
    [
      'a stream of a gzip file, byte by byte',
      () => Readable.from(Array.from(gzipSync(WHOLE), (byte) => Buffer.from([byte]))),
    ],
    ['an open file', () => createReadStream(fileOf(WHOLE))],
  ])('reads %s', async (_name, source) => {
    expect(await read(source())).toEqual({
      frames: [HEX, HEX],
      result: {
        frames: 2,
        bytes: WHOLE.length,
        oversizeFrames: 0,
        complete: true,
        truncatedBytes: 0,
        trailingBytes: 0,
      },
    });
  });

  it('gives what is whole of a file cut off anywhere, and says how much was lost', async () => {
    for (let length = 0; length < WHOLE.length; length++) {
      const { frames, result } = await read(Readable.from([WHOLE.subarray(0, length)]));
      const whole = Math.max(0, Math.floor((length - bytes(START).length) / (FRAME.length / 2)));
      expect(frames).toHaveLength(Math.min(2, whole));
      expect(result.complete).toBe(false);
      const used =
        whole === 0 && length < bytes(START).length ? 0 : bytes(START).length + (frames.length * FRAME.length) / 2;
      expect(result.truncatedBytes).toBe(length - used);
    }
  });

  it('gives what is whole of a gzip file that is cut off', async () => {
    const packed = gzipSync(bytes(START + FRAME.repeat(2000) + STOP), { level: 0 });
    const { frames, result } = await read(fileOf(packed.subarray(0, packed.length / 2)));
    expect(frames.length).toBeGreaterThan(900);
    expect(result.complete).toBe(false);
    expect(result.truncatedBytes).toBeGreaterThan(0);
  });

  it('says what an oversize frame and bytes behind STOP cost', async () => {
    const stream = bytes(START + dataFrame(Buffer.alloc(500)) + FRAME + STOP + 'abcdef');
    const { frames, result } = await read(Readable.from([stream]), { maxFrameBytes: 400 });
    expect(frames).toEqual([HEX]);
    expect(result).toMatchObject({ frames: 1, oversizeFrames: 1, trailingBytes: 3, complete: true });
  });

  it.each([
    ['text', Buffer.from('# not a capture\n'), 'DNSTAP_ERR_NOT_FRAME_STREAMS'],
    ['the socket side of a conversation', bytes(READY + START), 'DNSTAP_ERR_NOT_FRAME_STREAMS'],
    ['another content type', bytes('00000000 00000010 00000002 00000001 00000004 61626364'), 'DNSTAP_ERR_CONTENT_TYPE'],
    ['a stream out of step', bytes(`${START}${FRAME}ffffffff`), 'DNSTAP_ERR_DESYNCHRONISED'],
    ['broken gzip', bytes(`1f8b0800000000000003${'ff'.repeat(50)}`), 'DNSTAP_ERR_FILE'],
  ])('fails on %s', async (_name, content, code) => {
    expect(await codeOfRejection(() => read(fileOf(content)))).toBe(code);
  });

  it('fails with a code when there is no file', async () => {
    expect(await codeOfRejection(() => read(join(directory, 'missing')))).toBe('DNSTAP_ERR_FILE');
  });

  it('ends when told to, also while it waits for more', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const { signal } = controller;
    const input = new Readable({ read: () => {} });
    input.push(bytes(START));
    setTimeout(() => controller.abort(reason), 20);
    await expect(readFrameStreamFile(input, { onFrame: () => {}, signal })).rejects.toBe(reason);
    await expect(readFrameStreamFile(input, { onFrame: () => {}, signal })).rejects.toBe(reason);
  });

  it('hands on what the handler throws', async () => {
    const fault = new Error('a fault of the consumer');
    for (const content of [WHOLE, gzipSync(WHOLE)]) {
      const reading = readFrameStreamFile(fileOf(content), {
        onFrame: () => {
          throw fault;
        },
      });
      await expect(reading).rejects.toBe(fault);
    }
  });

  it('waits between chunks where asked to', async () => {
    let waiting = 0;
    await readFrameStreamFile(Readable.from([WHOLE.subarray(0, 50), WHOLE.subarray(50)]), {
      onFrame: () => expect(waiting).toBeGreaterThan(0),
      afterChunk: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        waiting++;
      },
    });
    expect(waiting).toBe(2);
  });
});

describe('FrameStreamFileWriter', () => {
  it('writes what the reader reads, whatever the frames', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 100_000 }), { maxLength: 8 }),
        async (frames) => {
          const path = filePath();
          const writer = await FrameStreamFileWriter.open(path);
          for (const frame of frames) await writer.write(frame);
          await writer.close();
          const { frames: found, result } = await read(path);
          expect(found).toEqual(frames.map((frame) => Buffer.from(frame).toString('hex')));
          expect(result.complete).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('writes START, frames and STOP, and nothing else', async () => {
    const path = filePath();
    const writer = await FrameStreamFileWriter.open(path);
    const frame = Buffer.from(CLIENT_RESPONSE);
    void writer.write(frame);
    frame.fill(0); // may be reused at once
    expect(writer.pendingBytes).toBeGreaterThan(0);
    await writer.close();
    expect(writer.pendingBytes).toBe(0);
    expect(readFileSync(path).toString('hex')).toBe(START + FRAME + STOP);
  });

  it('shows an atomic file only when it is whole', async () => {
    const path = filePath();
    writeFileSync(path, 'before');
    const writer = await FrameStreamFileWriter.open(path, { atomic: true });
    await writer.write(Buffer.alloc(300_000, 1));
    expect(readFileSync(path, 'utf8')).toBe('before');
    await Promise.all([writer.close(), writer.close()]);
    expect((await read(path, { maxFrameBytes: 300_000 })).result).toMatchObject({ frames: 1, complete: true });
    expect(readdirSync(directory).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('refuses frames that cannot be, and any after close', async () => {
    const writer = await FrameStreamFileWriter.open(filePath());
    expect(await codeOfRejection(() => writer.write(new Uint8Array(0)))).toBe('DNSTAP_ERR_FRAME_TOO_LARGE');
    await writer.close();
    expect(await codeOfRejection(() => writer.write(CLIENT_RESPONSE))).toBe('DNSTAP_ERR_CLOSED');
  });

  it('fails with a code where it cannot write', async () => {
    expect(await codeOfRejection(() => FrameStreamFileWriter.open(join(directory, 'missing', 'x')))).toBe(
      'DNSTAP_ERR_FILE',
    );
  });

  it('says that the device is full', async () => {
    const writer = await FrameStreamFileWriter.open('/dev/full');
    expect(await codeOfRejection(() => writer.write(Buffer.alloc(100_000)))).toBe('DNSTAP_ERR_FILE');
    expect(await codeOfRejection(() => writer.write(CLIENT_RESPONSE))).toBe('DNSTAP_ERR_FILE');
    expect(await codeOfRejection(() => writer.close())).toBe('DNSTAP_ERR_FILE');
  });
});
