import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * What a test has made outside its own memory and must not outlive it.
 *
 * ```text
 * who ends the test                         who cleans up
 * the test itself                           stop(), remove() of the part
 * the end of the test file                  close() of the Lifetime, called by part-environment.ts
 * a crash, Ctrl-C or SIGKILL of jest        the watchdog (watchdog.mjs), when the pipe to it closes
 * ```
 */
export interface Resource {
  /** Ends or removes it; called again it does nothing. */
  close(): Promise<void>;
  /** What a person wants to read when a test fails. */
  describe?(): string;
}

/** How the watchdog gets rid of something when nobody else is left to do it. */
export type LastResort =
  | { readonly kind: 'group'; readonly processId: number }
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'command'; readonly command: readonly string[] };

/** What is open in one test file. Kept on the global object, where the environment of jest finds it. */
export interface Lifetime {
  /** Closes what is still open, the newest first, then lets the watchdog go. */
  close(): Promise<void>;
  /** What the open resources have to say, for the output of a failed test. */
  describe(): string;
}

const resources = new Set<Resource>();
let watchdog: ChildProcess | undefined;
let lastId = 0;

const lifetime: Lifetime = {
  close: async () => {
    for (const resource of [...resources].reverse()) await resource.close();
    watchdog?.stdin?.end();
    watchdog = undefined;
  },
  describe: () =>
    [...resources]
      .map((resource) => resource.describe?.() ?? '')
      .filter((text) => text !== '')
      .join('\n'),
};
Object.assign(globalThis, { [Symbol.for('istio-discovery.test.lifetime')]: lifetime });

/** Has `resource` closed when the test file ends; returns how to forget it when it was closed before. */
export function closeAtEnd(resource: Resource): () => void {
  resources.add(resource);
  return () => resources.delete(resource);
}

/** Has something removed should this process die without having done so; returns how to call that off. */
export function removeAtDeath(lastResort: LastResort): () => void {
  watchdog ??= startWatchdog();
  lastId += 1;
  const id = lastId;
  tell({ id, ...lastResort });
  return () => tell({ id, kind: 'released' });
}

function startWatchdog(): ChildProcess {
  const script = fileURLToPath(new URL('watchdog.mjs', import.meta.url));
  // In a session of its own: Ctrl-C reaches every process of the terminal's group, and this one has to survive it.
  const child = spawn(process.execPath, [script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  child.unref();
  // Should the watchdog itself be killed, the tests go on without it.
  child.stdin.on('error', () => undefined);
  // The stream of a child's standard input is a socket, which must not keep the test process alive either.
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}

function tell(message: object): void {
  watchdog?.stdin?.write(`${JSON.stringify(message)}\n`);
}
