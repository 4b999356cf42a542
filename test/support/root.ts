import { runCommand, type CommandOutput } from './command.js';
import { TestSupportError } from './test-support-error.js';

/** What to put before a command so that root runs it: nothing for root, else sudo, which must not ask. */
export function rootPrefix(): readonly string[] {
  return process.getuid?.() === 0 ? [] : ['sudo', '-n'];
}

/**
 * Runs a command as root.
 *
 * @throws TestSupportError `TEST_ERR_COMMAND_FAILED`
 */
export async function asRoot(...command: readonly string[]): Promise<CommandOutput> {
  const [file = '', ...args] = [...rootPrefix(), ...command];
  return runCommand(file, args);
}

/** @throws TestSupportError `TEST_ERR_NEEDS_ROOT` when `asRoot` would not work */
export async function requireRoot(): Promise<void> {
  try {
    await asRoot('true');
  } catch (cause) {
    const message = 'client pods need root, or sudo without a password: sudo -n true failed';
    throw new TestSupportError('TEST_ERR_NEEDS_ROOT', message, { cause });
  }
}
