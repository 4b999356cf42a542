import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { commandEnvironment } from './command.js';
import { closeAtEnd, removeAtDeath } from './lifetime.js';
import { createTemporaryDirectory, type TemporaryDirectory } from './temporary-directory.js';
import { TestSupportError } from './test-support-error.js';
import { waitUntil } from './wait-until.js';

/** How to start a part and how to know that it answers. */
export interface PartOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The part's own directory, removed with it; it is also the working directory. Made when not given. */
  readonly directory?: TemporaryDirectory;
  /** Asks the part; it is ready when this neither throws nor returns false. Tried again and again. */
  readonly ready: () => unknown;
  readonly readyTimeoutMs?: number;
  /** How long after SIGTERM SIGKILL follows. */
  readonly stopTimeoutMs?: number;
}

/** A part that runs, with what tests do to it. */
export interface Part {
  /** Its process identifier, also that of its process group; another one after a restart. */
  pid(): number;
  /** Whether its process runs. */
  isRunning(): boolean;
  /** All that it printed so far, over all its restarts. */
  log(): string;
  /** Ends it with SIGTERM, after a while with SIGKILL, and removes its directory. Idempotent. */
  stop(): Promise<void>;
  /** Sends a signal to its process group; returns when it has ended, if the signal is one that ends processes. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Ends it if it runs, starts it again with the same arguments and directory, and waits until it answers. */
  restart(): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const LOG_TAIL_LINES = 40;
const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGQUIT', 'SIGABRT'];

/**
 * Starts the program only after the watchdog was told of it, so that there is no moment at which this process could die and
 * leave it behind: the shell waits for a line, and finds the end of its input when its parent is gone.
 */
const WAIT_FOR_GO = 'read -r go && exec "$@" </dev/null';

/**
 * Starts a part in a process group of its own and waits until it answers.
 *
 * @throws TestSupportError `TEST_ERR_PART_EXITED` or `TEST_ERR_PART_NOT_READY`, with the end of its log
 */
export async function startPart(options: PartOptions): Promise<Part> {
  const part = new PartProcess(options);
  try {
    await part.start();
  } catch (error) {
    await part.stop();
    throw error;
  }
  return part;
}

/** The methods of a part as properties of their own, so that a richer object can be spread from them. */
export function partMethods(part: Part): Part {
  return {
    pid: () => part.pid(),
    isRunning: () => part.isRunning(),
    log: () => part.log(),
    stop: async () => part.stop(),
    kill: async (signal) => part.kill(signal),
    restart: async () => part.restart(),
  };
}

class PartProcess implements Part {
  readonly #options: PartOptions;
  readonly #directory: TemporaryDirectory;
  readonly #logFile: string;
  readonly #forget: () => void;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: PartOptions) {
    this.#options = options;
    this.#directory = options.directory ?? createTemporaryDirectory();
    this.#logFile = this.#directory.file('part.log');
    this.#forget = closeAtEnd({ close: async () => this.stop(), describe: () => this.#logTail() });
  }

  pid(): number {
    return this.#child?.pid ?? -1;
  }

  isRunning(): boolean {
    return this.#child !== undefined;
  }

  log(): string {
    try {
      return readFileSync(this.#logFile, 'utf8');
    } catch {
      return ''; // not started yet, or stopped and removed
    }
  }

  async start(): Promise<void> {
    if (this.#closed) throw new Error(`part ${this.#options.name} was stopped and its directory is gone`);
    this.#spawn();
    const { ready, name, readyTimeoutMs: timeoutMs = READY_TIMEOUT_MS } = this.#options;
    try {
      await waitUntil(async () => !this.isRunning() || (await ready()) !== false, { what: name, timeoutMs });
    } catch (cause) {
      throw this.#error('TEST_ERR_PART_NOT_READY', `does not answer after ${timeoutMs} ms`, cause);
    }
    if (!this.isRunning()) throw this.#error('TEST_ERR_PART_EXITED', 'ended before it answered');
  }

  async stop(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#end();
    await this.#directory.remove();
    this.#forget();
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const ended = this.#ended;
    this.#signal(signal);
    if (ENDING_SIGNALS.includes(signal)) await ended;
  }

  async restart(): Promise<void> {
    await this.#end();
    await this.start();
  }

  async #end(): Promise<void> {
    if (!this.isRunning()) return;
    this.#signal('SIGTERM');
    this.#signal('SIGCONT'); // a stopped process gets SIGTERM only when it goes on
    const killer = setTimeout(() => this.#signal('SIGKILL'), this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(killer);
  }

  #spawn(): void {
    // A file and not a pipe: a test that keeps this process busy must not make the part wait for its log to be read.
    const log = openSync(this.#logFile, 'a');
    const { command, args, environment } = this.#options;
    const child = spawn('/bin/sh', ['-c', WAIT_FOR_GO, 'sh', command, ...args], {
      cwd: this.#directory.path,
      detached: true,
      env: commandEnvironment(environment),
      stdio: ['pipe', log, log],
    });
    closeSync(log);
    this.#child = child;
    const processId = child.pid;
    if (processId === undefined) throw this.#error('TEST_ERR_PART_EXITED', 'could not be started');
    const release = removeAtDeath({ kind: 'group', processId });
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => {
        killGroup(processId, 'SIGKILL'); // what the program itself started
        release();
        this.#child = undefined;
        resolve();
      });
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end('go\n');
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid !== undefined) killGroup(this.#child.pid, signal);
  }

  #error(code: 'TEST_ERR_PART_EXITED' | 'TEST_ERR_PART_NOT_READY', what: string, cause?: unknown): TestSupportError {
    return new TestSupportError(code, `${this.#options.name} ${what}\n${this.#logTail()}`, { cause });
  }

  #logTail(): string {
    const lines = this.log().trimEnd().split('\n');
    return `--- ${this.#options.name}, last lines of its log\n${lines.slice(-LOG_TAIL_LINES).join('\n')}`;
  }
}

function killGroup(processId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-processId, signal);
  } catch {
    // The group is gone, which is what a signal is sent for in the end.
  }
}
