import { join } from 'node:path';
import { ROOT, runCommand, type CommandOutput } from './command.js';
import { freePort } from './free-port.js';
import { answersHttp } from './probe.js';
import { startPart, type Part } from './process.js';

/** The compiled program, as a person would start it. */
const PROGRAM = join(ROOT, 'dist', 'main.js');

/** A role of the program that runs, in a process of its own. */
export interface Program extends Part {
  /** `http://127.0.0.1:PORT`, with /livez, /readyz and /metrics. */
  readonly url: string;
}

/** Starts a role that runs until it is stopped, with its HTTP server on a free port. */
export async function startProgram(
  role: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Program> {
  return startBuild({ program: PROGRAM, role, args, environment });
}

/** The same with another build of the program, the bundle of the image, say. */
export async function startBuild(build: {
  /** Path of its main.js. */
  readonly program: string;
  readonly role: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}): Promise<Program> {
  const { program, role, args, environment } = build;
  const address = `127.0.0.1:${await freePort()}`;
  const part = await startPart({
    name: role,
    command: process.execPath,
    args: [program, role, ...args, '--http-address', address],
    environment,
    ready: async () => answersHttp(`http://${address}/livez`),
  });
  return Object.assign(part, { url: `http://${address}` });
}

/** Runs a command of the program to its end. */
export async function runProgram(...args: readonly string[]): Promise<CommandOutput> {
  return runCommand(process.execPath, [PROGRAM, ...args]);
}
