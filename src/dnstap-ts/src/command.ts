import { readFile, stat } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';

import { type Command, parseCommandLine, USAGE } from './command-line.js';
import { DnstapError } from './errors.js';
import { type FrameStreamFileResult, readFrameStreamFile } from './frame-stream-file-reader.js';
import { FrameStreamFileWriter } from './frame-stream-file-writer.js';
import { FramePrinter } from './frame-printer.js';
import { Receiver, type ReceiverOptions } from './receiver.js';
import type { ReceiverTlsOptions } from './tls-options.js';

const MAX_UNWRITTEN_BYTES = 64 * 1024 * 1024;

/** What the command works with; the process gives its own. */
export interface CommandContext {
  readonly input: Readable;
  readonly output: Writable;
  readonly errorOutput: Writable;
  /** Ends `receive`. */
  readonly signal: AbortSignal;
}

type Decode = Extract<Command, { action: 'decode' }>;
type Receive = Extract<Command, { action: 'receive' }>;

/** Runs the command `dnstap-ts`. @returns its exit status: 0 done, 1 failed, 2 not understood */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<number> {
  let command: Command;
  try {
    command = parseCommandLine(args);
  } catch (error) {
    if (!(error instanceof DnstapError)) throw error;
    context.errorOutput.write(`dnstap-ts: ${error.message}\n\n${USAGE}`);
    return 2;
  }
  try {
    await perform(command, context);
    return 0;
  } catch (error) {
    if (!(error instanceof DnstapError)) throw error;
    context.errorOutput.write(`dnstap-ts: ${error.code}: ${describe(error)}\n`);
    return 1;
  }
}

async function perform(command: Command, context: CommandContext): Promise<void> {
  if (command.action === 'receive') await receive(command, context);
  else if (command.action === 'decode') await decode(command, context);
  else if (command.action === 'help') context.output.write(USAGE);
  else context.output.write(`${await packageVersion()}\n`);
}

function describe(error: DnstapError): string {
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}

async function packageVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version; // our own package.json
}

async function decode(command: Decode, { input, output, errorOutput, signal }: CommandContext): Promise<void> {
  const printer = new FramePrinter(output, command.format);
  if (command.writePath !== undefined) await refuseOntoItself(command.file, command.writePath);
  const writer = command.writePath === undefined ? undefined : await FrameStreamFileWriter.open(command.writePath);
  const recording: Promise<void>[] = [];
  try {
    const result = await readFrameStreamFile(command.file === '-' ? input : command.file, {
      onFrame: (buffer, start, end) => {
        printer.print(buffer.subarray(start, end));
        if (writer !== undefined) recording.push(writer.write(buffer.subarray(start, end)));
      },
      afterChunk: async () => {
        await printer.drained();
        await Promise.all(recording.splice(0));
      },
      signal,
      ...(command.maxFrameBytes !== undefined && { maxFrameBytes: command.maxFrameBytes }),
    });
    for (const remark of remarks(result)) errorOutput.write(`dnstap-ts: ${remark}\n`);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await writer?.close();
  }
}

/** What of a file was not read, and why. */
function remarks({
  bytes,
  complete,
  truncatedBytes,
  oversizeFrames,
  trailingBytes,
}: FrameStreamFileResult): readonly string[] {
  const cut = truncatedBytes === 0 ? '' : `, ${truncatedBytes} bytes of a frame cut off`;
  const end = bytes === 0 ? 'the input is empty' : `the input ends without STOP${cut}`;
  return [
    ...(complete ? [] : [end]),
    ...(oversizeFrames > 0 ? [`frames skipped for their length, see --max-frame-bytes: ${oversizeFrames}`] : []),
    ...(trailingBytes > 0
      ? [`${trailingBytes} bytes after STOP ignored: of files joined together only the first is read`]
      : []),
  ];
}

/** A recording onto itself would empty the file before it is read. */
async function refuseOntoItself(file: string, writePath: string): Promise<void> {
  const [from, to] = await Promise.all([file, writePath].map((path) => stat(path).catch(() => undefined)));
  if (from === undefined || to === undefined || from.ino !== to.ino || from.dev !== to.dev || !from.isFile()) return;
  throw new DnstapError('DNSTAP_ERR_FILE', `--write would empty ${file} before it is read`);
}

async function receive(command: Receive, { output, errorOutput, signal }: CommandContext): Promise<void> {
  const tls = command.tls === undefined ? undefined : await readTlsFiles(command.tls);
  const printer = new FramePrinter(output, command.format);
  const recorder = new Recorder();
  const receiver = new Receiver({
    ...receiverOptions(command),
    onFrame: (buffer, start, end, connection) => {
      const frame = buffer.subarray(start, end);
      const recorded = recorder.record(frame);
      if (!printer.print(frame) || !recorded) connection.countDropped();
    },
    ...(tls !== undefined && { tls }),
  });
  receiver.on('close', ({ peer, error }) => {
    if (error !== undefined) errorOutput.write(`dnstap-ts: ${peer}: ${error.code}: ${describe(error)}\n`);
  });
  await recorder.open(command.writePath);
  try {
    await receiver.listen();
    errorOutput.write(`dnstap-ts: listening on ${receiver.endpoint}\n`);
    await aborted(AbortSignal.any([signal, recorder.failed]));
  } finally {
    await receiver.close();
    await recorder.close();
  }
  await printer.drained();
  const { frames, droppedFrames, oversizeFrames } = receiver.statistics();
  const oversize = oversizeFrames === 0 ? '' : `, ${oversizeFrames} skipped for their length (see --max-frame-bytes)`;
  errorOutput.write(`dnstap-ts: ${frames} frames received, ${droppedFrames} dropped${oversize}\n`);
}

function receiverOptions(command: Receive): Omit<ReceiverOptions, 'onFrame' | 'tls'> {
  const { endpoint, socketMode, maxFrameBytes, allowedAddresses } = command;
  return {
    endpoint,
    socketMode,
    ...(maxFrameBytes !== undefined && { maxFrameBytes }),
    ...(allowedAddresses !== undefined && { allowedAddresses }),
  };
}

/** Writes received frames to a file, if one is wanted, without making the socket wait. */
class Recorder {
  readonly #failed = new AbortController();
  #writer: FrameStreamFileWriter | undefined;

  /** Aborted when the file cannot be written; `close` throws the reason. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  async open(path: string | undefined): Promise<void> {
    if (path !== undefined) this.#writer = await FrameStreamFileWriter.open(path);
  }

  /** @returns false when the file cannot keep up and the frame was dropped */
  record(frame: Buffer): boolean {
    if (this.#writer === undefined) return true;
    if (this.#writer.pendingBytes > MAX_UNWRITTEN_BYTES) return false;
    this.#writer.write(frame).catch(() => this.#failed.abort());
    return true;
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }
}

async function readTlsFiles(files: NonNullable<Receive['tls']>): Promise<ReceiverTlsOptions> {
  const [cert, key, ca] = await Promise.all([files.cert, files.key, files.ca].map(readPem));
  return {
    cert: cert ?? '',
    key: key ?? '',
    ...(ca !== undefined && { ca }),
    ...(files.subjects !== undefined && { allowedSubjects: files.subjects }),
  };
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new DnstapError('DNSTAP_ERR_FILE', `cannot read ${path}`, { cause });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
