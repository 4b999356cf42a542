import { DnstapError } from '../../src/index.js';

/** The code of the error of ours that `action` throws; undefined when it throws nothing. */
export function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return ownCode(error);
  }
  return undefined;
}

/** As {@link codeOf}, also of what is rejected. */
export async function codeOfRejection(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
  } catch (error) {
    return ownCode(error);
  }
  return undefined;
}

function ownCode(error: unknown): string {
  if (error instanceof DnstapError) return error.code;
  throw error;
}
