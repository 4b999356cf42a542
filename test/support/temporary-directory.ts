import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeAtEnd, removeAtDeath } from './lifetime.js';

/** A directory of the test's own, removed at the latest when the test file ends. */
export interface TemporaryDirectory {
  /** Short enough for a unix socket inside: such a path has at most 103 octets on macOS, 107 on Linux. */
  readonly path: string;
  /** The path of an entry of the directory; nothing is made. */
  file(name: string): string;
  remove(): Promise<void>;
}

/** Makes an empty directory under the system's directory for temporary files. */
export function createTemporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(realpathSync(tmpdir()), 'isd-'));
  const release = removeAtDeath({ kind: 'directory', path });
  const remove = async (): Promise<void> => {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
    release();
    forget();
  };
  const forget = closeAtEnd({ close: remove });
  return { path, file: (name) => join(path, name), remove };
}
