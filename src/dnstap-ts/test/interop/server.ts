import { writeFile } from 'node:fs/promises';

import { acceptsTcp } from '../../../../test/support/probe.js';
import { startPart, type Part } from '../../../../test/support/process.js';
import { createTemporaryDirectory } from '../../../../test/support/temporary-directory.js';

interface ServerOptions {
  readonly command: string;
  readonly args: (directory: string) => readonly string[];
  /** By name; `DIR` in them stands for the server's own directory. */
  readonly files: Readonly<Record<string, string>>;
  readonly port: number;
}

/** Starts a DNS server on 127.0.0.1 with its files in a directory of its own. */
export async function startServer({ command, args, files, port }: ServerOptions): Promise<Part> {
  const directory = createTemporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    await writeFile(directory.file(name), content.replaceAll('DIR', directory.path));
  }
  return startPart({
    name: command,
    command,
    args: args(directory.path),
    directory,
    ready: async () => acceptsTcp('127.0.0.1', port),
  });
}
